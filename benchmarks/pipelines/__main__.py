"""`make bench-pipelines`: requests a second of the pipelines server, and what each of them takes."""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from paas_pipelines.api.access import signed_token

from benchmarks.figures import Figure, Spread
from benchmarks.pipelines.served import SECRET
from benchmarks.table import machine

_TREE = Path(__file__).parents[2]
_BODY = json.dumps({"pipeline": "waits", "variables": {"tag": "v1.17.4", "databases": ["mysql"]}}).encode()
_BUSY = 64

_EPILOG = """\
how it measures:
  Each figure is read of a server in a process of its own, on a data folder of its own, over sockets of
  loopback, from a client in another process that does as little as it can; every run is synchronized to the
  disk before it is answered. Both share the machine. Commits are counted, exactly; seconds depend on the
  machine: let it have nothing else to do. prunner itself (Go) is not measured beside it.

exit codes:
  0  measured
  1  the server did not answer as expected
  2  wrong arguments
"""


@attrs.frozen(kw_only=True)
class Running:
    """A server that answers."""

    port: int
    opened: float

    def request(self, method: str, path: str, body: bytes = b"") -> bytes:
        head = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
        head.append(f"Authorization: Bearer {signed_token(SECRET, {'sub': 'jane.doe'})}")
        return "\r\n".join([*head, "", ""]).encode() + body

    async def figures(self) -> Mapping[str, float]:
        client = await Client.open(self.port)
        found: Mapping[str, float] = json.loads(await client.ask(self.request("GET", "/figures")))
        client.close()
        return found


@attrs.frozen
class Client:
    """One connection that is kept."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=2**20))

    async def ask(self, request: bytes, status: int = 200) -> bytes:
        """The body of the answer; raises ValueError for another status."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if int(head.split(None, 2)[1]) != status:
            raise ValueError(head.decode())
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n")[0]
        return await self.reader.readexactly(int(length))

    def close(self) -> None:
        self.writer.close()


