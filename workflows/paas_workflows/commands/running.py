"""An execution begun or gone on with: files read, the place and those who are told opened, signals taken."""

import asyncio
import os
import random
import signal
from argparse import Namespace
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import structlog

from paas_runner.commands.output import note
from paas_runner.container import Place
from paas_runner.errors import Exit
from paas_runner.logs import configure, redactor
from paas_workflows import notifying
from paas_workflows.commands.places import place_of
from paas_workflows.definition.checking import examined
from paas_workflows.definition.decoding import Examined
from paas_workflows.definition.document import object_in
from paas_workflows.environment import Environment, environment
from paas_workflows.logging import LogSettings
from paas_workflows.machine.execution import Execution, begun
from paas_workflows.machine.ids import Ids
from paas_workflows.reading import read, shown
from paas_workflows.running.interpreter import Interpreter
from paas_workflows.running.steps import Steps
from paas_workflows.store.executions import Executions, Record
from paas_workflows.store.records import Given

log = structlog.stdlib.get_logger(__name__)

ADDRESS = "localhost:9010"
"""Where hosts report to, unless it is given."""


async def file_examined(source: str) -> Examined:
    """All that can be said of a workflow file, a path or a URL; raises `UsageError`."""
    configure(level="fatal", form="text")  # until the log is as it was asked for
    return examined(shown(source), await read(source))


async def begin(arguments: Namespace, executions: Executions) -> Execution:
    """Run a file to its end; raises `UsageError` before anything starts, `StoreError`."""
    found = await file_examined(arguments.file)
    for warning in found.warnings:
        note(f"{warning} (warning)")
    file = found.usable.beginning(arguments.workflow, arguments.step)
    if arguments.context:
        given_context = object_in(shown(arguments.context), await read(arguments.context))
        file = attrs.evolve(file, context={**file.context, **given_context})
    if arguments.import_current_env and not arguments.ignore_env:
        note("--import-current-env without --ignore-env: containers get every variable of this program")
    variables = environment(
        variables=arguments.env,
        files=[(shown(name), await read(name)) for name in arguments.env_file],
        imported=os.environ if arguments.import_current_env else None,
        ignored=arguments.ignore_env,
    )
    settings = LogSettings(
        formatter=arguments.log_formatter,
        remote_logger=arguments.remote_logger or "",
        remote_addr=arguments.remote_logger_addr or "",
    )
    given = Given(
        below=variables.below,
        above=variables.above,
        volumes=tuple(arguments.volume),
        notifiers=tuple(arguments.notifier),
        runner=_runner(arguments),
        log=attrs.asdict(settings),
    )
    notifying.check(given.notifiers)
    async with _place(arguments.executor, given, executions) as place:
        execution = begun(id=_ids().fresh(), file=file, moment=_now(), executor=arguments.executor)
        async with executions.opened(execution.id, is_new=True) as record:
            await record.put(execution, given)
            return await _to_the_end(execution, given, place, record, executions.resuming(execution.id))


async def go_on(execution_id: str, executions: Executions) -> Execution:
    """Bring one to its end that was begun before; raises `UsageError`, `StoreError`."""
    async with executions.opened(execution_id) as record:
        execution, given = await record.get()
        if execution.ended and not execution.left:
            return execution
        async with _place(execution.executor, given, executions) as place:
            return await _to_the_end(execution, given, place, record, executions.resuming(execution.id))


async def forget(execution_id: str, executions: Executions) -> None:
    """Remove what is left of one, its containers first; raises `UsageError`, `StoreError`, `RemoteError`."""
    async with executions.opened(execution_id) as record:
        execution, given = await record.get()
        names = {execution.run and execution.run.container, execution.to_remove, *execution.left} - {None}
        if names:
            async with _place(
                execution.executor, attrs.evolve(given, volumes=(), log={}), executions
            ) as place:
                for name in names:
                    await place.remove(name or "")
    executions.remove(execution_id)


@asynccontextmanager
async def _place(executor: str, given: Given, executions: Executions) -> AsyncIterator[Place]:
    """With the log as it was asked for: a place may have much to tell."""
    redactor.add((*given.below.values(), *given.above.values()))
    with LogSettings(**given.log).configured():
        async with place_of(executor, given, executions.folder) as place:
            yield place


async def _to_the_end(
    execution: Execution, given: Given, place: Place, record: Record, resuming: str
) -> Execution:
    log.info("execution", id=execution.id, remedy=f"{resuming} goes on with it")
    async with notifying.opened(given.notifiers) as notifier:
        interpreter = Interpreter(
            steps=Steps(
                place=place,
                variables=Environment(below=given.below, above=given.above).of,
                volumes=given.volumes,
                log=LogSettings(**given.log).for_context(),
                now=_now,
            ),
            save=record.put,
            tell=notifier.notify,
            ids=_ids(),
            cancel=_cancellation(resuming),
        )
        return await interpreter.run(execution)


def _runner(arguments: Namespace) -> Mapping[str, str]:
    """For whoever goes on from another folder, too."""
    return {
        "runners": str(Path(arguments.runners).absolute()) if arguments.runners else "",
        "address": arguments.address or ADDRESS,
        "external_url": arguments.external_url or "",
    }


def _cancellation(resuming: str) -> "asyncio.Future[str]":
    """By the first SIGINT or SIGTERM; the second one ends the program, and leaves all to `resume`."""
    loop = asyncio.get_running_loop()
    canceled: asyncio.Future[str] = loop.create_future()

    def take(name: str) -> None:
        if canceled.done():
            note(f"ended at once; `{resuming}` goes on with it")
            os._exit(Exit.USAGE)
        canceled.set_result(name)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, take, number.name)
    return canceled


def _now() -> datetime:
    return datetime.now(UTC)


def _ids() -> Ids:
    return Ids(_now, random.SystemRandom())
