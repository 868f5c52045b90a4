"""When a created job's turn has come: a function of the jobs before it."""

from collections.abc import Collection

import attrs

from paas_runner.sandbox.coordinator.spec import When
from paas_runner.sandbox.coordinator.states import ENDED, Change, JobState


@attrs.frozen(kw_only=True)
class Outcome:
    """What a job amounts to for those that wait for it."""

    state: JobState
    tolerated: bool = False  # failed, but allowed to


def turn(when: When, before: Collection[Outcome], *, by_needs: bool) -> Change | None:
    """Whether a created job is to be enqueued, skipped, or (None) waits on.

    With `needs` a skipped job before counts against it, with stages it does not.
    """
    if when is When.MANUAL:
        return Change.SKIP
    if any(outcome.state not in ENDED for outcome in before):
        return None
    failed = any(outcome.state is JobState.FAILED and not outcome.tolerated for outcome in before)
    match when:
        case When.ALWAYS:
            runs = True
        case When.ON_FAILURE:
            runs = failed
        case When.ON_SUCCESS:
            hindered = any(outcome.state is JobState.CANCELED for outcome in before)
            lacking = by_needs and any(outcome.state is JobState.SKIPPED for outcome in before)
            runs = not (failed or hindered or lacking)
    return Change.ENQUEUE if runs else Change.SKIP
