"""What may have become of a launched host: the cases, and which of them a sighting is. Pure.

A job is ended on the strength of a verdict. So only what the cloud says in so many words is one; whatever is
unknown, contradictory or still going on is none. For a host whose job is given up in any case, the likeliest
explanation will do (spec `clever-cloud-api.md` §2.6, §4.6, §5.3).
"""

import enum
from collections.abc import Mapping, Sequence

from executors.clever.deployments import Sighting


class Case(enum.Enum):
    """How a host may have ended, or where it stands still; what is said of each is in `causes.py`."""

    REMOVED = enum.auto()
    MODERATED = enum.auto()
    UNPAID = enum.auto()
    FAILED = enum.auto()
    NEVER_UP = enum.auto()  # failed without a word in its log
    CANCELLED = enum.auto()  # or stopped by hand
    LOST = enum.auto()  # missed by the platform's own monitoring
    STOPPED = enum.auto()  # its machine is gone after a success
    ABSENT = enum.auto()  # pushed, and nothing came of it
    NO_ROOM = enum.auto()  # no machine, or none that gets beyond booting
    STARTING = enum.auto()
    DEPLOYING = enum.auto()
    RUNNING = enum.auto()
    UNKNOWN = enum.auto()

    @property
    def has_log(self) -> bool:
        """Whether its deployment came far enough to write one."""
        return self not in _WITHOUT_LOG


_WITHOUT_LOG = frozenset({Case.REMOVED, Case.MODERATED, Case.UNPAID, Case.ABSENT, Case.NO_ROOM})
BLOCKED: Mapping[str, Case] = {"MODERATED": Case.MODERATED, "DEFAULT_OF_PAYMENT": Case.UNPAID}
_MACHINES: Mapping[str, Case] = {
    "BOOTING": Case.NO_ROOM,
    "STARTING": Case.STARTING,
    "DEPLOYING": Case.DEPLOYING,
    "BUILDING": Case.DEPLOYING,
    "READY": Case.RUNNING,
    "UP": Case.RUNNING,
    "TASK_IN_PROGRESS": Case.RUNNING,
    "MIGRATION_IN_PROGRESS": Case.RUNNING,
}


def verdict(seen: Sighting) -> Case | None:
    """Why the job cannot go on, None as long as it may."""
    if seen.removed:
        return Case.REMOVED
    launch = seen.launch
    if launch is None:
        return BLOCKED.get(seen.state)
    if launch.state == "FAIL":
        return Case.LOST if seen.later and seen.later.monitored else Case.FAILED
    if launch.state == "CANCELLED":
        return Case.CANCELLED
    if not seen.open or seen.machines is None or seen.alive:
        return None
    if seen.later:
        return Case.LOST if seen.later.monitored else Case.CANCELLED
    return Case.STOPPED


def standstill(seen: Sighting) -> Case:
    """Why a job may have written nothing for too long; a verdict, if there is one by now."""
    if ended := verdict(seen):
        return ended
    if seen.state in BLOCKED:
        return BLOCKED[seen.state]
    launch = seen.launch
    if launch is None:
        return Case.ABSENT
    if launch.state == "TASK_RUNNING":
        return Case.RUNNING
    if seen.machines is None:
        return Case.UNKNOWN
    if not seen.alive:
        return Case.NO_ROOM
    return _MACHINES.get(seen.alive[0].state, Case.UNKNOWN)


def heard(case: Case, lines: Sequence[str] | None) -> Case:
    """The case in the light of the host's log; None is a log that cannot be read."""
    silent = lines is not None and not lines
    return Case.NEVER_UP if case is Case.FAILED and silent else case
