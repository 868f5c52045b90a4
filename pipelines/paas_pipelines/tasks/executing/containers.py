"""Tasks as containers that this server starts and follows: on a Docker engine, on a cluster.

Promises: what is begun is noted before, and a container outlives this process: the next one finds it by its
name, goes on with its log where that ends, and takes its exit code. It is removed when its end is on the
disk, and before the end of its task is told; so nothing runs twice, and nothing is left.
"""

import asyncio
import hashlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from datetime import timedelta
from http.client import UNAUTHORIZED
from typing import Protocol, TypeVar, cast

import attrs
import structlog

from paas_pipelines.definitions.automation import ExecutorDefinition
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.store.logs import Stream as Log
from paas_pipelines.tasks.executing.container_script import (
    FOLDER,
    READS_INPUT,
    READS_VARIABLE,
    SCRIPT_VARIABLE,
    Shown,
    mark_of,
    script_of,
)
from paas_pipelines.tasks.executing.executions import Execution, Executions
from paas_pipelines.tasks.executing.transfer import Parcels, Transfer
from paas_pipelines.tasks.files import FilesError
from paas_pipelines.tasks.job_spec import RUN_ID
from paas_pipelines.tasks.outputs import OutputsError, checked, undeclared
from paas_pipelines.tasks.place import Output, TaskOrder, before
from paas_pipelines.tasks.script import rendered
from paas_runner.container import Ended, Line, Parcel, Place, Stream, Wanted
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.kubernetes.parcels import paths_of
from paas_runner.loop.timing import backoff, sleep
from paas_runner.plain_text import exact_span
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

GRACE = timedelta(seconds=10)
PATIENCE_SECONDS = 120.0
"""For an engine or a cluster that cannot be asked, before anything has begun."""

FOLLOWING_PATIENCE_SECONDS = 3600.0
"""The same for a container that has begun: it may well go on meanwhile."""

MOST_VARIABLE_BYTES = 128 * 1024
_REST_OF_LINES_SECONDS = 30.0
_NOT_READ = "it is too long, or its node is gone"

T = TypeVar("T")


class Containers(Place, Protocol):
    """A place for containers that tells more of them."""

    async def begun(self, name: str) -> bool | None: ...

    async def facts(self, name: str) -> Mapping[str, str]: ...


@attrs.frozen(kw_only=True)
class Opened:
    """An executor's place, ready to be asked."""

    containers: Containers
    image: str = ""
    volumes: tuple[str, ...] = ()
    environment: Mapping[str, str] = attrs.field(factory=dict)
    platform: str = ""
    transfer: Transfer | None = None
    """How files come and go; None where they cannot be copied, and a script is no input but a variable."""

    parcels: Parcels | None = None
    """How they do in that case."""


class BadExecutorError(Exception):
    """An executor that cannot be used as it is written; the text says why."""


Open = Callable[[ExecutorDefinition], Awaitable[Opened]]
"""Raises `BadExecutorError`; opening one that is open costs nothing."""


@attrs.frozen(kw_only=True)
class ContainerTasks:
    """Runs tasks as containers: a `tasks.place.Place`."""

    opened: Open
    executions: Executions
    logs: LogFiles
    patience_seconds: float = PATIENCE_SECONDS
    _chance: random.Random = attrs.field(factory=random.Random)

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        """As `Place` has it."""
        executor = order.task.definition.executor or ExecutorDefinition()
        execution = self.executions.get(execution_of(order, executor))
        if (end := execution.end) is None:
            if stop.is_set() and not execution.container:
                return TaskEnd(stopped=True)
            try:
                work = _Work(self, order, output, stop, await self.opened(executor))
                end = await work.end(execution)
            except (BadExecutorError, OutputsError, FilesError) as wrong:
                end = TaskEnd(error=str(wrong))
            except RemoteError as error:
                end = TaskEnd(error=str(error))
            execution = self.executions.get(execution)
            if not execution.container:
                return end
            execution = await self.executions.noted(execution, end=end)
        await self.removed(execution)
        return end

    async def removed(self, execution: Execution) -> None:
        """Nothing is left of its container, or else it is a leak."""
        try:
            place = (await self.opened(execution.executor)).containers
            await self.patiently(lambda: place.remove(execution.container), self.patience_seconds)
        except (BadExecutorError, RemoteError) as error:
            log.error("container_left", container=execution.container, reason=str(error))
            self.executions.put(execution, leak=f"container {execution.container}: {error}")
        else:
            self.executions.put(execution, container="")

    async def patiently(self, ask: Callable[[], Awaitable[T]], seconds: float) -> T:
        """Asked again for so long as there is no answer; raises `RemoteError`."""
        loop, attempts = asyncio.get_running_loop(), 0
        until = loop.time() + seconds
        while True:
            try:
                return await ask()
            except RemoteError as error:  # credentials that have expired are renewed by somebody
                if not (isinstance(error, Transient) or error.status == UNAUTHORIZED) or loop.time() > until:
                    raise
                attempts += 1
                await sleep(backoff(attempts, self._chance))


