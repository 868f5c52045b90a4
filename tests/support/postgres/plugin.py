"""Fixtures for tests that need a PostgreSQL server: Debian's, private, started by the first that needs it.

`postgres` is shared by all processes of a run, `database` a database of one test on it, and `start_postgres`
starts servers for one test alone, which it may end, stop, or fill. Without PostgreSQL such tests are skipped,
in CI they fail.
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from paas_runner.database_url import DatabaseUrl
from tests.support.alone import alone
from tests.support.postgres.server import (
    START_SECONDS,
    PostgresServer,
    created,
    folder_of_programs,
    replica,
)

ROOT = Path(__file__).parents[3]


class StartPostgres:
    """Call it for a server; all are gone with the test."""

    def __init__(self) -> None:
        self.started: list[PostgresServer] = []

    def __call__(self, **options: str) -> PostgresServer:
        return self._started(created(), options)

    def replica_of(self, primary: PostgresServer, **options: str) -> PostgresServer:
        """A copy that follows another one, and can be made its successor."""
        return self._started(replica(primary), options)

    def _started(self, server: PostgresServer, options: dict[str, str]) -> PostgresServer:
        self.started.append(server)
        server.start(**options)
        return server


EMPTIED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid();
DROP SCHEMA IF EXISTS paas_runner, public CASCADE;
CREATE SCHEMA public;
"""


@pytest.fixture(scope="session")
def postgres(shared_folder: Path) -> Iterator[PostgresServer]:
    """The server that all tests share: none may end it, or change its settings."""
    folder_of_programs()
    folder = shared_folder / "postgres"
    folder.mkdir(exist_ok=True)
    with (folder / "users").open("w") as users:
        with alone(folder / "starting"):
            fcntl.flock(users, fcntl.LOCK_SH)  # a server that is just ending is waited for
            if not (folder / "ready").exists():
                _start(folder)
        port, data = (folder / "ready").read_text().split(" ", 1)
        yield PostgresServer(folder=Path(data), port=int(port))


@pytest.fixture(scope="session")
def database_of_this_process(postgres: PostgresServer) -> Iterator[tuple[DatabaseUrl, psycopg.Connection]]:
    """And the administrator's session in it: to empty a database takes less than to make one."""
    place = postgres.url(f"test_{os.getpid()}")
    name = place.title.rpartition("/")[2]
    postgres.sql(f"CREATE DATABASE {name}")
    with psycopg.connect(place.url.reveal(), autocommit=True) as session:
        yield place, session
    postgres.sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(database_of_this_process: tuple[DatabaseUrl, psycopg.Connection]) -> Iterator[DatabaseUrl]:
    """One that has nothing in it but what the test puts there."""
    place, session = database_of_this_process
    yield place
    session.execute(EMPTIED + f"ALTER DATABASE {place.title.rpartition('/')[2]} RESET ALL")


@pytest.fixture
def start_postgres() -> Iterator[StartPostgres]:
    """Starts a server for one test alone, with settings of its own; gone with the test."""
    starter = StartPostgres()
    yield starter
    for server in starter.started:
        server.remove()


def _start(folder: Path) -> None:
    (folder / "failed").unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.support.postgres.guardian", str(folder)]
    subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True)  # goes on behind our back
    ends = time.monotonic() + START_SECONDS
    while not (folder / "ready").exists():
        if (folder / "failed").exists():
            pytest.fail(f"no PostgreSQL server for this test: {(folder / 'failed').read_text()}")
        if time.monotonic() > ends:
            pytest.fail(f"no PostgreSQL server within {START_SECONDS:g} seconds")
        time.sleep(0.05)
