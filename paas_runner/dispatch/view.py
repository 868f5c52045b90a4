"""What the rest of the service gets from the dispatch: a view when it wants one, and notice of two events."""

from collections.abc import Mapping, Sequence

import attrs

from paas_runner.dispatch.look_budget import LookBudget
from paas_runner.dispatch.registry import Backoff
from paas_runner.job.capacity import Load
from paas_runner.job.decision import Policy
from paas_runner.job.tracked import JobKey, TrackedJob


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

    refused: Mapping[JobKey, str]
    """The jobs that wait for a record which the disk refuses, and why it does."""

    looks: Mapping[str, LookBudget]
    """The budget of each coordinator, by its address."""

    draining: bool
    """Whether no more jobs are taken, so that the service ends with the last one."""

    stopping: bool
    """Whether every loop is ending, jobs left as they are."""


class Observer:
    """Gets notice of events: does nothing until it is overridden, and must neither wait nor fail then."""

    def changed(self) -> None:
        """The view may be another one; at most every few seconds."""

    def no_job(self, runner: str) -> None:
        """A request of the runner (its key) brought no job."""


class Observers(Observer):
    """All that want to be notified."""

    def __init__(self) -> None:
        self._observers: list[Observer] = []

    def add(self, observer: Observer) -> None:
        self._observers.append(observer)

    def changed(self) -> None:
        for observer in self._observers:
            observer.changed()

    def no_job(self, runner: str) -> None:
        for observer in self._observers:
            observer.no_job(runner)
