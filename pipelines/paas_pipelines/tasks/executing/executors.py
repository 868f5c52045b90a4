"""All executors together: the place of every task that is none of this server's own, and what is owed after.

What is owed (a teardown, the removal of a container) is looked for in the records alone, never deduced from
what has happened: the first look after a crash is the same as any other.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import attrs
import structlog

from paas_pipelines.credentials.vault import Vault
from paas_pipelines.definitions.automation import Scope
from paas_pipelines.plugins.registry import Registry
from paas_pipelines.runs.book import RunBook, UnknownRunError
from paas_pipelines.runs.run import Run, TaskEnd, TaskStatus
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.tasks.checkout import Reveal
from paas_pipelines.tasks.executing.containers import ContainerTasks
from paas_pipelines.tasks.executing.engines import Engines
from paas_pipelines.tasks.executing.executions import Execution, Executions
from paas_pipelines.tasks.executing.hooks import HookError, Hooks, wanted_of
from paas_pipelines.tasks.local import LocalPlace
from paas_pipelines.tasks.place import Output, Place, TaskOrder
from paas_pipelines.tasks.plugged import PluggedExecutors
from paas_runner.loop.timing import sleep_until_stopped

log = structlog.stdlib.get_logger(__name__)

LOOK_SECONDS = 30.0


@asynccontextmanager
async def opened(
    *,
    journal: Journal,
    book: RunBook,
    logs: LogFiles,
    local: LocalPlace,
    remote: Place,
    reveal: Reveal | None = None,
    vault: Vault | None = None,
    registry: Registry = Registry(),  # noqa: B008 - frozen
) -> AsyncIterator["Executors"]:
    """Those of a server; raises `StoreError`. Containers that run at the end go on."""
    executions = await Executions.load(journal)
    engines = Engines(files=local.kept, workspaces=local.workspaces, environ=local.environment, reveal=reveal)
    contained = ContainerTasks(opened=engines.opened, executions=executions, logs=logs)
    try:
        yield Executors(
            local=local,
            remote=remote,
            plugged=PluggedExecutors(registry=registry, executions=executions),
            contained=contained,
            hooks=Hooks(
                local=attrs.evolve(local, gate=None),  # what a hook does is on record by itself
                contained=contained,
                executions=executions,
                book=book,
                logs=logs,
                vault=vault,
            ),
            executions=executions,
            book=book,
        )
    finally:
        await engines.aclose()


@attrs.define(kw_only=True)
class Executors:
    """A `tasks.place.Place` for all tasks with scripts."""

    local: Place
    remote: Place
    plugged: Place
    contained: ContainerTasks
    hooks: Hooks
    executions: Executions
    book: RunBook
    _news: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _paying: set[str] = attrs.field(init=False, factory=set)

    def __attrs_post_init__(self) -> None:
        self.book.observers.append(self._saved)

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        """As `Place` has it: setup, the task, teardown."""
        executor = order.task.definition.executor
        place = self._place(order)
        if executor is None or not (executor.setup or executor.teardown):
            return await place.run(order, output, stop)
        wanted = wanted_of(order, executor)
        if stop.is_set() and not self.executions.get(wanted).set_up:
            return TaskEnd(stopped=True)
        try:
            prepared = await self.hooks.prepared(order, executor, output, stop)
        except HookError as failed:
            end = TaskEnd(error=str(failed)) if str(failed) else TaskEnd(stopped=True)
        else:
            end = await place.run(prepared, output, stop)
        if executor.scope is Scope.TASK:
            await self.hooks.torn_down(wanted, output, order)
        return end

    async def keep_paying(self) -> None:
        """Do what is owed for tasks and runs that are over, until cancelled."""
        while True:
            self._news.clear()
            self._forget_leaks_of_runs_that_are_gone()
            for each in self.owed():
                try:
                    await self._pay(each)
                except Exception:
                    log.exception("execution_error", run=each.run_id, task=each.task)
            await sleep_until_stopped(LOOK_SECONDS, self._news)

    async def paid(self) -> None:
        """Once: what is owed at this moment."""
        for each in self.owed():
            await self._pay(each)

    def owed(self) -> Sequence[Execution]:
        """For which there is something to be taken away although its task or its run is over."""
        return [each for each in self.executions if not each.leak and not self._is_active(each)]

    async def _pay(self, execution: Execution) -> None:
        if execution.key in self._paying:
            return
        self._paying.add(execution.key)
        try:
            if execution.container:
                await self.contained.removed(execution)
            await self.hooks.torn_down(execution)
            if found := self.executions.find(execution.key):
                self.executions.forget_if_done(found)
        finally:
            self._paying.discard(execution.key)

    def _forget_leaks_of_runs_that_are_gone(self) -> None:
        for each in self.executions.leaks():
            try:
                self.book.run(each.run_id)
            except UnknownRunError:
                self.executions.forget(each)

    def _place(self, order: TaskOrder) -> Place:
        definition = order.task.definition
        if definition.elsewhere:
            return self.remote
        if definition.plugged:
            return self.plugged
        return self.contained if definition.contained else self.local

    def _saved(self, _before: Run | None, after: Run) -> None:
        """In the transaction of a task's end: nothing of it is left, so nothing is to be known of it."""
        for each in self.executions.of(after.run_id):
            if not self._is_active(each, after):
                self.executions.forget_if_done(each)
                self._news.set()

    def _is_active(self, execution: Execution, run: Run | None = None) -> bool:
        """Whether its task, or its run, is at work, and will do what is owed itself."""
        if execution.hook:
            return execution.key in self.hooks.at_work
        try:
            run = run or self.book.run(execution.run_id)
        except UnknownRunError:
            return False
        if not execution.task:
            return not run.ended
        try:
            task = run.task(execution.task)
        except KeyError:
            return False
        return task.status is TaskStatus.RUNNING and task.attempt == execution.attempt
