"""Tasks as processes of this machine (spec prunner-api.md §4): each one a shell, with a keeper beside it.

The keeper (`paas_runner.inner.keeper`) kills all that the shell has started when the shell ends, when the
task is stopped, and when this server is no more, however that came about.
"""

import asyncio
import errno
import os
import resource
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import attrs

from paas_pipelines.runs.engine import Activity
from paas_pipelines.runs.run import NO_EXIT_CODE, TaskEnd
from paas_pipelines.tasks import shell
from paas_pipelines.tasks.files import FilesError, RunFiles
from paas_pipelines.tasks.gate import Gate
from paas_pipelines.tasks.job_spec import RUN_ID
from paas_pipelines.tasks.place import Output, TaskOrder, before, order_of
from paas_pipelines.tasks.script import program_of, rendered
from paas_pipelines.tasks.surroundings import Surroundings, surrounded
from paas_pipelines.tasks.workspace import Workspaces
from paas_runner.inner.process import launched
from paas_runner.loop.timing import sleep_until_stopped
from paas_runner.plain_text import exact_span

GRACE_SECONDS = 2.0
"""Between SIGINT and SIGKILL."""

NOT_FOR_TASKS = (
    "PRUNNER_JWT_SECRET",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)
"""Of the server's environment: its secrets, and how it speaks to what has started it."""

_MOST_FILES, _FILES_OF_A_TASK, _OTHER_FILES = 65_536, 10, 256
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
_SHORTAGE_SECONDS = 1.0
_INTERRUPTED = 130


def with_more_files() -> int | None:
    """Let this process open as many files as it may; returns the limit that it had, if any, for tasks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < more:
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
    return None if soft == resource.RLIM_INFINITY else soft


def _room() -> asyncio.Semaphore:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return asyncio.Semaphore(max(1, (files - _OTHER_FILES) // _FILES_OF_A_TASK))


@attrs.frozen
class LocalPlace:
    """This machine, as the user that the server is."""

    environment: Mapping[str, str] = attrs.field(repr=False)
    """The tasks', but for `NOT_FOR_TASKS`."""

    folder: Path = attrs.field(factory=Path.cwd)
    """Where every entry begins."""

    files: int | None = None
    """The tasks' limit of open files, where it is not the server's."""

    room: asyncio.Semaphore = attrs.field(factory=_room)
    """For how many at once; by default as many as this process can have open files for. The others wait."""

    program: shell.Shell = attrs.field(factory=shell.shell_of_this_machine)
    workspaces: Workspaces = Workspaces()
    kept: RunFiles | None = None
    """Where tasks leave files, if they can."""

    gate: Gate | None = None
    """What proves that one has begun."""

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        """As `Place` has it; `stop` is set, too, when the task has taken too long."""
        entering = asyncio.ensure_future(self.room.acquire())
        try:
            if not await before(stop, entering):
                return TaskEnd(stopped=True)
            async with surrounded(order, self.workspaces, self.folder, self.kept) as around:
                return await around.concluded(await self._timed(around, output, stop))
        except FilesError as wrong:
            return _broken(str(wrong))
        finally:
            if not entering.cancel():
                self.room.release()

    async def _timed(self, around: Surroundings, output: Output, stop: asyncio.Event) -> TaskEnd:
        order = around.order
        own = {name: value for name, value in self.environment.items() if name not in NOT_FOR_TASKS}
        environment = {**own, **order.env, **around.environment, RUN_ID: order.run.run_id}
        if any("\0" in text for entry in environment.items() for text in entry):
            return _broken("its environment has a zero byte")
        task = _Task(
            place=self, order=order, folder=around.folder, environment=environment, output=output, stop=stop
        )
        if (limit := order.task.definition.timeout) is None:
            return await task.run()
        timer = asyncio.get_running_loop().call_later(limit.total_seconds(), stop.set)
        end = await task.run()
        late = end.stopped and timer.when() <= asyncio.get_running_loop().time()
        timer.cancel()
        return _broken(f"it took longer than its timeout of {exact_span(limit)}") if late else end


