"""A PostgreSQL server of one's own: Debian's programs on an empty folder, reached by a socket in that folder.

It refuses to be root's, so root gives it to the user that Debian's package makes, or to nobody.
"""

import asyncio
import os
import pwd
import shutil
import signal
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from paas_runner.errors import RunnerError

START_SECONDS = 60.0
_DEBIANS = Path("/usr/lib/postgresql")
_READY = b"database system is ready to accept connections"
_TRIES = 20
_LAST_LINES = 5


class DatabaseServer:
    """One server while its block lasts; made by `database_server`. It forgets nothing when it is killed."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Take an empty folder that the server's user owns."""
        self._programs = programs
        self._folder = folder
        self._process: Process | None = None
        self._printing: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Of a database of ours on it; only who may enter the folder comes in."""
        return f"postgresql://paas-runner@/postgres?host={self._folder}"

    @property
    def pid(self) -> int:
        """Of its first process."""
        if self._process is None:
            raise RuntimeError("the server was not started")
        return self._process.pid

    async def create(self) -> None:
        """Make an empty database; raises `RunnerError` with what the server's own program says."""
        options = ("--username=paas-runner", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        process = await asyncio.create_subprocess_exec(
            self._programs / "initdb",
            *options,
            self._data,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            **self._user,
        )
        printed, _ = await process.communicate()
        if process.returncode:
            raise RunnerError(f"a PostgreSQL database could not be made: {_end(printed)}")

    async def start(self) -> None:
        """Return when it takes connections; raises `RunnerError`.

        After a `kill` the first tries may find what is left of the killed server, which goes by itself.
        """
        printed = b""
        for _ in range(_TRIES):
            options = {"listen_addresses": "", "unix_socket_directories": self._folder, "fsync": "on"}
            words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
            self._process = await asyncio.create_subprocess_exec(
                self._programs / "postgres",
                "-D",
                self._data,
                *words,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                **self._user,
            )
            async with asyncio.timeout(START_SECONDS):
                printed = await self._until_ready(self._process)
            if _READY in printed:
                self._printing = asyncio.create_task(_swallow(self._process))
                return
            await asyncio.sleep(0.5)
        raise RunnerError(f"the PostgreSQL server did not start: {_end(printed)}")

    async def kill(self) -> None:
        """As `kill -9` of its first process: the others end by themselves."""
        await self._ended(signal.SIGKILL)

    async def stop(self) -> None:
        """Cut all off at once, and write what is to be written."""
        await self._ended(signal.SIGQUIT)

    async def _ended(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.send_signal(number)
        if self._printing is not None:
            await self._printing
        await self._process.wait()
        self._process = self._printing = None

    async def _until_ready(self, process: Process) -> bytes:
        """What it prints until it is ready, or to its end."""
        printed = b""
        if process.stdout is not None:
            async for line in process.stdout:
                printed += line
                if _READY in line:
                    return printed
        await process.wait()
        return printed

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    @property
    def _user(self) -> Mapping[str, Any]:
        """Who it runs as, where we are root: the folder's owner."""
        owner = self._folder.stat()
        as_owner = (
            {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        )
        return {"cwd": self._folder, "start_new_session": True, **as_owner}


@asynccontextmanager
async def database_server() -> AsyncIterator[DatabaseServer]:
    """A server with an empty database; raises `RunnerError` where none is installed, or none starts."""
    programs = _programs()
    folder = Path(tempfile.mkdtemp(prefix="paas-runner-postgres-"))
    try:
        if os.geteuid() == 0:
            owner = _unprivileged()
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        server = DatabaseServer(programs, folder)
        await server.create()
        try:
            await server.start()
            yield server
        finally:
            await server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    """The folder of the newest server's programs: Debian keeps them off PATH."""
    found = [path.parent for path in _DEBIANS.glob("*/bin/initdb") if (path.parent / "postgres").exists()]
    newest = max(found, key=lambda path: float(path.parent.name), default=None)
    on_path = shutil.which("initdb")
    if newest is None and on_path is None:
        raise RunnerError(
            "no PostgreSQL server is installed, and two services share one: "
            "install it (Debian: apt-get install postgresql; its own server need not run)"
        )
    return newest or Path(str(on_path)).resolve().parent


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


async def _swallow(process: Process) -> None:
    """What the server goes on printing is not to fill the pipe."""
    if process.stdout is not None:
        while await process.stdout.read(65536):
            pass


def _end(printed: bytes) -> str:
    return " / ".join(printed.decode(errors="replace").split("\n")[-_LAST_LINES - 1 :]).strip(" /")
