"""A PostgreSQL server for tests, by Debian's packages: private, on loopback and a unix socket."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import attrs
import psycopg

from paas_runner.database_url import DatabaseUrl, database_url
from tests.support.requirements import missing_here

START_SECONDS = 60.0
PASSWORD = "never-shown-7f3a"
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # no test cuts the power
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "log_min_messages": "fatal",
}


def folder_of_programs() -> Path:
    """Where `initdb` and `postgres` are; without them the test is skipped, in CI it fails."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if debian:
        return debian[-1]
    if (found := shutil.which("postgres")) is None:
        missing_here("not installed: postgresql")
    return Path(found).resolve().parent


def _user() -> str | None:
    """PostgreSQL refuses to be root's."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@attrs.define
class PostgresServer:
    """One server in a folder of its own; made by `created`."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def url(
        self, database: str = "postgres", *, user: str = "postgres", password: str = PASSWORD, query: str = ""
    ) -> DatabaseUrl:
        return database_url(f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}{query}")

    def sql(self, *statements: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run them as the administrator, each for itself; the rows of the last one."""
        with psycopg.connect(self.url(database).url.reveal(), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self, **options: str) -> None:
        """Return when it answers."""
        settings = {**OPTIONS, "port": str(self.port), "unix_socket_directories": str(self.folder), **options}
        command = [folder_of_programs() / "postgres", "-D", self.folder / "data"]
        command += [f"--{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, user=_user(), stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                self.sql("SELECT 1")
            except psycopg.OperationalError as error:
                ended = self.process is not None and self.process.poll() is not None
                if ended or time.monotonic() > ends:
                    raise RuntimeError((self.folder / "log").read_text()[-2000:]) from error
                time.sleep(0.02)
            else:
                return

    @property
    def user(self) -> str | int:
        """Whose the processes and files are."""
        return _user() or os.geteuid()

    def ready(self) -> None:
        """Start it, if it does not run, and let it go on, if it stands still."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        self.send(signal.SIGCONT)

    def send(self, number: int) -> None:
        """To all of its processes: SIGKILL as the machine would, SIGSTOP and SIGCONT as a hung one."""
        assert self.process
        for pid in [*_children(self.pid), self.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if number == signal.SIGKILL:
            self.process.wait()

    def stop(self, how: int = signal.SIGINT) -> None:
        """SIGINT: all connections are cut; SIGQUIT: so is all that goes on."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.send(signal.SIGKILL)

    def restart(self, **options: str) -> None:
        self.stop()
        self.start(**options)

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def created(base: Path | None = None) -> PostgresServer:
    """A new server that is not started yet."""
    programs = folder_of_programs()
    folder = Path(tempfile.mkdtemp(prefix="paas-runner-postgres-", dir=base))
    user = _user()
    (folder / "password").write_text(PASSWORD)
    for path in (folder, folder / "password"):
        if user:
            shutil.chown(path, user)
    command = [programs / "initdb", "-D", folder / "data", "-U", "postgres", "--pwfile", folder / "password"]
    command += [
        "--auth=scram-sha-256",
        "--no-sync",
        "--no-instructions",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
    ]
    subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)
    return PostgresServer(folder=folder, port=_free_port())


def replica(primary: PostgresServer) -> PostgresServer:
    """A copy that follows `primary`, not started yet."""
    folder = Path(tempfile.mkdtemp(prefix="paas-runner-postgres-"))
    if user := _user():
        shutil.chown(folder, user)
    command = [folder_of_programs() / "pg_basebackup", "-D", folder / "data", "--write-recovery-conf"]
    command += ["--checkpoint=fast", "--no-sync", "-d", primary.url().url.reveal()]
    subprocess.run(command, user=user, cwd="/", check=True, stdout=subprocess.DEVNULL)
    return PostgresServer(folder=folder, port=_free_port())


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in listed.split()]
