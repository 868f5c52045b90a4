"""What the rest of the service gets from the dispatch: a view when it wants one, and notice of events."""

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime

import attrs
import structlog

from paas_runner.dispatch.look_budget import LookBudget
from paas_runner.dispatch.registry import Backoff
from paas_runner.job.capacity import Load
from paas_runner.job.decision import Policy
from paas_runner.job.events import Event
from paas_runner.job.orphans import SearchResult
from paas_runner.job.tracked import JobKey, TrackedJob

log = structlog.stdlib.get_logger(__name__)


served_job: ContextVar[JobKey | None] = ContextVar("served_job", default=None)
"""The job for which all is done in this context, its loop and what that starts; None elsewhere."""


served_runner: ContextVar[str] = ContextVar("served_runner", default="")
"""The key of the runner for which jobs are asked for in this context; empty elsewhere."""


@attrs.frozen(kw_only=True)
class DispatchView:
    """Everything as it is at one moment; runners are meant by their keys."""

    load: Load
    """What takes part of the bounds."""

    jobs: Sequence[TrackedJob]
    """All that are tracked."""

    runners: Mapping[str, str]
    """The names of the runners in service."""

    leaving: Mapping[str, str]
    """The names of the runners that are out of service, but still have jobs."""

    policies: Mapping[str, Policy]
    """How patient each of these runners is with its jobs."""

    backoffs: Mapping[str, Backoff]
    """The runners whose coordinators could not be asked for jobs the last time."""

    answered: frozenset[str]
    """The runners whose coordinators have answered since the start: of others nothing is known yet."""

    refused: Mapping[JobKey, str]
    """The jobs that wait for a record which the disk refuses, and why it does."""

    looks: Mapping[str, LookBudget]
    """The budget of each coordinator, by its address."""

    draining: bool
    """Whether no more jobs are taken, so that the service ends with the last one."""

    stopping: bool
    """Whether every loop is ending, jobs left as they are."""

    elsewhere: frozenset[str] = frozenset()
    """The runners in service that another process has, or nobody yet: nothing is done for them here."""

    @property
    def names(self) -> Mapping[str, str]:
        """Of the runners in service first, then of those on their way out."""
        return {**self.runners, **self.leaving}

    @property
    def why_refused(self) -> str:
        """Why the disk takes no records; empty while it takes them."""
        return "; ".join(sorted(set(self.refused.values())))


class Observer:
    """Gets notice of events: does nothing until it is overridden, and must neither wait nor fail then.

    A failure of one is logged, and ends nothing.
    """

    def changed(self) -> None:
        """The view may be another one; at most every few seconds."""

    def no_job(self, runner: str) -> None:
        """A request of the runner (its key) brought no job."""

    def enough(self, runner: str) -> bool:  # noqa: ARG002 - for those who override it
        """Whether the runner is to ask no more, from now on."""
        return False

    def job_granted(self, job: TrackedJob, asked_at: datetime, url: str) -> None:
        """A request made then of this coordinator has brought the job; its first record follows."""

    def job_changed(self, job: TrackedJob, event: Event | None, before: TrackedJob | None) -> None:
        """What happened to a job, and its record after and before that; an intent may not be on the disk yet.

        The first record of a job has neither event nor record before it.
        """

    def record_written(self, seconds: float, *, refused: bool) -> None:
        """The disk has taken the record of a job, or its removal, or refused it; that took so long."""

    def searched(self, result: SearchResult) -> None:
        """A search for orphans has ended, or a tenant could not be asked."""

    def left(self, runner: str, jobs: Sequence[TrackedJob]) -> None:
        """Another process has these jobs of the runner (its key), or comes to: no more is heard of them."""


class Observers(Observer):
    """All that want to be notified."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def changed(self) -> None:
        self._tell(lambda observer: observer.changed())

    def no_job(self, runner: str) -> None:
        self._tell(lambda observer: observer.no_job(runner))

    def enough(self, runner: str) -> bool:
        return any(observer.enough(runner) for observer in self._observers)

    def job_granted(self, job: TrackedJob, asked_at: datetime, url: str) -> None:
        self._tell(lambda observer: observer.job_granted(job, asked_at, url))

    def job_changed(self, job: TrackedJob, event: Event | None, before: TrackedJob | None) -> None:
        self._tell(lambda observer: observer.job_changed(job, event, before))

    def record_written(self, seconds: float, *, refused: bool) -> None:
        self._tell(lambda observer: observer.record_written(seconds, refused=refused))

    def searched(self, result: SearchResult) -> None:
        self._tell(lambda observer: observer.searched(result))

    def left(self, runner: str, jobs: Sequence[TrackedJob]) -> None:
        self._tell(lambda observer: observer.left(runner, jobs))

    def _tell(self, what: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                what(observer)
            except Exception:
                log.exception("observer_error")
