"""The engine: what people, tasks, time and new definitions do to runs.

Promises: no threads and no event loop, no own idea of time (the clock is given); each verb goes from one
consistent state of the book to the next without an await. What is to be done outside is asked of the records
(`activities`), again and again: after a crash, too.
"""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import attrs

from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs import stepping
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.run import Run, Task, TaskEnd, TaskStatus, scheduled
from paas_pipelines.runs.waitlist import admission
from paas_runner.pipelines.runners import Notifier

RESERVED_VARIABLE = "__jobID"


class ScheduleRefusedError(Exception):
    """A run that cannot be scheduled; the text is the API's."""


class ShuttingDownError(ScheduleRefusedError):
    """No new runs any more."""


class AlreadyCompletedError(Exception):
    """A run that has ended cannot be canceled."""


@attrs.frozen(kw_only=True)
class PipelineState:
    """One line of the list of pipelines."""

    definition: Definition
    schedulable: bool
    running: bool
    waiting: int
    active: int


@attrs.frozen(kw_only=True)
class Activity:
    """A task that has to be at work somewhere, or, with `stop`, to end there."""

    run: Run
    task: Task
    stop: bool


class Engine:
    """All verbs; `changes` notifies after each change of a run or of the definitions."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        book: RunBook,
        definitions: Mapping[str, Definition],
        *,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self.book = book
        self.definitions = definitions
        self.changes = Notifier()
        self.accepting = True
        self._clock = clock
        self._new_id = new_id

    # --- asked ------------------------------------------------------------------------------------------

    def pipelines(self) -> Sequence[PipelineState]:
        """By name."""
        return [self.pipeline(name) for name in sorted(self.definitions)]

    def pipeline(self, name: str) -> PipelineState:
        """Raises KeyError."""
        definition = self.definitions[name]
        waiting, active = self.book.waiting(name), self.book.slots_in_use(name)
        refused = admission(definition, waiting, active, "").refusal
        return PipelineState(
            definition=definition,
            schedulable=self.accepting and not refused,
            running=active > 0,
            waiting=len(waiting),
            active=active,
        )

    @property
    def idle(self) -> bool:
        """Whether no run has anything at work."""
        return next(self.book.all_active(), None) is None

    def activities(self, runs: Iterable[Run] | None = None) -> Iterator[Activity]:
        """Every task that is running by the records, or by these of them."""
        for run in self.book.all_active() if runs is None else runs:
            for task in run.tasks:
                if task.status is TaskStatus.RUNNING:
                    yield Activity(run=run, task=task, stop=run.stops(task))

    def next_moment(self) -> datetime | None:
        """When `advance` has something to do although nothing happens until then; perhaps a while ago."""
        ends = (waiting.end_of_next_delay() for waiting in self.book.wait_lists())
        return min((end for end in ends if end is not None), default=None)

    # --- told -------------------------------------------------------------------------------------------

    def schedule(
        self, pipeline: str, *, variables: Mapping[str, Any], user: str = "", partition: str = ""
    ) -> Run:
        """A new run, which starts now or waits; raises `ScheduleRefusedError`."""
        if not self.accepting:
            raise ShuttingDownError("Server is shutting down")
        definition = self.definitions.get(pipeline)
        if definition is None:
            raise ScheduleRefusedError(f'pipeline "{pipeline}" is not defined')
        if RESERVED_VARIABLE in variables:
            raise ScheduleRefusedError(f'variable name "{RESERVED_VARIABLE}" is reserved')
        waiting, active = self.book.waiting(pipeline), self.book.slots_in_use(pipeline)
        admitted = admission(definition, waiting, active, partition)
        if admitted.refusal:
            raise ScheduleRefusedError(admitted.refusal)
        now = self._clock()
        if admitted.replaces:
            self.book.save(stepping.canceled(admitted.replaces, now))
        run = scheduled(
            definition,
            run_id=self._new_id(),
            number=self.book.next_number(),
            now=now,
            variables=variables,
            user=user,
            partition=partition,
        )
        return self._saved(stepping.started(run, now) if admitted.starts else run)

    def cancel(self, run_id: str) -> Run:
        """Cancel as a user would; raises `UnknownRunError`, `AlreadyCompletedError`."""
        run = self.book.run(run_id)
        if run.canceled:
            return run
        if run.completed:
            raise AlreadyCompletedError(run_id)
        return self._saved(stepping.canceled(run, self._clock()))

    def task_ended(self, run_id: str, name: str, end: TaskEnd) -> Run:
        """What the place where it ran tells; raises `UnknownRunError`."""
        return self._saved(stepping.task_ended(self.book.run(run_id), name, end, self._clock()))

    def submitted(self, run_id: str, name: str, job_id: int) -> Run:
        """A task has become a job of the coordinator; raises `UnknownRunError`."""
        return self._saved(stepping.submitted(self.book.run(run_id), name, job_id))

    def replace_definitions(self, definitions: Mapping[str, Definition]) -> bool:
        """Use others from now on; whether anything differs. What waits for one that is gone is canceled."""
        if definitions == self.definitions:
            return False
        self.definitions = definitions
        self._cancel(self._undefined())
        self._dequeue(*definitions)
        self.changes.notify()
        return True

    def recover(self) -> None:
        """Once, before anything else, with the records of a server that may have been killed."""
        now = self._clock()
        self.book.save(*(stepping.recovered(run, now) for run in self.book.all_active()))
        self._cancel(self._undefined())
        self._dequeue(*self.definitions)
        self.changes.notify()

    def advance(self) -> None:
        """Let those start whose delay is over, or for whom there is a slot now."""
        if self._dequeue(*self.definitions):
            self.changes.notify()

    def close(self, *, forced: bool = False) -> None:
        """Take no new runs, cancel those that wait, and, `forced`, those that run (§9); until `idle`."""
        self.accepting = False
        self._cancel(self.book.all_waiting())
        if forced:
            self._cancel(self.book.all_active())
        self.changes.notify()

    def retain(self) -> Sequence[Run]:
        """Forget the runs that are kept no longer, and return them."""
        over = list(self.book.expired(self.definitions, self._clock()))
        for run in over:
            self.book.remove(run.run_id)
        if over:
            self.changes.notify()
        return over

    def _undefined(self) -> Iterator[Run]:
        return (run for run in self.book.all_waiting() if run.pipeline not in self.definitions)

    def _cancel(self, runs: Iterable[Run]) -> None:
        now = self._clock()
        self.book.save(*(stepping.canceled(run, now) for run in runs))

    def _dequeue(self, *pipelines: str) -> bool:
        """Start what may start, in order; a run without scripts has its slot for no time at all."""
        now, any_started = self._clock(), False
        for name in pipelines:
            definition, waiting = self.definitions.get(name), self.book.waiting(name)
            while definition and (run := waiting.first_startable(now)):
                if self.book.slots_in_use(name) >= definition.concurrency:
                    break
                self.book.save(stepping.started(run, now))
                any_started = True
        return any_started

    def _saved(self, run: Run) -> Run:
        """Kept, with what follows from it for those that wait."""
        self.book.save(run)
        self._dequeue(run.pipeline)
        self.changes.notify()
        return self.book.run(run.run_id)
