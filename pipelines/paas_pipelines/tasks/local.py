"""Tasks as processes of this machine (spec prunner-api.md §4): each one a shell, with a keeper beside it.

The keeper (`paas_runner.inner.keeper`) kills all that the shell has started when the shell ends, when the
task is stopped, and when this server is no more, however that came about.
"""

import asyncio
import errno
import os
import resource
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from paas_pipelines.definitions.durations import format_duration
from paas_pipelines.runs.run import NO_EXIT_CODE, TaskEnd
from paas_pipelines.tasks.job_spec import RUN_ID
from paas_pipelines.tasks.place import Output, TaskOrder
from paas_pipelines.tasks.script import rendered
from paas_pipelines.tasks.shell import (
    Report,
    Shell,
    kill_all_with,
    nameless_file,
    reported,
    session,
    shell_of_this_machine,
)
from paas_runner.inner.process import RunningProgram, launched

GRACE_SECONDS = 2.0
"""Between SIGINT and SIGKILL."""

NOT_FOR_TASKS = frozenset(
    {"PRUNNER_JWT_SECRET", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"}
)
"""Of the server's environment: its secret, and how it speaks to what has started it."""

_MOST_FILES = 65_536
_FILES_OF_A_TASK, _FILES_OF_OTHERS = 8, 256
_SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
_SHORTAGE_SECONDS = 1.0
_KILLED = 137


def with_more_files() -> int:
    """Let this process open as many files as it may; returns its limit until now, for tasks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    more = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < more:
        resource.setrlimit(resource.RLIMIT_NOFILE, (more, hard))
    return soft


class LocalPlace:
    """This machine, as the user that the server is."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        folder: Path | None = None,
        files: int | None = None,
        most_at_once: int | None = None,
        shell: Shell | None = None,
    ) -> None:
        """Tasks have `environment` but for `NOT_FOR_TASKS`, and begin in `folder`, by default the server's.

        `files` is their limit of open files, where it is not to be the server's. Of more than `most_at_once`
        some wait; by default it is as many as this process can have open files for.
        """
        self._environment = {name: value for name, value in environment.items() if name not in NOT_FOR_TASKS}
        self._folder = folder or Path.cwd()
        self._files = files
        self._shell = shell or shell_of_this_machine()
        self._room = asyncio.Semaphore(most_at_once or _most_at_once())

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        """As `Place` has it."""
        environment = {**self._environment, **order.env, RUN_ID: order.run.run_id}
        if any("\0" in text for entry in environment.items() for text in entry):
            return _broken("its environment has a zero byte")
        entering = asyncio.ensure_future(self._room.acquire())
        try:
            if not await _done(entering, stop):
                return TaskEnd(stopped=True)
            limit = order.task.definition.timeout
            return await _Task(
                shell=self._shell,
                folder=self._folder,
                files=self._files,
                order=order,
                environment=environment,
                output=output,
                stop=stop,
                deadline=asyncio.get_running_loop().time() + limit.total_seconds() if limit else None,
            ).run()
        finally:
            if not entering.cancel():
                self._room.release()


@attrs.frozen(kw_only=True)
class _Task:
    """One task at work."""

    shell: Shell
    folder: Path
    files: int | None
    order: TaskOrder
    environment: Mapping[str, str] = attrs.field(repr=False)
    output: Output
    stop: asyncio.Event
    deadline: float | None
    """By the loop's clock."""

    async def run(self) -> TaskEnd:
        """Each entry after the other, in as few sessions of a shell as it takes: an `exit` ends one."""
        script = rendered(self.order)
        tolerant = self.order.task.definition.allow_failure
        begin, noted = 0, 0
        while begin < len(script.entries):
            if self._to_end():
                return self._ended_early(noted)
            try:
                code, report = await self._session(script.entries[begin:], tolerant=tolerant)
            except OSError as error:
                if error.errno not in _SHORTAGES:
                    return self._ended_early(0) if self._to_end() else _broken(f"its shell is gone: {error}")
                await self._done(asyncio.ensure_future(asyncio.sleep(_SHORTAGE_SECONDS)))
                continue
            if code and self._to_end():
                return self._ended_early(code)
            if report.broken:
                return _broken(f"entry {begin + len(report.codes) + 1} of the script: {report.why}")
            if code and not tolerant:
                return TaskEnd(exit_code=code)
            noted = code or next(filter(None, reversed(report.codes)), noted)
            begin += len(report.codes) + 1
        return _broken(script.error) if script.error else TaskEnd(exit_code=noted)

    async def _session(self, entries: Sequence[str], *, tolerant: bool) -> tuple[int, Report]:
        """One shell from its start to its end; raises OSError."""
        with nameless_file() as (descriptor, report):
            text = session(entries, folder=self.folder, report=report, tolerant=tolerant, files=self.files)
            with nameless_file(text) as (_, written):
                code = await self._shell_ran(self.shell.command(written))
            return code, reported(os.pread(descriptor, os.fstat(descriptor).st_size, 0))

    async def _shell_ran(self, command: Sequence[str]) -> int:
        try:
            async with launched(
                command,
                folder=self.folder,
                environment=self.environment,
                write=self.output.stdout,
                errors=self.output.stderr,
                interrupted=True,
            ) as program:
                return await self._ended(program)
        except OSError as error:
            if error.errno is None:  # its keeper did not start it, or is dead
                kill_all_with({f"{name}={self.environment[name]}".encode() for name in (RUN_ID, "TASK_NAME")})
            raise

    async def _ended(self, program: RunningProgram) -> int:
        """By itself, or by SIGINT; whoever leaves its context kills what is left."""
        ended = asyncio.ensure_future(program.wait())
        try:
            if not await self._done(ended):
                program.terminate()
                await asyncio.wait({ended}, timeout=GRACE_SECONDS)
            return ended.result() if ended.done() else _KILLED
        finally:
            ended.cancel()

    async def _done(self, awaited: asyncio.Future[Any]) -> bool:
        """Whether it comes before the task is to end."""
        seconds = None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()
        return await _done(awaited, self.stop, seconds)

    def _to_end(self) -> bool:
        late = self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline
        return late or self.stop.is_set()

    def _ended_early(self, code: int) -> TaskEnd:
        if self.stop.is_set():
            return TaskEnd(exit_code=code, stopped=True)
        limit = self.order.task.definition.timeout
        return TaskEnd(
            exit_code=code or NO_EXIT_CODE,
            error=f"it took longer than {format_duration(limit or timedelta())}",
        )


async def _done(awaited: asyncio.Future[Any], stop: asyncio.Event, seconds: float | None = None) -> bool:
    """Whether it comes before `stop` is set, and within so many seconds; it goes on if not."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({awaited, stopped}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    return awaited.done()


def _broken(why: str) -> TaskEnd:
    return TaskEnd(exit_code=NO_EXIT_CODE, error=why)


def _most_at_once() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _MOST_FILES if soft == resource.RLIM_INFINITY else soft
    return max(1, (files - _FILES_OF_OTHERS) // _FILES_OF_A_TASK)
