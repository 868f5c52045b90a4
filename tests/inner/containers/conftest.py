"""Inner runners whose jobs run in containers of a real engine."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import attrs
import pytest

from paas_runner.docker.labels import OBJECT_LABELS_VARIABLE
from paas_runner.inner import Stops
from paas_runner.inner.shell import shell_for
from paas_runner.job.variables import Variable
from paas_runner.pipelines.spec import ImageSpec
from tests.support.engine.at_hand import EngineAtHand
from tests.support.hosts import Hosts, hosts, script
from tests.support.live_records import LiveJob

GREETER = """\
import os, socket, sys
listening = socket.create_server(("", int(os.environ.get("PORT", "7000"))))
print("ready to greet", os.environ.get("SECRET", "nobody"), flush=True)
while True:
    connection, _ = listening.accept()
    connection.sendall(" ".join([os.environ.get("GREETING", "hello"), *sys.argv[1:]]).encode() + b"\\n")
    connection.close()
"""


@attrs.frozen(kw_only=True)
class Docker:
    """A coordinator and an engine; `owner` is a label of all that jobs make there."""

    engine: EngineAtHand
    world: Hosts = attrs.field(factory=hosts)
    owner: str = attrs.field(factory=lambda: uuid.uuid4().hex)
    said: list[str] = attrs.field(factory=list)
    """Lines for the host's own log."""

    @property
    def url(self) -> str:
        """Of a coordinator that no other test has: tests that run side by side must not be the same job."""
        return f"http://{self.owner}.test"

    def toml(self, more: str = "", **options: Any) -> str:
        given = {"host": self.engine.url, "image": self.engine.base, "pull_policy": "if-not-present"}
        lines = [f"{key} = {_toml(value)}" for key, value in {**given, **options}.items()]
        head = f'[[runners]]\nname = "demo"\nurl = "{self.url}"\ntoken = "abcdefghi"\nexecutor = "docker"\n'
        return "\n".join([head, "[runners.docker]", *lines, more])

    async def ran(self, *lines: str, **more: Any) -> LiveJob:
        """A job that has ended, without leaving anything on the engine."""
        async with self.running(*lines, **more) as (job, running):
            await running
        return job

    @contextlib.asynccontextmanager
    async def running(
        self,
        *lines: str,
        options: dict[str, Any] | None = None,
        toml: str = "",
        change: Callable[[dict[str, Any]], object] = lambda payload: None,
        stops: Stops | None = None,
        **more: Any,
    ) -> AsyncIterator[tuple[LiveJob, asyncio.Task[int]]]:
        """A job that runs; `change` is done to its payload before."""
        if isinstance(more.get("image"), str):
            more["image"] = ImageSpec(name=more["image"])
        job, job_json = self.world.handed_out(script(*lines, **more))
        payload = json.loads(job_json)
        change(payload)
        runner = self.world.inner(shell=shell_for, say=self.said.append)
        running = asyncio.create_task(
            runner.run(self.toml(toml, **(options or {})), json.dumps(payload), stops)
        )
        try:
            yield job, running
            async with asyncio.timeout(60):
                await asyncio.wait({running})
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert self.left() == set()

    def containers(self, role: str = "") -> list[dict[str, Any]]:
        """What the engine tells of those that are there now."""
        with self.engine.client() as client:
            found = client.containers(all=True, filters={"label": f"paas-runner.owner={self.owner}"})
            return [client.inspect_container(each) for each in found if each["Names"][0].endswith(role)]

    def left(self) -> set[tuple[str, str]]:
        return self.engine.everything(owner=self.owner)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


@pytest.fixture
def docker(engine: EngineAtHand, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    found = Docker(engine=engine)
    monkeypatch.setenv(OBJECT_LABELS_VARIABLE, f"paas-runner.owner={found.owner},paas-runner.other=1")
    yield found
    assert found.left() == set()


@pytest.fixture(scope="session")
def greeter(engine: EngineAtHand) -> str:
    dockerfile = (
        f"FROM {engine.base}\nCOPY greeter.py /greeter.py\nEXPOSE 7000\n"
        'ENTRYPOINT ["python3", "/greeter.py"]\nCMD ["there"]\n'
    )
    return engine.build("paas-runner-test/greeter", dockerfile, **{"greeter.py": GREETER})


def text(job: LiveJob) -> str:
    return job.trace.decode()


def variables(**values: str) -> tuple[Variable, ...]:
    return tuple(Variable(key=key, value=value, raw=True) for key, value in values.items())


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # neither engines nor processes notify of a change
            await asyncio.sleep(0.05)