@attrs.frozen(kw_only=True)
class _Task:
    """One task at work."""

    place: LocalPlace
    order: TaskOrder
    folder: Path
    environment: Mapping[str, str] = attrs.field(repr=False)
    output: Output
    stop: asyncio.Event

    async def run(self) -> TaskEnd:
        """Each entry after the other, in as few sessions of a shell as it takes: an `exit` ends one."""
        script, tolerant = rendered(self.order), self.order.task.definition.allow_failure
        if program := program_of(self.order):
            end = await self._by_program(program, script.entries, tolerant=tolerant)
            goes_on = not (end.error or end.stopped) and (tolerant or not end.exit_code)
            return _broken(script.error) if script.error and goes_on else end
        begin, noted = 0, 0
        while begin < len(script.entries):
            if self.stop.is_set():
                return TaskEnd(stopped=True)
            try:
                code, report = await self._session(script.entries[begin:], tolerant=tolerant)
            except OSError as error:
                if error.errno in _SHORTAGES:
                    await sleep_until_stopped(_SHORTAGE_SECONDS, self.stop)
                    continue
                return TaskEnd(stopped=True) if self.stop.is_set() else _broken(f"its shell is gone: {error}")
            if code and self.stop.is_set():
                return TaskEnd(exit_code=code, stopped=True)
            if report.broken:
                return _broken(f"entry {begin + len(report.codes) + 1} of the script: {report.why}")
            if code and not tolerant:
                return TaskEnd(exit_code=code)
            noted = code or next(filter(None, reversed(report.codes)), noted)
            begin += len(report.codes) + 1
        return _broken(script.error) if script.error else TaskEnd(exit_code=noted)

    async def _by_program(self, program: Sequence[str], entries: Sequence[str], *, tolerant: bool) -> TaskEnd:
        """Each entry is the text of a process of its own, which is told where it is by its last argument."""
        noted = 0
        for entry in entries:
            if self.stop.is_set():
                return TaskEnd(stopped=True)
            try:
                with shell.nameless_file(f"{entry}\n".encode(errors="replace")) as (_, path):
                    code = await self._shell_ran((*program, path))
            except OSError as error:
                return TaskEnd(stopped=True) if self.stop.is_set() else _broken(f"{program[0]}: {error}")
            if code and self.stop.is_set():
                return TaskEnd(exit_code=code, stopped=True)
            if code and not tolerant:
                return TaskEnd(exit_code=code)
            noted = code or noted
        return TaskEnd(exit_code=noted)

    async def _session(self, entries: Sequence[str], *, tolerant: bool) -> tuple[int, shell.Report]:
        """One shell from its start to its end; raises OSError."""
        with shell.nameless_file() as (descriptor, path):
            folder, files = self.folder, self.place.files
            text = shell.session(entries, folder=folder, report=path, tolerant=tolerant, files=files)
            with shell.nameless_file(text) as (_, written):
                code = await self._shell_ran(self.place.program.command(written))
            return code, shell.reported(os.pread(descriptor, os.fstat(descriptor).st_size, 0))

    async def _shell_ran(self, command: Sequence[str]) -> int:
        """To its end, by itself or by SIGINT; whoever leaves its context kills what is left then."""
        folder, environment = self.folder, self.environment
        out, err = self.output.stdout, self.output.stderr
        gate = self.place.gate.of(self.order.run, self.order.task) if self.place.gate else None
        if gate and gate.exists():  # by the session before
            gate = None
        try:
            async with launched(
                command,
                folder=folder,
                environment=environment,
                write=out,
                errors=err,
                interrupted=True,
                gate=gate,
            ) as program:
                ended = asyncio.ensure_future(program.wait())
                by_itself = await before(self.stop, ended)
                if not by_itself:
                    program.terminate()
                    await asyncio.wait({ended}, timeout=GRACE_SECONDS)
            return await ended or (0 if by_itself else _INTERRUPTED)
        except OSError as error:
            if error.errno is None:  # its keeper could not start it, or is dead
                shell.kill_all_with(_marks(environment))
            raise


def kill_what_is_left(activities: Iterable[Activity]) -> None:
    """Of tasks that ran under an earlier server: its keepers may have been killed together with it."""
    orders = [order_of(each.run, each.task) for each in activities if not each.task.definition.outlives]
    shell.kill_all_with(*(_marks({**order.env, RUN_ID: order.run.run_id}) for order in orders))


def _marks(environment: Mapping[str, str]) -> AbstractSet[bytes]:
    """By which the processes of a task are known."""
    return {f"{name}={environment[name]}".encode() for name in (RUN_ID, "TASK_NAME")}


def _broken(why: str) -> TaskEnd:
    return TaskEnd(exit_code=NO_EXIT_CODE, error=why)
