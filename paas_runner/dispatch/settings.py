"""All that a reload replaces: one value, exchanged as a whole, so that nobody ever sees half of a change."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

import attrs

from paas_runner.dispatch.served import Served
from paas_runner.job.capacity import Limits


@attrs.frozen(kw_only=True)
class Settings:
    """What the dispatcher serves, and within which bounds."""

    served: Mapping[str, Served]
    """Every runner in service by its key."""

    limits: Limits
    sweep_every: timedelta = timedelta()
    """How often orphans are searched for; 0 or less is never."""

    log_statistics: bool = True

    @property
    def names(self) -> Mapping[str, str]:
        """The runners' names by their keys."""
        return {key: served.name for key, served in self.served.items()}

    def pausing(self, paused: Iterable[str]) -> "Settings":
        """The same, with exactly these runners (keys) paused."""
        return attrs.evolve(self, limits=attrs.evolve(self.limits, paused=frozenset(paused)))
