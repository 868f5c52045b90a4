"""What an executor has done before and after its work: `setup` and `teardown`, here or in a container.

Promises: that a setup begins is on the disk before it does; from then on a teardown is owed, whatever becomes
of the task, the run and this process. It changes no result; after three tries what it left is a leak. Of a
container that ran meanwhile there is a record of its own: the next process removes it, and begins anew.
"""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

import attrs
import structlog

from paas_pipelines.credentials.uses import references
from paas_pipelines.credentials.vault import Vault
from paas_pipelines.definitions.automation import EngineHook, ExecutorDefinition, Scope
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.book import RunBook, UnknownRunError
from paas_pipelines.runs.run import Run, Task, TaskEnd, TaskStatus
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.tasks import given
from paas_pipelines.tasks.entrusting import run_hiding
from paas_pipelines.tasks.executing.containers import ContainerTasks
from paas_pipelines.tasks.executing.executions import MOST_TRIES, Execution, Executions
from paas_pipelines.tasks.local import LocalPlace
from paas_pipelines.tasks.outputs import PIPELINE_OUTPUT, OutputsError, undeclared
from paas_pipelines.tasks.place import Output, TaskOrder
from paas_pipelines.tasks.surroundings import bounded

log = structlog.stdlib.get_logger(__name__)

HOOK_SECONDS = 1800.0
"""How long a teardown may take."""

BETWEEN_TRIES_SECONDS = 5.0


class HookError(Exception):
    """A setup that has not ended well; the text says how."""