@contextmanager
def running(stored: int) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(prefix="paas-pipelines-benchmark-") as folder:
        command = [sys.executable, "-m", "benchmarks.pipelines.served", folder, str(stored)]
        with subprocess.Popen(command, cwd=_TREE, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout
                yield Running(**json.loads(process.stdout.readline()))
            finally:
                process.kill()


async def _schedule(server: Running, count: int, at_once: int, followers: int = 0) -> Mapping[str, float]:
    """Runs that wait a day, on so many connections."""
    request = server.request("POST", "/pipelines/schedule", _BODY)
    clients = [await Client.open(server.port) for _ in range(at_once)]
    silent = [await Client.open(server.port) for _ in range(followers)]
    for each in silent:  # they follow, and never read
        each.writer.write(server.request("GET", "/runs/stream"))
    for each in clients:
        await each.ask(request, 202)
    before, begun, took = await server.figures(), time.perf_counter(), list[float]()

    async def one_after_another(client: Client) -> None:
        for _ in range(count // at_once):
            start = time.perf_counter()
            await client.ask(request, 202)
            took.append(time.perf_counter() - start)

    await asyncio.gather(*map(one_after_another, clients))
    seconds, after = time.perf_counter() - begun, await server.figures()
    for each in (*clients, *silent):
        each.close()
    return {
        "per_second": len(took) / seconds,
        "slowest_ms": statistics.quantiles(took, n=100)[-1] * 1000,
        "cpu_ms": (after["cpu"] - before["cpu"]) / len(took) * 1000,
        "commits": (after["commits"] - before["commits"]) / len(took),
        "disk_kb": (after["written"] - before["written"]) / len(took) / 1000,
    }


async def _list(server: Running, _count: int) -> Mapping[str, float]:
    """All runs, again and again; between two of them one is new."""
    client, times, size = await Client.open(server.port), list[float](), 0
    request, schedule = (
        server.request("GET", "/pipelines/jobs"),
        server.request("POST", "/pipelines/schedule", _BODY),
    )
    for _ in range(21):
        begun = time.perf_counter()
        size = len(await client.ask(request))
        times.append(time.perf_counter() - begun)
        await client.ask(schedule, 202)
    client.close()
    return {
        "list_ms": statistics.median(times[1:]) * 1000,
        "first_ms": times[0] * 1000,
        "list_mb": size / 1e6,
        "opened_s": server.opened,
        "memory_mb": (await server.figures())["memory"] / 1e6,
    }


_COSTS = (
    Figure(key="per_second", label="runs scheduled a second", unit="", wanted=200, digits=0),
    Figure(key="slowest_ms", label="99 of 100 are answered within", unit="ms", digits=1),
    Figure(key="cpu_ms", label="processor time of the server for each", unit="ms"),
    Figure(key="commits", label="commits for each", unit=""),
    Figure(key="disk_kb", label="written to the disk for each", unit="kB", digits=1),
)
_LISTING = (
    Figure(key="list_ms", label="the list, in the client's hands", unit="ms", wanted=100, digits=0),
    Figure(key="first_ms", label="the first list, when nothing is encoded yet", unit="ms", digits=0),
    Figure(key="list_mb", label="its size", unit="MB", digits=1),
    Figure(key="opened_s", label="start, until the server answers", unit="s"),
    Figure(key="memory_mb", label="most memory of the server", unit="MB", digits=0),
)


@attrs.frozen(kw_only=True)
class Scenario:
    """What is done, and what is read of it."""

    name: str
    about: str
    figures: Sequence[Figure]
    measure: Callable[[Running, int], Awaitable[Mapping[str, float]]]
    count: int = 0
    stored: int = 0


SCENARIOS = (
    Scenario(
        name="alone",
        about="one client, one request after another",
        figures=_COSTS,
        measure=lambda server, count: _schedule(server, count, 1),
        count=1000,
    ),
    Scenario(
        name="busy",
        about=f"{_BUSY} clients at once",
        figures=_COSTS,
        measure=lambda server, count: _schedule(server, count, _BUSY),
        count=6400,
    ),
    Scenario(
        name="followed",
        about=f"{_BUSY} clients at once, and 32 that follow all runs and never read",
        figures=_COSTS,
        measure=lambda server, count: _schedule(server, count, _BUSY, 32),
        count=6400,
    ),
    Scenario(
        name="listing",
        about="10,000 stored runs of five tasks, one more between two lists",
        figures=_LISTING,
        measure=_list,
        stored=10_000,
    ),
)

Results = dict[str, dict[str, list[float]]]


def main() -> int:
    arguments = _arguments()
    where, results = machine(), Results()
    for scenario in SCENARIOS:
        if arguments.only and scenario.name not in arguments.only:
            continue
        for number in range(1, arguments.rounds + 1):
            with running(scenario.stored) as server:
                measured = asyncio.run(_measured(scenario, server))
            print(f"{scenario.name}: round {number}", file=sys.stderr, flush=True)
            for key, value in measured.items():
                results.setdefault(scenario.name, {}).setdefault(key, []).append(value)
    if arguments.json:
        print(json.dumps({"machine": where, "measured": results}, indent=1))
    else:
        print("\n".join(_table(results, where)))
    return 0


async def _measured(scenario: Scenario, server: Running) -> Mapping[str, float]:
    return await scenario.measure(server, scenario.count)


def _table(results: Results, where: Mapping[str, Any]) -> Iterator[str]:
    yield f"{where['cores']} cores ({where['processor']}), Python {where['python']}, {where['date']}"
    yield f"Load at the start {where['load']}. Of all rounds: the median (least to most)."
    yield ""
    yield "| | wanted | measured |"
    yield "|---|---|---|"
    for scenario in SCENARIOS:
        measured = results.get(scenario.name, {})
        if measured:
            yield f"| **{scenario.about}** (`{scenario.name}`) | | |"
        for figure in scenario.figures if measured else ():
            sign = "≤" if figure.unit == "ms" else "≥"
            wanted = "" if figure.wanted is None else f"{sign} {figure.wanted:g}"
            label = f"{figure.label}, {figure.unit}" if figure.unit else figure.label
            yield f"| {label} | {wanted} | {Spread(measured[figure.key]).shown(figure.digits)} |"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-pipelines",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", action="append", choices=names, metavar="SCENARIO", help="may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="how often each has its turn (default 3)")
    parser.add_argument("--json", action="store_true", help="print one JSON document, nothing else")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
