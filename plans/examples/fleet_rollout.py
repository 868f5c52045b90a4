"""A new version for a fleet of servers: a canary first, then the others, three at a time, each behind a gate.

    python fleet_rollout.py [healthy | sick | misleading]

The fleet is ten HTTP servers in this process. In a `sick` one the new version is not healthy on some hosts:
more of them than are tolerated, so the block fails. In a `misleading` one it says that it is healthy, and
fails its users: the continuous check of the error rate ends the roll-out. In both cases what was upgraded is
rolled back. The plan is kept in memory: a fleet that lives in this process does not outlive it either.

What it shows: checks of all kinds, a gate within a sequence, concurrency and tolerated failures, a deferred
batch for the case of failure, plugins that are plain functions, and where to find what failed.
"""

import argparse
import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs
from paas_plans import (
    Action,
    BasePlugin,
    Builder,
    CheckKind,
    Context,
    MemoryStore,
    Plan,
    PluginError,
    Registry,
    Status,
    When,
    Workstream,
    names,
    walk,
)

OLD, NEW = "1.4", "1.5"
HOSTS = 10
HIGHEST_ERROR_RATE = 0.1
TROUBLED = (3, 5, 6)
FLEETS = ("healthy", "sick", "misleading")

# --- the fleet -------------------------------------------------------------------------------------------


@attrs.define
class Server:
    """One host, as it looks from inside."""

    unhealthy_with: str
    failing_with: str
    version: str = OLD


class Answers(BaseHTTPRequestHandler):
    """`GET /health`, `POST /upgrade`."""

    def __init__(self, host: Server, *args: Any) -> None:
        self.host = host
        super().__init__(*args)

    def do_GET(self) -> None:
        """How it is."""
        version = self.host.version
        said = {"version": version, "error_rate": 0.9 if version == self.host.failing_with else 0.01}
        self._answer(503 if version == self.host.unhealthy_with else 200, said)

    def do_POST(self) -> None:
        """A version that it has already is as good as installed."""
        wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["version"]
        time.sleep(0.2)  # as servers are
        before, self.host.version = self.host.version, wanted
        self._answer(200, {"before": before})

    def _answer(self, status: int, said: dict[str, Any]) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the plan has it all."""


@contextmanager
def fleet(kind: str) -> Iterator[list[str]]:
    """Its addresses."""
    servers = []
    for number in range(HOSTS):
        trouble = kind if number in TROUBLED else "none"
        host = Server(NEW if trouble == "sick" else "", NEW if trouble == "misleading" else "")
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(Answers, host)))
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield [f"http://127.0.0.1:{server.server_port}" for server in servers]
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def asked(url: str, body: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """The status and what was said."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=3) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


# --- plugins ---------------------------------------------------------------------------------------------


@attrs.frozen
class Release:
    """A version for a host."""

    host: str
    version: str


class Upgrade(BasePlugin):
    """Installs a version; installing the same one again changes nothing, so it may be repeated."""

    name = "fleet_rollout.upgrade"
    request_type = Release
    response_type = str

    def execute(self, request: Release, context: Context) -> str:
        """The version that was there before."""
        status, said = asked(f"{request.host}/upgrade", {"version": request.version})
        if status != 200:
            raise PluginError(f"{request.host} refuses {request.version}", code=status)
        return str(said["before"])


@attrs.frozen
class Gate:
    """What has to be so before the next host is touched."""

    host: str
    version: str
    within: timedelta = timedelta(seconds=1)


class AwaitHealth(BasePlugin):
    """Looks until a host is healthy: within one call, so that it counts as one attempt."""

    name = "fleet_rollout.await_health"
    request_type = Gate
    response_type = timedelta

    def execute(self, request: Gate, context: Context) -> timedelta:
        """How long it took."""
        start = datetime.now(UTC)
        last = min(start + request.within, context.deadline)
        while problem := unhealthy(request.host, request.version):
            if datetime.now(UTC) >= last:
                raise PluginError(problem)
            time.sleep(0.1)
        return datetime.now(UTC) - start


class IsHealthy(BasePlugin):
    """A check: whether a host is healthy, with that version."""

    name = "fleet_rollout.is_healthy"
    request_type = Release
    is_check = True

    def execute(self, request: Release, context: Context) -> None:
        """Nothing, or what is wrong."""
        if problem := unhealthy(request.host, request.version):
            raise PluginError(problem)


