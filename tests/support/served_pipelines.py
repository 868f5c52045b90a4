"""The API of the pipelines server on a socket of its own; tasks end when the test says so."""

import contextlib
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import httpx
from paas_pipelines.api.access import signed_token
from paas_pipelines.api.routes import BOUNDS, create_app
from paas_pipelines.api.served import Served
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Run, TaskEnd, TaskStatus
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.logs import LogFiles

from paas_runner.secret import Secret
from paas_runner.server.connections import Bounds, Connections
from tests.support.memory_journal import MemoryJournal

SECRET = Secret("not-very-secret-")
TASKS = {
    "test": TaskDefinition(script=("go test",)),
    "lint": TaskDefinition(script=("go lint",)),
    "generate": TaskDefinition(script=("go generate",)),
    "build": TaskDefinition(script=("go build",), depends_on=("generate",)),
    "deploy": TaskDefinition(script=("cp out there",), depends_on=("build", "test", "lint")),
}


def definition(name: str = "release_it", **changes: Any) -> Definition:
    return Definition(**{"name": name, "source": "fixtures", "tasks": TASKS, **changes})


def now() -> datetime:
    return datetime.now(UTC)


@attrs.frozen(kw_only=True)
class ServedPipelines:
    """A server, and a client that has a token."""

    served: Served
    client: httpx.AsyncClient
    port: int

    @property
    def engine(self) -> Engine:
        return self.served.engine

    async def schedule(self, pipeline: str = "release_it", **body: Any) -> str:
        """The id of a new run."""
        answer = await self.client.post("/pipelines/schedule", json={"pipeline": pipeline, **body})
        assert answer.status_code == 202, answer.text
        return answer.json()["jobId"]

    def end(self, run_id: str, task: str, **how: Any) -> Run:
        """Let a running task end."""
        return self.engine.task_ended(run_id, task, TaskEnd(**how))

    def complete(self, run_id: str) -> Run:
        """Let every task say something, and end well."""
        while not (run := self.engine.book.run(run_id)).completed:
            for task in run.tasks:
                if task.status is TaskStatus.RUNNING:
                    output = self.served.logs.output(run_id, task.name)
                    output.stdout(f"out from {task.name}".encode())
                    output.stderr(f"err from {task.name}".encode())
                    self.end(run_id, task.name)
        return run


def served(folder: Path, *definitions: Definition, runs: tuple[Run, ...] = (), **changes: Any) -> Served:
    """The parts, without a socket."""
    known = {each.name: each for each in definitions or (definition(),)}
    clock = changes.get("clock", now)
    journal: Journal = MemoryJournal()
    parts: dict[str, Any] = {
        "engine": Engine(clock, RunBook(runs), known),
        "journal": journal,
        "logs": LogFiles(folder / "logs", most_bytes=2**27),
        "secret": SECRET,
        "clock": clock,
    }
    return Served(**{**parts, **changes})


@contextlib.asynccontextmanager
async def serving(
    parts: Served, *, bounds: Bounds = BOUNDS, port: int = 0, **options: Any
) -> AsyncIterator[ServedPipelines]:
    """On loopback, until the end of the block."""
    connections = Connections(create_app(parts, **options), bounds)
    listening = socket.create_server(("127.0.0.1", port))
    port = listening.getsockname()[1]
    await connections.start([listening])
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=authorization(), timeout=60)
    try:
        async with client:
            yield ServedPipelines(served=parts, client=client, port=port)
    finally:
        await connections.stop()


def authorization(claims: Mapping[str, Any] | None = None, secret: Secret = SECRET) -> dict[str, str]:
    given = {"iat": int(now().timestamp())} if claims is None else claims
    return {"Authorization": f"Bearer {signed_token(secret, given)}"}
