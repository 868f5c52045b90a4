"""The server that is measured: the rooms of `paas-pipelines`, with a disk, on a socket; no task is executed.

    python -m benchmarks.pipelines.served FOLDER STORED

`STORED` finished runs are in the store before it opens. It tells its port in one line; `/figures` tells what
it has taken since its start.
"""

import asyncio
import os
import resource
import socket
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from paas_pipelines.api.routes import BOUNDS, create_app
from paas_pipelines.api.served import Served
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Run, TaskStatus, scheduled
from paas_pipelines.server.listening import AccessLog
from paas_pipelines.store.opening import opened
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.plans.meters import Statements, tell
from paas_runner import logs
from paas_runner.secret import Secret
from paas_runner.server.connections import Connections

SECRET = Secret("measured-with-this-secret")
TASKS = {
    "generate": TaskDefinition(script=("go generate ./...",)),
    "lint": TaskDefinition(script=("golangci-lint run",)),
    "test": TaskDefinition(script=("go test ./...",)),
    "build": TaskDefinition(script=("go build -o bin/out",), depends_on=("generate",)),
    "deploy": TaskDefinition(script=("cp bin/out there",), depends_on=("build", "lint", "test")),
}
WAITS = Definition(name="waits", source="measured", start_delay=timedelta(days=1), tasks=TASKS)
LISTED = Definition(name="listed", source="measured", tasks=TASKS)
DEFINITIONS = {each.name: each for each in (WAITS, LISTED)}


def _now() -> datetime:
    return datetime.now(UTC)


def _finished(number: int, begin: datetime) -> Run:
    at = begin + timedelta(seconds=number)
    run = scheduled(
        LISTED,
        run_id=str(uuid.uuid4()),
        number=number,
        now=at,
        variables={"tag": f"v1.{number}", "databases": ["mysql", "postgresql"]},
        user="jane.doe",
        partition="",
    )
    tasks = [attrs.evolve(task, status=TaskStatus.DONE, start=at, end=at) for task in run.tasks]
    return attrs.evolve(run, tasks=tuple(tasks), start=at, end=at, completed=True)


async def _fill(folder: Path, count: int) -> None:
    async with opened(folder, most_log_bytes=2**20) as store:
        store.runs.save(*(_finished(number, _now()) for number in range(1, count + 1)))


async def _serve(folder: Path, stored: int) -> None:
    if stored:
        await _fill(folder, stored)
    begun = time.perf_counter()
    statements = Statements()

    async def figures(_request: Request) -> Response:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        words = Path("/proc/self/io").read_text().split()  # noqa: ASYNC240 - no disk
        return JSONResponse(
            {
                "cpu": usage.ru_utime + usage.ru_stime,
                "commits": statements.transactions,
                "written": int(words[words.index("write_bytes:") + 1]),
                "memory": usage.ru_maxrss * 1024,
            }
        )

    async with opened(folder, most_log_bytes=2**20) as store:
        served = Served(
            engine=Engine(_now, store.runs, DEFINITIONS),
            journal=store.journal,
            logs=store.logs,
            secret=SECRET,
            clock=_now,
        )
        app = AccessLog(create_app(served, own_routes=[Route("/figures", figures)]))
        listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        await Connections(app, BOUNDS).start([listening])
        tell(port=listening.getsockname()[1], opened=time.perf_counter() - begun)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with Path(os.devnull).open("w") as nowhere:
        logs.configure(level="info", form="json", stream=nowhere)
        asyncio.run(_serve(Path(sys.argv[1]), int(sys.argv[2])))
