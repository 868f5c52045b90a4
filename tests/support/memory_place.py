"""A place that runs containers in memory and virtual time, as `paas_runner.container.Place` wants it.

It outlives the program that asks it: `killed_at` counts calls, and ends the program before or after one.
"""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from datetime import timedelta

import attrs

from paas_runner.container import Ended, Image, Line, Stream
from paas_runner.errors import Rejected, Transient


class KilledError(BaseException):
    """The program is no more."""


@attrs.frozen(kw_only=True)
class Program:
    """What an image does: its lines, each after a pause in seconds, and its code."""

    lines: Callable[["Container"], list[bytes | Line]]
    pause: float = 1.0
    code: int = 0
    environment: Mapping[str, str] | None = attrs.field(factory=lambda: {"KOG_ENV_CONTEXT": "true"})


def says(result="success", **more):
    """A result line; `context` may be a function of the one given."""

    def lines(container):
        found = {"result": result, **more}
        if callable(found.get("context")):
            found["context"] = found["context"](container.context)
        return [b"some words", b"KOG:" + json.dumps(found).encode()]

    return lines


@attrs.define
class Container:
    wanted: object
    program: Program
    data: bytes | None = None
    started: float | None = None
    stopped: float | None = None

    @property
    def environment(self):
        return {name: value.reveal() for name, value in self.wanted.environment.items()}

    @property
    def context(self):
        return json.loads(base64.b64decode(self.environment["KOG_CONTEXT"]))

    def ends(self):
        """When, by the loop's clock."""
        ends = self.started + self.program.pause * (len(self.program.lines(self)) or 1)
        return min(ends, self.stopped if self.stopped is not None else ends)


class MemoryPlace:
    def __init__(self, **programs):
        self.programs = programs
        self.containers = {}
        self.history = []  # of all containers that were ever started
        self.removed = []
        self.calls = []
        self.killed_at = None  # (number of the call, whether it is done before)
        self.failing = {}  # by call: errors, one a call

    def _now(self):
        return asyncio.get_running_loop().time()

    async def _call(self, name, work):
        number = len(self.calls)
        self.calls.append(name)
        await asyncio.sleep(0.01)
        if self.failing.get(name):
            raise self.failing[name].pop(0)
        if self.killed_at == (number, False):
            raise KilledError
        found = work()
        if self.killed_at == (number, True):
            raise KilledError
        return found

    def _program(self, image):
        name = image.partition(":")[0]
        if name not in self.programs:
            raise Rejected(f"no such image: {image}", service="memory", op="prepare", status=404)
        return self.programs[name]

    def _container(self, name):
        if name not in self.containers:
            raise Rejected("no such container", service="memory", op="look", status=404)
        return self.containers[name]

    async def prepare(self, wanted):
        return await self._call("prepare", lambda: Image(environment=self._program(wanted.image).environment))

    async def create(self, wanted):
        program = self._program(wanted.image)
        await self._call(
            "create", lambda: self.containers.setdefault(wanted.name, Container(wanted, program))
        )

    async def start(self, name, data=None):
        def work():
            container = self._container(name)
            if container.started is None:
                container.started, container.data = self._now(), data
                self.history.append(container)

        await self._call("start", work)

    async def lines(self, name):
        container = await self._call("lines", lambda: self._container(name))
        at = container.started
        for line in container.program.lines(container):
            at += container.program.pause
            while (left := at - self._now()) > 0:
                await asyncio.sleep(min(left, 1.0))
                if container.stopped is not None and at > container.stopped:
                    return
            yield line if isinstance(line, Line) else Line(line, Stream.OUTPUT)

    async def wait(self, name, limit=None):
        container = await self._call("wait", lambda: self._container(name))
        ends = container.ends()
        if limit is not None and ends > container.started + limit.total_seconds():
            await asyncio.sleep(max(container.started + limit.total_seconds() - self._now(), 0))
            return None
        while (left := container.ends() - self._now()) > 0:
            await asyncio.sleep(min(left, 1.0))
        return Ended(code=container.program.code if container.stopped is None else 143)

    async def stop(self, name, grace):
        assert grace == timedelta(seconds=10)

        def work():
            container = self.containers.get(name)
            if container and container.started is not None and self._now() < container.ends():
                container.stopped = self._now()

        await self._call("stop", work)

    async def remove(self, name):
        def work():
            if self.containers.pop(name, None):
                self.removed.append(name)

        await self._call("remove", work)


def unreachable():
    return Transient("no answer", service="memory", op="ask")