@attrs.frozen
class _Work:
    """One task and its container."""

    tasks: ContainerTasks
    order: TaskOrder
    output: Output
    stop: asyncio.Event
    opened: Opened

    async def end(self, execution: Execution) -> TaskEnd:
        """How it ended; raises `RemoteError`, `OutputsError`, `FilesError`, `BadExecutorError`."""
        script, place = rendered(self.order), self.opened.containers
        if not script.entries:
            return TaskEnd(error=script.error)
        name = execution.container or name_of(self.order)
        begun = await self._soon(lambda: place.begun(name)) if execution.started else False
        if begun is None:
            return TaskEnd(error=f"its container {name} is gone, and nobody knows how it ended")
        working = execution if begun else await self._begin(execution, name, script.entries)
        if working is None:
            return TaskEnd(stopped=True)
        end = await self._followed(working, name)
        goes_on = not end.exit_code or self.order.task.definition.allow_failure
        return attrs.evolve(end, error=script.error) if script.error and goes_on and not end.stopped else end

    async def _begin(self, execution: Execution, name: str, entries: tuple[str, ...]) -> Execution | None:
        """It works from now on; None where it is stopped before there is a container."""
        place = self.opened.containers
        wanted, data = self._wanted(name, entries, await self._parcel())
        if execution.started:  # it may be made anew, and then there is none for a moment
            execution = await self.tasks.executions.noted(execution, started=False)
        if not execution.container:
            preparing = asyncio.ensure_future(self._soon(lambda: place.prepare(wanted)))
            if not await before(self.stop, preparing):
                preparing.cancel()
                return None
            await preparing
            run_id, task = self.order.run.run_id, self.order.task.name
            sizes = {str(each): self.tasks.logs.size(run_id, task, each) for each in Log}
            execution = await self.tasks.executions.noted(execution, container=name, log_start=sizes)
        await self._soon(lambda: place.create(wanted))
        execution = await self.tasks.executions.noted(execution, started=True)
        if self.opened.transfer:
            await self._soon(lambda: self.opened.transfer.filled(name, self.order))  # type: ignore[union-attr]
        await self._soon(lambda: place.start(name, data))
        return execution

    async def _parcel(self) -> Parcel | None:
        """What goes with it and is fetched of it; raises `FilesError`."""
        definition, parcels = self.order.task.definition, self.opened.parcels
        if parcels is None or not (definition.save or definition.load):
            return None
        content = await parcels.loaded(self.order) if definition.load else b""
        return Parcel(folder=FOLDER, content=content, leaves=bool(definition.save))

    def _wanted(
        self, name: str, entries: tuple[str, ...], parcel: Parcel | None
    ) -> tuple[Wanted, bytes | None]:
        """The container to be, and its input."""
        run, task, transfer = self.order.run, self.order.task, self.opened.transfer
        definition = task.definition
        image = definition.image or self.opened.image
        if not image:
            raise BadExecutorError("its executor has no image")
        try:
            text = script_of(
                self.order,
                entries,
                folder=FOLDER if transfer or parcel else '"${TMPDIR:-/tmp}/pipeline-task"',
                mark="" if transfer else mark_of(name),
                parts=paths_of(parcel.content) if parcel else (),
                leaves=bool(parcel and parcel.leaves),
            )
        except ValueError as wrong:
            raise BadExecutorError(str(wrong)) from None
        variables = {**self.opened.environment, **self.order.env, RUN_ID: run.run_id}
        if not transfer:
            variables[SCRIPT_VARIABLE] = text
            if len(text.encode(errors="replace")) >= MOST_VARIABLE_BYTES:
                raise BadExecutorError(f"its script has more than {MOST_VARIABLE_BYTES // 1024} KiB")
        wanted = Wanted(
            name=name,
            image=image,
            environment={key: Secret(_text(value)) for key, value in variables.items()},
            labels={
                "paas-pipelines.run": run.run_id,
                "paas-pipelines.task": task.name,
                "paas-pipelines.attempt": str(task.attempt),
            },
            volumes=self.opened.volumes,
            parcel=parcel,
            takes_input=transfer is not None,
            command=READS_INPUT if transfer else READS_VARIABLE,
            platform=self.opened.platform,
        )
        return wanted, _text(text).encode() if transfer else None

    async def _followed(self, execution: Execution, name: str) -> TaskEnd:
        """To its end, with its lines in the log and its results."""
        shown = Shown(mark_of(name))
        reading = asyncio.create_task(self._read(execution, name, shown))
        limit, place = self.order.task.definition.timeout, self.opened.containers
        waiting = asyncio.ensure_future(self._long(lambda: place.wait(name, limit)))
        try:
            stopped = not await before(self.stop, waiting)
            if stopped:
                await self._soon(lambda: place.stop(name, GRACE))
            try:
                ended = await waiting
            except Rejected:
                if not stopped:
                    raise
                ended = None  # to stop it took its exit code with it
            if ended is None and not stopped:
                await self._soon(lambda: place.stop(name, GRACE))
            with suppress(TimeoutError, RemoteError):
                await asyncio.wait_for(reading, _REST_OF_LINES_SECONDS)
                shown.whole = True
            facts = await self._facts(name)
        finally:
            reading.cancel()
            waiting.cancel()
            await asyncio.gather(reading, waiting, return_exceptions=True)
        if stopped:
            return TaskEnd(stopped=True, exit_code=ended.code if ended else 0, facts=facts)
        if ended is None:
            text = f"it took longer than its timeout of {exact_span(limit.total_seconds() if limit else 0)}"
            return TaskEnd(error=text, facts=facts)
        return attrs.evolve(await self._concluded(name, ended, shown), facts=facts)

    async def _concluded(self, name: str, ended: Ended, shown: Shown) -> TaskEnd:
        if ended.cause:
            return TaskEnd(exit_code=ended.code, error=ended.cause)
        definition, transfer = self.order.task.definition, self.opened.transfer
        end = TaskEnd(exit_code=ended.code)
        if ended.code:
            return end
        if (definition.outputs or self.order.sets_up) and not (transfer or shown.whole):
            raise OutputsError(f"the end of its log, which has its outputs, did not come: {_NOT_READ}")
        if definition.outputs or self.order.sets_up:
            written = await self._soon(lambda: transfer.output(name)) if transfer else shown.outputs
            secrets = self.order.all_secrets
            told = undeclared(written, secrets) if self.order.sets_up else None
            end = attrs.evolve(end, outputs=told or checked(written, definition.outputs, secrets))
        if definition.save and (leaving := transfer or self.opened.parcels):
            end = attrs.evolve(end, saved=await self._soon(lambda: leaving.saved(name, self.order)))
        return end

    async def _facts(self, name: str) -> Mapping[str, str]:
        try:
            return await self.opened.containers.facts(name)
        except RemoteError:
            return {}

    async def _read(self, execution: Execution, name: str, shown: Shown) -> None:
        """All lines from the first; those that the logs have already are left out."""
        known = {stream: self._known(execution, each) for stream, each in zip(Stream, Log, strict=True)}
        writes = {Stream.OUTPUT: self.output.stdout, Stream.ERRORS: self.output.stderr}
        by_lines = bool(self.order.all_secrets)

        def write(stream: Stream, text: bytes) -> None:
            data = text + b"\n"
            skipped = min(known[stream], len(data) if not by_lines else 1)
            known[stream] -= skipped
            if not (by_lines and skipped):
                writes[stream](data[skipped:])

        lines = cast(AsyncGenerator[Line, None], self.opened.containers.lines(name))
        async with aclosing(lines) as each:
            async for line in each:
                for text in shown.passed(line.text) if line.stream is Stream.OUTPUT else (line.text,):
                    write(line.stream, text)
        for text in shown.rest():
            write(Stream.OUTPUT, text)

    def _known(self, execution: Execution, stream: Log) -> int:
        """How much the log has already: bytes, or lines where credentials were replaced in it."""
        logs, run_id, task = self.tasks.logs, self.order.run.run_id, self.order.task.name
        start = execution.log_start.get(str(stream), 0)
        if self.order.all_secrets:
            return logs.read(run_id, task, stream, start=start).count(b"\n")
        return max(0, logs.size(run_id, task, stream) - start)

    async def _soon(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await self.tasks.patiently(ask, self.tasks.patience_seconds)

    async def _long(self, ask: Callable[[], Awaitable[T]]) -> T:
        return await self.tasks.patiently(ask, FOLLOWING_PATIENCE_SECONDS)


def execution_of(order: TaskOrder, executor: ExecutorDefinition) -> Execution:
    """The record of a task that nothing is known of yet."""
    run, task = order.run, order.task
    return Execution(
        run_id=run.run_id,
        pipeline=run.pipeline,
        task=task.name,
        attempt=task.attempt,
        hook=order.hook,
        executor=executor,
    )


def name_of(order: TaskOrder) -> str:
    """Of a task's container: whoever has the order finds it."""
    key = order.hook or f"{order.run.run_id}/{order.task.attempt}/{order.task.name}"
    return f"pipeline-{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()[:24]}"


def _text(text: str) -> str:
    """Without zero bytes and lone surrogates: no environment has them."""
    return text.replace("\0", "").encode(errors="replace").decode()
