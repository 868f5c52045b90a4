"""How a plan goes on: a pure function of its state, an event and the time.

Events and effects are in `moves`. `stepping` is about the plan as a whole, `blocks` about one block, `owners`
about what the two share, `parts` about what is in them, and `repair` about what a restart finds.
"""

from paas_plans.machine.repair import closed_as_too_old, repaired
from paas_plans.machine.stepping import step

__all__ = ["closed_as_too_old", "repaired", "step"]
