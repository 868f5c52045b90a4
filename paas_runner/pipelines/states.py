"""What a job can be on the coordinator, and how it becomes it: one table, nothing else."""

import enum
from collections.abc import Mapping

from paas_runner.errors import IllegalTransitionError


class JobState(enum.StrEnum):
    """The statuses of spec gitlab-runner-api.md §3.4, as the API spells them."""

    CREATED = "created"  # waits for jobs before it
    PENDING = "pending"  # waits for a runner
    RUNNING = "running"
    CANCELING = "canceling"  # a runner has been asked to wind it down
    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"


class Change(enum.Enum):
    """What happens to a job."""

    ENQUEUE = enum.auto()
    SKIP = enum.auto()
    ACQUIRE = enum.auto()
    SUCCEED = enum.auto()
    FAIL = enum.auto()
    CANCEL = enum.auto()
    CANCEL_GRACEFULLY = enum.auto()


ACTIVE = frozenset({JobState.RUNNING, JobState.CANCELING})
"""While in one of these a job's token is valid."""

ENDED = frozenset({JobState.SUCCESS, JobState.FAILED, JobState.CANCELED, JobState.SKIPPED})

NEXT: Mapping[JobState, Mapping[Change, JobState]] = {
    JobState.CREATED: {
        Change.ENQUEUE: JobState.PENDING,
        Change.SKIP: JobState.SKIPPED,
        Change.CANCEL: JobState.CANCELED,
    },
    JobState.PENDING: {
        Change.ACQUIRE: JobState.RUNNING,
        Change.FAIL: JobState.FAILED,
        Change.CANCEL: JobState.CANCELED,
    },
    JobState.RUNNING: {
        Change.SUCCEED: JobState.SUCCESS,
        Change.FAIL: JobState.FAILED,
        Change.CANCEL: JobState.CANCELED,
        Change.CANCEL_GRACEFULLY: JobState.CANCELING,
    },
    JobState.CANCELING: {
        Change.SUCCEED: JobState.CANCELED,
        Change.FAIL: JobState.CANCELED,
        Change.CANCEL: JobState.CANCELED,
    },
    JobState.SUCCESS: {},
    JobState.FAILED: {},
    JobState.CANCELED: {},
    JobState.SKIPPED: {},
}


def after(state: JobState, change: Change) -> JobState:
    """The state that `change` leads to; raises `IllegalTransitionError`."""
    try:
        return NEXT[state][change]
    except KeyError:
        raise IllegalTransitionError(f"a job that is {state} cannot {change.name.lower()}") from None