def unhealthy(host: str, version: str) -> str | None:
    """What is wrong, if anything."""
    status, said = asked(f"{host}/health")
    if status == 200 and said["version"] == version:
        return None
    return f"{host} answers {status} with version {said['version']}, wanted is {version}"


@attrs.frozen
class Bound:
    """Of the mean of all hosts."""

    hosts: tuple[str, ...]
    most: float


class ErrorRate(BasePlugin):
    """A check: what the users of the fleet see."""

    name = "fleet_rollout.error_rate"
    request_type = Bound
    response_type = float
    is_check = True

    def execute(self, request: Bound, context: Context) -> float:
        """It, if it is within the bound."""
        rates = [float(asked(f"{host}/health")[1]["error_rate"]) for host in request.hosts]
        if (mean := sum(rates) / len(rates)) > request.most:
            raise PluginError(f"{mean:.0%} of the requests fail, {request.most:.0%} may")
        return mean


# --- the plan --------------------------------------------------------------------------------------------


def rollout(hosts: list[str]) -> Plan:
    """Of the new version."""
    build = Builder("roll out 1.5", "A new version for the fleet, a canary first.")

    build.checks(CheckKind.BYPASS)  # all of them have it: there is nothing to do
    for host in hosts:
        build.action("has it", "Whether the host has the new version.", IsHealthy.name, Release(host, NEW))
    build.up().checks(CheckKind.PRE)  # nobody upgrades a fleet that is in trouble already
    for host in hosts:
        build.action("is well", "Whether the host is healthy now.", IsHealthy.name, Release(host, OLD))
    build.up().checks(CheckKind.CONTINUOUS, delay=timedelta(seconds=0.1))
    build.action("errors", "What users see.", ErrorRate.name, Bound(tuple(hosts), HIGHEST_ERROR_RATE))
    build.up()

    canary, *others = hosts
    build.block("canary", "One host; any failure ends the roll-out.", exit_delay=timedelta(seconds=0.3))
    upgrade(build, canary)
    build.up()

    build.block("fleet", "The others; one may fail.", concurrency=3, tolerated_failures=1)
    for host in others:
        upgrade(build, host)
    build.up()

    build.checks(CheckKind.POST)  # after the last host there would be no continuous check any more
    build.action(
        "errors", "What users see in the end.", ErrorRate.name, Bound(tuple(hosts), HIGHEST_ERROR_RATE)
    )
    build.up()

    build.deferred_actions()
    build.batch("roll back", "The old version for all of them.", When.ON_FAILURE, fail_plan=True)
    for host in hosts:
        build.action("roll back", "The old version.", Upgrade.name, Release(host, OLD), retries=3)
    return build.plan()


def upgrade(build: Builder, host: str) -> None:
    """One host, and its gate."""
    build.sequence(host, "The new version, and a look at whether it works.")
    build.action("upgrade", "The new version.", Upgrade.name, Release(host, NEW), retries=2)
    build.action("gate", "It is healthy with it.", AwaitHealth.name, Gate(host, NEW))
    build.up()


async def roll_out(hosts: list[str]) -> Plan:
    """To its end."""
    registry = Registry(Upgrade(), AwaitHealth(), IsHealthy(), ErrorRate())
    async with Workstream(MemoryStore(), registry) as workstream:
        return await workstream.run(rollout(hosts))


def versions(hosts: list[str]) -> list[str]:
    """What is installed."""
    return [str(asked(f"{host}/health")[1]["version"]) for host in hosts]


def told(plan: Plan) -> Iterator[str]:
    """How it ended, and what failed where."""
    why = f" ({plan.reason.words})" if plan.state.status is Status.FAILED else ""
    yield f"{plan.name}: {plan.state.status.words}{why}"
    for step in walk(plan):
        action, is_bypass = step.item, "bypass_checks" in step.path
        if isinstance(action, Action) and action.state.status is Status.FAILED and not is_bypass:
            error = action.attempts[-1].error
            yield f"  {', '.join(names(step)[1:])}: {error.message if error else ''}"


def main() -> None:
    """Prints the end of the plan and the versions of the fleet."""
    parser = argparse.ArgumentParser(description="Roll a version out to a fleet in this process.")
    parser.add_argument("fleet", nargs="?", choices=FLEETS, default="healthy")
    with fleet(parser.parse_args().fleet) as hosts:
        plan = asyncio.run(roll_out(hosts))
        print(*told(plan), sep="\n")
        print("versions:", *versions(hosts))


if __name__ == "__main__":
    main()
