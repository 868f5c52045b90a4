"""Tasks that are code of this server: questions to people, other runs, conditions, messages.

Each is idempotent: after a crash it is brought here again. What it does and the mention of that in the
record are put down between two awaits, so the disk has both or neither.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Protocol

import attrs

from paas_pipelines.access import resources
from paas_pipelines.access.actor import Actor, before_actors
from paas_pipelines.access.identity import PROGRAM
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import START
from paas_pipelines.definitions.automation import Call, Match, Message, TaskType
from paas_pipelines.expressions import patterns
from paas_pipelines.expressions.expression import ExpressionError
from paas_pipelines.expressions.extra import MissingExtraError
from paas_pipelines.runs import approving, expressing
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.engine import (
    AlreadyCompletedError,
    Engine,
    ScheduleRefusedError,
    ShuttingDownError,
)
from paas_pipelines.runs.run import Origin, Run, TaskEnd
from paas_pipelines.runs.values import outputs_before
from paas_pipelines.store.audit import Audit
from paas_pipelines.tasks.entrusting import run_hiding
from paas_pipelines.tasks.place import Output, Place, TaskOrder
from paas_pipelines.template.evaluation import Template
from paas_pipelines.template.strings import TemplateError
from paas_runner.loop.timing import Clock
from paas_runner.plain_text import exact_span

MOST_CHAINED = 16
"""So many runs may have started one another."""


class Notices(Protocol):
    """Who tells people; it does so some time later, and as often as needed."""

    def tell(
        self, to: str, *, channel: str = "", text: str, subject: str = "", link: str = "", key: str
    ) -> None:
        """Have it told, with what is saved before the next await; the same key again does nothing."""


@attrs.frozen(kw_only=True)
class NativePlace:
    """Brings them to their end, or, with an approval, to where people go on: that is no end, and None."""

    engine: Engine
    clock: Clock
    notices: Notices | None = None
    link: Callable[[str], str] = lambda _run_id: ""
    """The address of a run's page."""

    most_open: int = approving.MOST_OPEN
    """So many approvals may be open in one server; the task of one more fails."""

    actions: Place | None = None
    """Of the types that are not built in."""

    access: Access = attrs.field(factory=Access.open)
    """Is asked whether whoever has started a run may start what it calls."""

    audit: Audit | None = None
    """Where it is noted if not."""

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd | None:
        """As `Place` has it."""
        definition = order.task.definition
        try:
            match definition.type:
                case TaskType.APPROVAL:
                    return self._asked(order)
                case TaskType.CALL if definition.call:
                    return await self._called(order, definition.call, output, stop)
                case TaskType.MATCH if definition.match:
                    return self._matched(order, definition.match)
                case TaskType.COMPARE if definition.compare:
                    return self._compared(order, definition.compare)
                case TaskType.MESSAGE if definition.message:
                    return self._told(order, definition.message, output)
                case TaskType.END:
                    return TaskEnd()
                case TaskType.PLUGIN if self.actions:
                    return await run_hiding(self.actions, order, output, stop)
        except ExpressionError as error:
            return TaskEnd(error=f"{definition.type}: {error}")
        except (TemplateError, MissingExtraError) as error:
            return TaskEnd(error=str(error))
        return TaskEnd(error=f"this server does not know how to {definition.type}")

    # --- people --------------------------------------------------------------------------------------------

    def _asked(self, order: TaskOrder) -> TaskEnd | None:
        if len(self.engine.blocked()) >= self.most_open:
            return TaskEnd(error=f"no more approvals may be open than {self.most_open}")
        text = _rendered(approving.of(order.task).text, order)
        self.engine.ask(order.run.run_id, order.task.name, text)
        return None

    def _told(self, order: TaskOrder, message: Message, output: Output) -> TaskEnd:
        text = _rendered(message.text, order)
        if self.notices is None:
            output.stderr(f"no notifier is configured: {message.to} is not told\n".encode())
            return TaskEnd()
        run, task = order.run, order.task
        self.notices.tell(
            message.to,
            channel=message.channel,
            text=text,
            subject=f"{run.pipeline}: {task.name}",
            link=self.link(run.run_id),
            key=f"message/{run.run_id}/{task.name}/{task.attempt}",
        )
        return TaskEnd()

    # --- conditions ----------------------------------------------------------------------------------------

    def _matched(self, order: TaskOrder, match: Match) -> TaskEnd:
        text = self._value(match.text, order)
        if not isinstance(text, str):
            return TaskEnd(error="match: its text is no text")
        found = patterns.found(match.pattern, text)
        groups = list(found[1:]) if found else []
        error = "" if found else f"nothing matches {match.pattern}"
        return TaskEnd(
            exit_code=0 if found else 1,
            error=error,
            outputs={"matched": found is not None, "groups": groups},
        )

    def _compared(self, order: TaskOrder, source: str) -> TaskEnd:
        result = expressing.holds(source, order.run, order.task, self.engine.stdout)
        error = "" if result else f"it is not so that {source}"
        return TaskEnd(exit_code=0 if result else 1, error=error, outputs={"result": result})

    def _value(self, source: str, order: TaskOrder) -> Any:
        return expressing.value(source, order.run, order.task, self.engine.stdout)

    # --- other runs ----------------------------------------------------------------------------------------

    async def _called(self, order: TaskOrder, call: Call, output: Output, stop: asyncio.Event) -> TaskEnd:
        run_id = order.task.called
        if run_id is None:
            try:
                run_id = self._started(order, call).run_id
            except ShuttingDownError:  # it calls with the next start
                await stop.wait()
                return TaskEnd(stopped=True)
            except ScheduleRefusedError as error:
                return TaskEnd(error=f'the call of pipeline "{call.pipeline}" was refused: {error}')
            output.stdout(f"run {run_id} of pipeline {call.pipeline}\n".encode())
        if not call.wait:
            return TaskEnd()
        limit = order.task.definition.timeout
        deadline = order.task.start + limit if limit and order.task.start else None
        called = await self._over(run_id, stop, deadline)
        if called is None:
            return TaskEnd(error=f"run {run_id} is not known any more")
        if called.errored:
            return TaskEnd(error=f"run {run_id} has failed: {called.last_error}", outputs=called.outputs)
        if called.canceled:
            if stop.is_set():
                return TaskEnd(stopped=True)
            if limit and deadline and self.clock() >= deadline:
                return TaskEnd(error=f"it took longer than its timeout of {exact_span(limit)}")
            return TaskEnd(error=f"run {run_id} was canceled")
        return TaskEnd(outputs=called.outputs)

    def _started(self, order: TaskOrder, call: Call) -> Run:
        """The run and its mention in its caller, together; raises `ScheduleRefusedError`."""
        run = order.run
        self._check_chain(run, call)
        actor = run.actor or before_actors(run.user, run.origin.trigger, run.origin.caller_run)
        self._check_right(order, actor, call.pipeline)
        computed = {name: self._value(source, order) for name, source in call.params_from.items()}
        called = self.engine.schedule(
            call.pipeline,
            variables={**call.params, **computed},
            user=run.user,
            origin=Origin(
                caller_run=run.run_id,
                caller_task=order.task.name,
                root_user=run.origin.root_user or run.user,
                root=run.origin.root,
                chain=run.origin.chain + 1,
            ),
            actor=actor.calling(),
        )
        self.engine.called(run.run_id, order.task.name, called.run_id)
        return called

    def _check_right(self, order: TaskOrder, actor: Actor, pipeline: str) -> None:
        """As if whoever has started the run asked for it, with the statements of now."""
        who, wanted = actor.identity, resources.pipeline(pipeline)
        verdict = self.access.may(who, START, wanted)
        if verdict.allowed or who.kind == PROGRAM:
            return
        if self.audit:
            told = {"run": order.run.run_id, "task": order.task.name, "reason": verdict.reason}
            self.audit.note(str(who), START, wanted, "refused", **told)
        missing = ", and not all of its groups are on record" if who.groups_missing else ""
        raise ScheduleRefusedError(
            f"{str(who) or 'nobody'} may not {START} {wanted}: {verdict.reason}{missing}"
        )

    def _check_chain(self, run: Run, call: Call) -> None:
        """Definitions may have changed since their cycles were looked for."""
        if run.origin.chain >= MOST_CHAINED:
            raise ScheduleRefusedError(f"{MOST_CHAINED} runs have started one another already")
        names = [call.pipeline]
        caller: Run | None = run
        while caller is not None:
            names.append(caller.pipeline)
            if caller.pipeline == call.pipeline:
                raise ScheduleRefusedError(f"call cycle: {' -> '.join(reversed(names))}")
            caller = self._run(caller.origin.caller_run)

    async def _over(self, run_id: str, stop: asyncio.Event, deadline: datetime | None) -> Run | None:
        """The run that was called once it has ended; canceled when the caller is to stop, or is late."""
        news = asyncio.Event()
        unsubscribe = self.engine.changes.subscribe(news.set)
        try:
            while (called := self._run(run_id)) is not None and not called.ended:
                late = deadline is not None and self.clock() >= deadline
                if (stop.is_set() or late) and not called.canceled:
                    self._cancel(run_id)
                    continue
                news.clear()
                left = None if late or deadline is None else deadline - self.clock()
                await _until(news, None if stop.is_set() else stop, left)
            return called
        finally:
            unsubscribe()

    def _cancel(self, run_id: str) -> None:
        try:
            self.engine.cancel(run_id)
        except (AlreadyCompletedError, UnknownRunError):
            return

    def _run(self, run_id: str) -> Run | None:
        try:
            return self.engine.book.run(run_id)
        except UnknownRunError:
            return None


async def _until(news: asyncio.Event, stop: asyncio.Event | None, left: timedelta | None) -> None:
    """Until one of them is set, or so much time has passed."""
    waiting = [asyncio.ensure_future(each.wait()) for each in (news, stop) if each is not None]
    try:
        seconds = None if left is None else max(0.0, left.total_seconds()) + 0.001
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _rendered(text: str, order: TaskOrder) -> str:
    """Raises `TemplateError`."""
    told = {**order.run.variables, "outputs": outputs_before(order.run, order.task)}
    return Template.parse(text).render(told)
