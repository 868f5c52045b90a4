"""The world as a process: it plays until its standard input ends, and is told what to do there.

    python -m benchmarks.world '{"runners": ["token"], "long_poll_seconds": 0, …}'

The first line on standard output says where it listens; then each line on standard input, a JSON object with
`do`, is answered by one line.

Left out, beside what the modules of this room say of themselves: whatever takes processor time. There is no
TLS, no router, no database, and no program runs a job. The sandbox with its real parts
(`paas_runner.sandbox`) is the place to see whether a service works; here one only sees what it needs.
"""

import asyncio
import gc
import json
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs

from benchmarks.world.books import Books
from benchmarks.world.cloud import Cloud, Distance
from benchmarks.world.coordinator import Coordinator
from benchmarks.world.http import Answer, Request, serving


class World:
    def __init__(self, options: dict[str, Any]) -> None:
        self.books = Books()
        self.coordinator = Coordinator(
            self.books,
            options["runners"],
            admin_token=options["admin_token"],
            long_poll_seconds=options["long_poll_seconds"],
        )
        self.cloud = Cloud(
            self.books,
            organisation=options["organisation"],
            token=options["cloud_token"],
            distance=Distance(**options["distance"]),
        )
        self.cloud.user_in_url = options["user_in_git_url"]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[dict[str, str]]:
        async with (
            serving(self.coordinator.answer) as self.coordinator.url,
            serving(self.cloud.answer) as self.cloud.url,
            serving(_hangs) as hung,
        ):
            yield {"coordinator": self.coordinator.url, "cloud": self.cloud.url, "hung": hung}

    def do(self, order: dict[str, Any]) -> object:
        match order.pop("do"):
            case "submit":
                return [self.coordinator.submit(**order["job"]) for _ in range(order["count"])]
            case "end":
                for job_id in order["jobs"]:
                    self.books.jobs[job_id].ends = order["at"]
                return None
            case "mark":
                self.books.mark()
                return None
            case "summary":
                return {
                    "unseen": len(self.books.unseen),
                    "requests": self.books.requests,
                    "done": self.books.done,
                    "first_request": self.books.first_request,
                    "cpu_seconds": sum(resource.getrusage(resource.RUSAGE_SELF)[:2]),
                }
            case "jobs":
                return [attrs.asdict(job) for job in self.books.jobs.values()]
        raise ValueError("unknown order")


async def _hangs(_: Request) -> Answer:
    await asyncio.Event().wait()
    return Answer(500)


async def _main(options: dict[str, Any]) -> None:
    world = World(options)
    reader = asyncio.StreamReader(limit=2**26)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer
    )
    async with world.listening() as urls:
        print(json.dumps(urls), flush=True)
        gc.freeze()
        while line := await reader.readline():
            print(json.dumps(world.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
