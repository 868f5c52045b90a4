"""The engine: what people, tasks, time and new definitions do to runs.

Promises: no threads and no event loop, no own idea of time (the clock is given); each verb goes from one
consistent state of the book to the next without an await. What is to be done outside is asked of the records
(`activities`), again and again: after a crash, too.
"""

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import attrs

from paas_pipelines.access.actor import Actor
from paas_pipelines.access.people import People
from paas_pipelines.definitions.definition import NOTHING, Definition
from paas_pipelines.definitions.parameter import ParametersError, checked
from paas_pipelines.runs import approving, stepping
from paas_pipelines.runs.book import RunBook, UnknownRunError
from paas_pipelines.runs.expressing import Stdout, with_outputs
from paas_pipelines.runs.moments import Moments
from paas_pipelines.runs.run import Decision, Origin, Run, Task, TaskEnd, TaskStatus, scheduled
from paas_pipelines.runs.slots import Slots
from paas_pipelines.runs.waitlist import admission
from paas_runner.pipelines.runners import Notifier

SHUTTING_DOWN = "Server is shutting down"
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
    blocked: int = 0
    """How many of them wait for people."""


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
        stdout: Stdout = lambda _run_id, _task: "",
    ) -> None:
        self.book = book
        self.definitions = definitions
        self.changes = Notifier()
        self.accepting = True
        self.stopped = False
        """Whether nobody brings tasks to their places any more: what a decision starts would not begin."""

        self.stdout = stdout
        """What a task has said, for expressions."""

        self._clock = clock
        self._new_id = new_id
        self._slots = Slots(book, self._save)
        self._moments = Moments(book.all_active())
        book.observers.append(self._moments.saved)

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
            blocked=len(self.book.blocked(name)),
        )

    @property
    def idle(self) -> bool:
        """Whether no run has anything at work."""
        return next(self.at_work(), None) is None

    def at_work(self) -> Iterator[Run]:
        """The runs of which something is done now: not those that wait for people or other runs alone."""
        return (run for run in self.book.all_active() if any(map(self._is_at_work, run.tasks)))

    def blocked(self) -> Sequence[tuple[Run, Task]]:
        """All open approvals, those of the oldest runs first."""
        return [
            (run, task) for run in self.book.all_blocked() for task in run.tasks if approving.is_open(task)
        ]

    def holder(self, pipeline: str) -> Run | None:
        """Who keeps those that wait from starting, if it is a run that waits for people."""
        return self._slots.holder(pipeline)

    def activities(self, runs: Iterable[Run] | None = None) -> Iterator[Activity]:
        """Every task that is running by the records, or by these of them."""
        for run in self.book.all_active() if runs is None else runs:
            for task in run.tasks:
                if task.status is TaskStatus.RUNNING:
                    yield Activity(run=run, task=task, stop=run.stops(task))

    def next_moment(self) -> datetime | None:
        """When `advance` has something to do although nothing happens until then; perhaps a while ago."""
        ends = (waiting.end_of_next_delay() for waiting in self.book.wait_lists())
        return min((end for end in (*ends, self._moments.first()) if end is not None), default=None)

    # --- told -------------------------------------------------------------------------------------------

    def schedule(
        self,
        pipeline: str,
        *,
        variables: Mapping[str, Any],
        user: str = "",
        partition: str = "",
        origin: Origin = Origin(),  # noqa: B008 - frozen
        actor: Actor | None = None,
    ) -> Run:
        """A new run, which starts now or waits; raises `ScheduleRefusedError`.

        Whether `actor` may start it, the caller has looked at.
        """
        if not self.accepting:
            raise ShuttingDownError(SHUTTING_DOWN)
        definition = self.definitions.get(pipeline)
        if definition is None:
            raise ScheduleRefusedError(f'pipeline "{pipeline}" is not defined')
        if RESERVED_VARIABLE in variables:
            raise ScheduleRefusedError(f'variable name "{RESERVED_VARIABLE}" is reserved')
        if definition.params_are_checked:
            try:
                variables = checked(definition.params, variables)
            except ParametersError as error:
                raise ScheduleRefusedError(str(error)) from None
        yielding = self._slots.yielding(pipeline, partition)
        now, waiting = self._clock(), self.book.waiting(pipeline)
        active = self.book.slots_in_use(pipeline)
        if waiting.first_startable(now) is None:  # else what gets free is theirs
            active -= len(yielding)
        admitted = admission(definition, waiting, active, partition)
        if admitted.refusal:
            raise ScheduleRefusedError(admitted.refusal)
        run_id = self._new_id()
        if admitted.replaces:
            self._save(stepping.canceled(admitted.replaces, now))
        self._save(*(stepping.canceled(old, now, _superseded(run_id)) for old in yielding))
        run = scheduled(
            definition,
            run_id=run_id,
            number=self.book.next_number(),
            now=now,
            variables=variables,
            user=user,
            partition=partition,
            origin=origin,
            actor=actor,
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

    def ask(self, run_id: str, name: str, text: str) -> Run:
        """A running task waits for people from now on; raises `UnknownRunError`."""
        run, now = self.book.run(run_id), self._clock()
        run = stepping.blocked(run, name, approving.asked(run, name, now, text), now)
        newer = self.book.waiting(run.pipeline).of_partition(run.partition)
        if newer and approving.yields(run):
            run = stepping.canceled(run, now, _superseded(newer[-1].run_id))
        return self._saved(run)

    def decide(
        self,
        run_id: str,
        task: str,
        *,
        user: str,
        approved: bool,
        digest: str,
        reason: str = "",
        values: Mapping[str, Any] = NOTHING,
        groups: Collection[str] = (),
        marks: tuple[str, ...] = (),
        people: People = People(),  # noqa: B008 - frozen
    ) -> Run:
        """What somebody says to an open approval, and what follows from it.

        `user`, `groups` and `marks` are those of the one who decides, whose right to do so the caller has
        looked at; without marks the name is the only one.
        Raises `DecisionRefusedError`; `UnknownRunError`, and KeyError for a task that the run has not.
        """
        if self.stopped:
            raise approving.DecisionRefusedError(503, SHUTTING_DOWN)
        self._advance_runs([run_id])  # its deadline may be over, although nobody has looked yet
        run, now = self.book.run(run_id), self._clock()
        decision = Decision(user=user, approved=approved, at=now, reason=reason, values=values, marks=marks)
        after = approving.decided(run, task, decision, groups=groups, digest=digest, people=people)
        return run if after is run else self._saved(stepping.advanced(after, now))

    def called(self, run_id: str, name: str, callee: str) -> Run:
        """A task has started a run, in this very moment; raises `UnknownRunError`."""
        return self._saved(stepping.called(self.book.run(run_id), name, callee))

    def rerun(self, run_id: str, user: str, actor: Actor | None = None) -> Run:
        """A new run of the same pipeline, as it is defined now, with the same variables; approvals are anew.

        It is a run of whoever wants it again. Raises `ScheduleRefusedError`, `UnknownRunError`.
        """
        old = self.book.run(run_id)
        origin = Origin(trigger=old.origin.trigger, event_id=old.origin.event_id, held=old.origin.held)
        return self.schedule(
            old.pipeline,
            variables=old.variables,
            user=user,
            partition=old.partition,
            origin=origin,
            actor=actor,
        )

    def deposited(self, run_id: str, name: str, job_id: int) -> Run:
        """The files of a task that has ended are had by a job; raises `UnknownRunError`."""
        run = self.book.run(run_id)
        return self._saved(run.with_task(attrs.evolve(run.task(name), job_id=job_id)))

    def replace_definitions(self, definitions: Mapping[str, Definition]) -> bool:
        """Use others from now on; whether anything differs. What waits for one that is gone is canceled."""
        if definitions == self.definitions:
            return False
        self.definitions = definitions
        self._cancel(self._undefined())
        self._dequeue(*definitions)
        self.changes.notify()
        return True

    def recover(self, never_began: Collection[tuple[str, str]] = ()) -> None:
        """Once, before anything else, with the records of a server that may have been killed.

        `never_began` are runs and tasks: of these it is certain although their records say `running`.
        """
        now, names = self._clock(), defaultdict[str, list[str]](list)
        for run_id, task in never_began:
            names[run_id].append(task)
        self._save(*(stepping.recovered(run, now, names[run.run_id]) for run in self.book.all_active()))
        self._cancel(self._undefined())
        self._dequeue(*self.definitions)
        self.changes.notify()

    def advance(self) -> None:
        """What time does: deadlines, and those start whose delay is over, or for whom there is a slot now."""
        changed = self._advance_runs(self._moments.take_due(self._clock()))
        if self._dequeue(*self.definitions) or changed:
            self.changes.notify()

    def close(self, *, forced: bool = False) -> None:
        """Take no new runs, cancel those that wait, and, `forced`, those that run (§9); until `idle`.

        Those that wait for people go on with the next start, and so do those that others have called.
        """
        self.accepting = False
        self._cancel(run for run in self.book.all_waiting() if not self._is_awaited(run))
        if forced:
            self._cancel(self._with_callers(self.at_work()))
        self.changes.notify()

    def retain(self) -> Sequence[Run]:
        """Forget the runs that are kept no longer, and return them."""
        over = [
            run for run in self.book.expired(self.definitions, self._clock()) if not self._is_awaited(run)
        ]
        for run in over:
            self.book.remove(run.run_id)
        if over:
            self.changes.notify()
        return over

    def _is_awaited(self, run: Run) -> bool:
        """Whether the task that has called it has still to learn of its end."""
        try:
            caller = self.book.run(run.origin.caller_run).task(run.origin.caller_task)
        except (UnknownRunError, KeyError):
            return False
        return caller.status is TaskStatus.RUNNING and caller.called == run.run_id

    def _with_callers(self, runs: Iterable[Run]) -> Sequence[Run]:
        found = {run.run_id: run for run in runs}
        ahead = [run.origin.caller_run for run in found.values()]
        while ahead:
            if (run_id := ahead.pop()) and run_id not in found:
                with suppress(UnknownRunError):
                    found[run_id] = self.book.run(run_id)
                    ahead.append(found[run_id].origin.caller_run)
        return list(found.values())

    def _advance_runs(self, run_ids: Iterable[str]) -> bool:
        """What is over by the clock; whether anything has changed. Raises `UnknownRunError`."""
        now, changed = self._clock(), False
        for run in [self.book.run(run_id) for run_id in run_ids]:
            after = stepping.advanced(run, now) if run.active else run
            if after != run:
                changed = True
                self._saved(after)
        return changed

    def _is_at_work(self, task: Task) -> bool:
        if task.status is not TaskStatus.RUNNING or task.definition.call is None:
            return task.status is TaskStatus.RUNNING
        if task.called is None:
            return self.accepting  # else it calls with the next start
        try:
            return self.book.run(task.called).ended
        except UnknownRunError:
            return True

    def _undefined(self) -> Iterator[Run]:
        return (run for run in self.book.all_waiting() if run.pipeline not in self.definitions)

    def _cancel(self, runs: Iterable[Run]) -> None:
        now = self._clock()
        self._save(*(stepping.canceled(run, now) for run in runs))

    def _dequeue(self, *pipelines: str) -> bool:
        return self._slots.dequeue(self.definitions, self._clock(), *pipelines)

    def _save(self, *runs: Run) -> None:
        """All records that the engine makes come here: those of runs that have ended get their outputs."""
        for run in runs:
            ends = run.ended and run.output_expressions and not run.outputs
            self.book.save(with_outputs(run, self.stdout) if ends else run)

    def _saved(self, run: Run) -> Run:
        """Kept, with what follows from it for those that wait."""
        self._save(run)
        self._dequeue(run.pipeline)
        self.changes.notify()
        return self.book.run(run.run_id)


def _superseded(run_id: str) -> str:
    return f"superseded by {run_id}"
