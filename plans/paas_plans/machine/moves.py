"""What happens to a running plan, and what is to be done for it: the words between machine and driver.

The driver tells the machine each event, stores what it changed, and only then does what it asks for.
"""

from datetime import datetime, timedelta
from typing import TypeAlias

import attrs

from paas_plans.plan import Attempt, Path


@attrs.frozen
class Begun:
    """The plan is to run, for the first time."""


@attrs.frozen
class Resumed:
    """The plan, repaired, goes on in a new process: nothing is in flight, no timer is set."""

    stop_asked: bool = False
    """Whether it is to stop, so that nothing is launched before that is told."""


@attrs.frozen
class AttemptEnded:
    """The call of the action at `path` has ended; `pause` is how long to wait before another."""

    path: Path
    attempt: Attempt
    pause: timedelta = timedelta(0)


@attrs.frozen
class Due:
    """The time that a `WakeAt` for `path` named has come."""

    path: Path


@attrs.frozen
class StopAsked:
    """Nothing further is to be launched; what runs ends, and what is deferred is done."""


@attrs.frozen
class StillAlive:
    """Nothing has changed for long."""


Event: TypeAlias = Begun | Resumed | AttemptEnded | Due | StopAsked | StillAlive


@attrs.frozen
class Call:
    """Call the plugin of the action at `path`, once."""

    path: Path


@attrs.frozen
class WakeAt:
    """Tell `Due(path)` at that time."""

    path: Path
    when: datetime


Effect: TypeAlias = Call | WakeAt
