"""Tasks whose type, and tasks whose executor, other distributions bring.

What they are told is plain values; whatever they raise is the end of one task, with the name of their
distribution, and its traceback is in the log.
"""

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

import attrs
import structlog

from paas_pipelines.credentials.uses import references
from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.plugins import given
from paas_pipelines.plugins.contract import FailedError, ScriptEnd, ScriptWork, Work
from paas_pipelines.plugins.registry import Kind, Plugin, PluginError, Registry
from paas_pipelines.runs.run import NO_EXIT_CODE, TaskEnd
from paas_pipelines.runs.values import outputs_before
from paas_pipelines.tasks.executing.executions import Execution, Executions
from paas_pipelines.tasks.outputs import OutputsError, checked, checked_values
from paas_pipelines.tasks.place import Output, TaskOrder
from paas_pipelines.tasks.script import program_of, rendered
from paas_runner.plain_text import exact_span
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

GRACE_SECONDS = 10.0
"""For work that is to stop; then it is cancelled."""

_End = TypeVar("_End")


class _LateError(Exception):
    """It has taken longer than its `timeout`."""


class _StoppedError(Exception):
    """It was to stop, and has not ended well since."""


@attrs.frozen(kw_only=True)
class PluggedActions:
    """A `tasks.place.Place` for the types of tasks that are not built in."""

    registry: Registry

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        """As `Place` has it."""
        use = order.task.definition.plugin
        if use is None:
            return _failed("it has no type")
        plugin = self.registry.of(Kind.ACTIONS).get(use.name)
        if plugin is None:
            return _failed(f'no distribution that is installed brings the action "{use.name}"')
        try:
            action = plugin.built(given.instance(plugin, use.settings, _revealing(order)))
            work = Work(**_facts(order), write=_writing(output.stdout), stop=stop)
            told = await _ended(plugin, order, action.run(work), stop)
            declared = order.task.definition.outputs
            return TaskEnd(outputs=checked_values(told or {}, declared, order.all_secrets))
        except Exception as error:  # noqa: BLE001 - of foreign code, and told
            return _end_of(plugin, order, error)


@attrs.frozen(kw_only=True)
class PluggedExecutors:
    """The same for scripts. That one begins is on the disk before it does, and told when it comes again."""

    registry: Registry
    executions: Executions

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        """As `Place` has it."""
        executor, script = order.task.definition.executor, rendered(order)
        name = executor.type if executor else ""
        plugin = self.registry.of(Kind.EXECUTORS).get(name)
        if executor is None or plugin is None:
            return _failed(f'no distribution that is installed brings the executor "{name}"')
        if script.error:
            return _failed(script.error)
        wanted = Execution(
            run_id=order.run.run_id,
            pipeline=order.run.pipeline,
            task=order.task.name,
            attempt=order.task.attempt,
            executor=executor,
        )
        begun = self.executions.get(wanted)
        if stop.is_set() and not begun.started:
            return TaskEnd(stopped=True)
        try:
            kind: Any = plugin.loaded()
            if begun.started and not getattr(kind, "resumes", False):
                return _failed(f"the server has ended while it ran, and {plugin} cannot find it again")
            place = plugin.built(given.instance(plugin, executor.settings, _revealing(order)))
            await self.executions.noted(begun, started=True)
            work = ScriptWork(
                **_facts(order),
                write=_writing(output.stdout),
                write_error=_writing(output.stderr),
                stop=stop,
                script=script.entries,
                shell=program_of(order),
                env={**order.env, "RUN_ID": order.run.run_id},
                secrets=order.secrets,
                secret_files=order.secret_files,
                again=begun.started,
            )
            end: ScriptEnd = await _ended(plugin, order, place.run(work), stop)
            if end.exit_code:
                return TaskEnd(exit_code=int(end.exit_code), stopped=stop.is_set())
            declared = order.task.definition.outputs
            return TaskEnd(outputs=checked(end.outputs, declared, order.all_secrets))
        except Exception as error:  # noqa: BLE001 - of foreign code, and told
            return _end_of(plugin, order, error)


def _facts(order: TaskOrder) -> dict[str, Any]:
    run, task = order.run, order.task
    return {
        "run": run.run_id,
        "pipeline": run.pipeline,
        "task": task.name,
        "attempt": task.attempt,
        "user": run.user,
        "params": run.variables,
        "args": task.definition.args,
        "outputs": outputs_before(run, task),
    }


async def _ended(plugin: Plugin, order: TaskOrder, work: Awaitable[_End], stop: asyncio.Event) -> _End:
    """Its result; raises what it raises, `_LateError`, or `_StoppedError` where it was to stop."""
    task = asyncio.ensure_future(_guarded(plugin, work))
    stopping = asyncio.ensure_future(stop.wait())
    limit = order.task.definition.timeout
    try:
        await asyncio.wait(
            {task, stopping},
            timeout=limit.total_seconds() if limit else None,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if task.done():
            return task.result()
        late = not stop.is_set()
        stop.set()
        await asyncio.wait({task}, timeout=GRACE_SECONDS)
        if late:
            raise _LateError
        if task.done() and not task.exception():
            return task.result()
        raise _StoppedError
    finally:
        stopping.cancel()
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE_SECONDS)


async def _guarded(plugin: Plugin, work: Awaitable[_End]) -> _End:
    """What would end more than the task, unless we have cancelled it, is a `PluginError` instead."""
    own = asyncio.current_task()
    try:
        return await work
    except SystemExit as error:
        raise plugin.broken(error) from error
    except asyncio.CancelledError as error:
        if own is not None and own.cancelling():
            raise
        raise plugin.broken(error) from error


def _end_of(plugin: Plugin, order: TaskOrder, error: Exception) -> TaskEnd:
    limit = order.task.definition.timeout
    match error:
        case _StoppedError():
            return TaskEnd(stopped=True)
        case _LateError() if limit:
            return _failed(f"it took longer than its timeout of {exact_span(limit)}")
        case FailedError():
            return _failed(str(error) or f"{plugin} has failed")
        case OutputsError():
            return _failed(str(error))
        case PluginError():
            broken = error
        case _:
            broken = plugin.broken(error)
    log.error(
        "plugin_error",
        run=order.run.run_id,
        task=order.task.name,
        distribution=plugin.distribution,
        exc_info=error,
    )
    return _failed(str(broken))


def _revealing(order: TaskOrder) -> given.Reveal:
    """The values of what its settings name; the vault gave them for this task, in their order."""
    _, others = references(order.task.definition)
    values = dict(zip(others, order.hidden_secrets, strict=False))

    def value(named: Mapping[str, Any]) -> Secret:
        ref = FromCredential(name=named["from_credential"], field=str(named.get("field") or ""))
        return values.get(ref, Secret(""))

    return value


def _writing(write: Any) -> Any:
    return lambda text: write(text.encode(errors="replace") if isinstance(text, str) else bytes(text))


def _failed(why: str) -> TaskEnd:
    return TaskEnd(exit_code=NO_EXIT_CODE, error=why)
