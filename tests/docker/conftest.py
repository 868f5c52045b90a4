"""A place on a real engine, whose containers do what a variable says."""

import contextlib
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import attrs
import pytest

from paas_runner.container import Line, Stream, Wanted
from paas_runner.docker.engine import UNBOUNDED, Address, Engine
from paas_runner.docker.place import DockerPlace
from paas_runner.docker.registries import PullPolicy
from paas_runner.secret import Secret
from tests.support.engine.at_hand import EngineAtHand


@attrs.define(kw_only=True)
class World:
    engine: EngineAtHand
    image: str
    place: DockerPlace
    id: str

    def wanted(self, do: str = "true", *, name: str = "", **more) -> Wanted:
        environment = {"DO": Secret(do)} | {key: Secret(value) for key, value in more.pop("env", {}).items()}
        labels = {"paas-runner.owner": self.id, **more.pop("labels", {})}
        own = {"image": self.image, "environment": environment, "labels": labels, **more}
        return Wanted(name=f"{self.id}-{name or 'one'}", **own)

    async def started(self, do: str, data: bytes | None = None, **more) -> str:
        wanted = self.wanted(do, **more)
        await self.place.prepare(wanted)
        await self.place.create(wanted)
        await self.place.start(wanted.name, data)
        return wanted.name

    async def ran(self, do: str, data: bytes | None = None, **more) -> tuple[list[bytes], int]:
        name = await self.started(do, data, **more)
        lines = [line.text async for line in self.place.lines(name)]
        ended = await self.place.wait(name)
        await self.place.remove(name)
        return lines, ended.code

    def another(self) -> DockerPlace:
        """As another process has it."""
        return DockerPlace(self.place._engine, policy=PullPolicy.NEVER)

    def occupy(self, name: str) -> None:
        with self.engine.client() as client:
            client.create_container(self.image, name=name, labels={"paas-runner.owner": self.id})

    def inspect(self, name: str):
        with self.engine.client() as client:
            return client.inspect_container(name)

    def left(self):
        return self.engine.everything(owner=self.id)


@pytest.fixture(scope="session")
def doing(engine: EngineAtHand) -> str:
    """An image whose containers do what $DO says."""
    return doing_on(engine)


def doing_on(engine: EngineAtHand) -> str:
    dockerfile = (
        f'FROM {engine.base}\nENV GREETING=hello NAMED="a b"\nVOLUME /scratch\n'
        'ENTRYPOINT ["sh", "-c", "eval \\"$DO\\""]\n'
    )
    return engine.build("paas-runner-test/doing", dockerfile)


@contextlib.asynccontextmanager
async def docker_world(engine: EngineAtHand, image: str, **options) -> AsyncIterator[World]:
    connected = Engine(Address(url=engine.url), calls_at_once=UNBOUNDED)
    options.setdefault("policy", PullPolicy.NEVER)
    place = DockerPlace(connected, **options)
    id_ = f"place-{uuid.uuid4().hex[:10]}"
    try:
        yield World(engine=engine, image=image, place=place, id=id_)
    finally:
        await connected.aclose()
        with engine.client() as client:
            for each in client.containers(all=True, filters={"label": f"paas-runner.owner={id_}"}):
                client.remove_container(each, v=True, force=True)


@pytest.fixture
async def world(engine: EngineAtHand, doing: str) -> AsyncIterator[World]:
    async with docker_world(engine, doing) as world:
        yield world


SECOND = timedelta(seconds=1)
OUT, ERR = Stream.OUTPUT, Stream.ERRORS


def line(text: str, stream: Stream = OUT) -> Line:
    return Line(text.encode(), stream)