@attrs.frozen(kw_only=True)
class Hooks:
    """Of all executors."""

    local: LocalPlace
    contained: ContainerTasks
    executions: Executions
    book: RunBook
    logs: LogFiles
    vault: Vault | None = None
    """Where a teardown gets the executor's credentials when its task is over."""

    between_tries_seconds: float = BETWEEN_TRIES_SECONDS
    at_work: set[str] = attrs.field(init=False, factory=set)
    """Keys of the containers that this process has for them now."""

    _locks: dict[str, asyncio.Lock] = attrs.field(init=False, factory=lambda: defaultdict(asyncio.Lock))

    async def prepared(
        self, order: TaskOrder, executor: ExecutorDefinition, output: Output, stop: asyncio.Event
    ) -> TaskOrder:
        """The order with what the setup has told; raises `HookError`.

        One that was begun by a process that was killed is torn down first, and begins anew.
        """
        wanted = wanted_of(order, executor)
        async with self._locks[wanted.key]:
            await self._earlier_attempts_torn_down(wanted)
            execution = self.executions.get(wanted)
            if execution.set_up and not execution.ready:
                await self._torn_down(execution, output, order)
                execution = self.executions.get(wanted)
                if execution.leak:
                    raise HookError(f"setup: {execution.leak}")
            if not execution.set_up:
                execution = await self.executions.noted(execution, set_up=True, ready=False, tries=0)
                variables = await self._set_up(executor, order, output, stop)
                execution = await self.executions.noted(execution, ready=True, variables=variables)
        return attrs.evolve(order, env={**order.env, **execution.variables})

    async def torn_down(
        self, execution: Execution, output: Output | None = None, order: TaskOrder | None = None
    ) -> None:
        """What was set up is set up no more, or is a leak; nothing happens where nothing was."""
        async with self._locks[execution.key]:
            if found := self.executions.find(execution.key):
                await self._torn_down(found, output, order)

    async def _earlier_attempts_torn_down(self, wanted: Execution) -> None:
        for each in self.executions:
            same = (each.run_id, each.task) == (wanted.run_id, wanted.task)
            if same and each.task and each.attempt < wanted.attempt and each.set_up and not each.leak:
                await self.torn_down(each)

    async def _set_up(
        self, executor: ExecutorDefinition, order: TaskOrder, output: Output, stop: asyncio.Event
    ) -> Mapping[str, str]:
        """The variables that it tells; raises `HookError`."""
        if (hook := executor.setup) is None:
            return {}
        end = await self._ran(hook, f"{wanted_of(order, executor).key}#setup", order, output, stop)
        if end.stopped:
            raise HookError("")
        if end.error or end.exit_code:
            raise HookError(f"setup: {end.error or f'exit status {end.exit_code}'}")
        return end.outputs

    async def _torn_down(self, execution: Execution, output: Output | None, order: TaskOrder | None) -> None:
        hook = execution.executor.teardown
        if not execution.set_up or execution.leak:
            return
        for each in self.executions.of(execution.run_id):  # of an earlier process
            if each.hook.rpartition("#")[0] == execution.key and each.container and not each.leak:
                await self.contained.removed(each)
        if hook is None:
            self.executions.put(execution, set_up=False)
            return
        order = attrs.evolve(order or self._order(execution), variables=self._order(execution).variables)
        order = attrs.evolve(order, env={**order.env, **execution.variables})
        why = "this server has ended each time before it was over"
        while execution.tries < MOST_TRIES:
            execution = await self.executions.noted(execution, tries=execution.tries + 1)
            why = await self._tried(hook, execution, order, output)
            if not why:
                await self.executions.noted(execution, set_up=False)
                return
            log.warning("teardown_failed", run=execution.run_id, task=execution.task, reason=why)
            if execution.tries < MOST_TRIES:
                await asyncio.sleep(self.between_tries_seconds)
        log.error("teardown_left", run=execution.run_id, task=execution.task, executor=_name(execution))
        await self.executions.noted(execution, leak=f"executor {_name(execution)} was not torn down: {why}")

    async def _tried(
        self, hook: EngineHook, execution: Execution, order: TaskOrder, output: Output | None
    ) -> str:
        """Why it was not torn down; empty where it was."""
        stop = asyncio.Event()
        timer = asyncio.get_running_loop().call_later(HOOK_SECONDS, stop.set)
        try:
            if output is not None:
                end = await self._ran(hook, f"{execution.key}#teardown", order, output, stop)
            else:
                order = await self._entrusted(order)
                name = execution.task or f"teardown-{_name(execution)}"
                with self.logs.output(execution.run_id, name) as own:
                    end = await self._ran(hook, f"{execution.key}#teardown", order, own, stop)
        except Exception as error:  # noqa: BLE001 - it is tried again, and told
            return str(error) or type(error).__name__
        finally:
            timer.cancel()
        if end.stopped:
            return "it took too long"
        return end.error or (f"exit status {end.exit_code}" if end.exit_code else "")

    async def _ran(
        self, hook: EngineHook, name: str, order: TaskOrder, output: Output, stop: asyncio.Event
    ) -> TaskEnd:
        """A hook to its end, with what it has told; raises OSError."""
        executor = ExecutorDefinition(type=hook.type, name=hook.executor, settings=hook.settings)
        definition = TaskDefinition(
            script=hook.script, restart=order.task.definition.restart, executor=executor
        )
        task, env = attrs.evolve(order.task, definition=definition), {**order.env, **hook.env}
        order = attrs.evolve(order, task=task, env=env, hook=f"{name}-{secrets.token_hex(4)}")
        if definition.contained:
            return await self._contained(order, output, stop)
        with self.local.workspaces.fresh() as workspace:
            hooked = attrs.evolve(order, env={**env, PIPELINE_OUTPUT: str(workspace.output)})
            end = await run_hiding(self.local, hooked, output, stop)
            if end.exit_code or end.error or end.stopped or not order.sets_up:
                return end
            try:
                return attrs.evolve(end, outputs=undeclared(bounded(workspace.output), order.all_secrets))
            except OutputsError as wrong:
                return attrs.evolve(end, error=str(wrong))

    async def _contained(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        self.at_work.add(order.hook)
        try:
            return await run_hiding(self.contained, order, output, stop)
        finally:
            self.at_work.discard(order.hook)
            if found := self.executions.find(order.hook):
                self.executions.forget_if_done(found)

    def _order(self, execution: Execution) -> TaskOrder:
        """For a teardown whose task is over, whose run perhaps is gone."""
        try:
            run = self.book.run(execution.run_id)
        except UnknownRunError:
            run = Run(
                run_id=execution.run_id, number=0, pipeline=execution.pipeline, created=datetime.now(UTC)
            )
        task = Task(
            name=execution.task or "teardown",
            status=TaskStatus.DONE,
            definition=TaskDefinition(executor=execution.executor),
        )
        told = dict(given.environment(run, task))
        env = {**run.env, **execution.executor.env, **told, "TASK_NAME": task.name}
        return TaskOrder(run=run, task=task, variables=given.template_variables(run, task), env=env)

    async def _entrusted(self, order: TaskOrder) -> TaskOrder:
        """With the executor's credentials; raises `CredentialError`."""
        wanted, _ = references(order.task.definition)
        if self.vault is None or not wanted:
            return order
        found = await self.vault.for_task(order.run, order.task)
        return attrs.evolve(
            order, secrets=found.variables, secret_files=found.files, hidden_secrets=found.hidden
        )


def wanted_of(order: TaskOrder, executor: ExecutorDefinition) -> Execution:
    """The record of what is set up for a task, of which nothing is known yet."""
    run, task = order.run, order.task
    if executor.scope is Scope.RUN:
        return Execution(run_id=run.run_id, pipeline=run.pipeline, executor=executor)
    return Execution(
        run_id=run.run_id, pipeline=run.pipeline, task=task.name, attempt=task.attempt, executor=executor
    )


def _name(execution: Execution) -> str:
    return execution.executor.name or execution.executor.type
