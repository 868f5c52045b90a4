"""Whose turn it is: what a job's place in its pipeline means for it, as functions of records."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeAlias

import attrs

from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.spec import RunWhen
from paas_runner.pipelines.states import ENDED, Enqueued, JobState, Skipped

Predecessors: TypeAlias = Mapping[str, frozenset[str]]
"""The names of the jobs that each job of a pipeline waits for."""

NEVER_ACKNOWLEDGED = "runner_provisioning_timeout"
"""Failure reason of a job whose runner never acknowledged it (spec gitlab-runner-api.md §2.8)."""


@attrs.frozen(kw_only=True)
class Outcome:
    """What a job amounts to for those that wait for it."""

    state: JobState
    tolerated: bool = False  # failed, but allowed to


def turn(when: RunWhen, before: Collection[Outcome], *, by_needs: bool) -> Enqueued | Skipped | None:
    """Whether a created job is to be enqueued, skipped, or (None) waits on.

    With `needs` a skipped job before counts against it, with stages it does not.
    """
    if when is RunWhen.MANUAL:
        return Skipped()
    if any(outcome.state not in ENDED for outcome in before):
        return None
    failed = any(outcome.state is JobState.FAILED and not outcome.tolerated for outcome in before)
    match when:
        case RunWhen.ALWAYS:
            runs = True
        case RunWhen.ON_FAILURE:
            runs = failed
        case RunWhen.ON_SUCCESS:
            hindered = any(outcome.state is JobState.CANCELED for outcome in before)
            missing = by_needs and any(outcome.state is JobState.SKIPPED for outcome in before)
            runs = not (failed or hindered or missing)
    return Enqueued() if runs else Skipped()


def due(jobs: Iterable[Job], predecessors: Predecessors) -> list[tuple[Job, Enqueued | Skipped]]:
    """The created jobs among those of a pipeline that are to be enqueued or skipped now."""
    latest = _latest(jobs)
    outcomes = {name: _outcome(job) for name, job in latest.items()}
    found = (
        (job, turn(job.spec.when, [outcomes[other] for other in predecessors[name]], by_needs=_by_needs(job)))
        for name, job in latest.items()
        if job.status is JobState.CREATED
    )
    return [(job, event) for job, event in found if event is not None]


def wants_retry(job: Job, jobs: Iterable[Job]) -> bool:
    """Whether a new job is to take its place: no runner took the failed one, or its author asks for it."""
    if job.status is not JobState.FAILED:
        return False
    tries = sum(other.spec.name == job.spec.name for other in jobs)
    retry = job.spec.retry
    wanted = tries <= retry.times and retry.covers(job.failure_reason or "")
    return wanted or job.failure_reason == NEVER_ACKNOWLEDGED


def dependencies(job: Job, jobs: Iterable[Job], predecessors: Predecessors) -> tuple[Job, ...]:
    """The jobs of its pipeline whose artifacts a job gets, in the order of their creation."""
    before = predecessors[job.spec.name]
    wanted = before if job.spec.dependencies is None else before & set(job.spec.dependencies)
    return tuple(other for name, other in _latest(jobs).items() if name in wanted)


def _latest(jobs: Iterable[Job]) -> dict[str, Job]:
    """The last try of each job, by name."""
    return {job.spec.name: job for job in jobs}


def _outcome(job: Job) -> Outcome:
    return Outcome(state=job.status, tolerated=job.spec.tolerates(job.exit_code))


def _by_needs(job: Job) -> bool:
    return job.spec.needs is not None
