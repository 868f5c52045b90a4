"""The service's edges, each through the chaos: HTTP, by which it pushes, too, and the store."""

import asyncio
import contextlib
import functools
import re

import httpx

from paas_runner.helper.protocol import LAUNCH_JOB_PATH, LaunchRequest
from paas_runner.store import StoreError
from tests.simulation.chaos import Chaos, Fault

RECEIVER = "receiver.test"
"""Of notices, where a world has one."""

_LOOK = re.compile(r"/api/v4/jobs/([0-9]+)$")
_PUSH = re.compile(r"/git/([^/]+)\.git/(info/refs|git-receive-pack)$")


class Incarnation:
    """One life of the service, from a start to a crash or an orderly stop."""

    def __init__(self, chaos: Chaos) -> None:
        self._chaos = chaos
        self.dead = False
        self.serving: asyncio.Task | None = None
        self.answers = {}

    def control(self, _path, answers):
        """A control socket that only the operator reaches."""
        self.answers = answers
        return contextlib.nullcontext()

    async def point(self) -> None:
        """A moment at which the process may die; the dead stay at it."""
        if not self.dead and self._chaos.crashes():
            self.kill()
        if self.dead:
            await asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        self.dead = True
        if self.serving:
            self.serving.cancel()


class ChaoticTransport(httpx.AsyncBaseTransport):
    """A network: what was sent may arrive although its sender is gone, and the other way round."""

    def __init__(self, inner, *, side, world, incarnation) -> None:
        self._inner = inner
        self._side = side
        self._world = world
        self._life = incarnation

    async def handle_async_request(self, request):
        if request.url.host == RECEIVER:  # in calm weather: the story of all others must stay the same
            return await self._inner.handle_async_request(request)
        await self._life.point()
        if push := _PUSH.search(request.url.path):
            self._world.note_push(push[1], sent=request.method == "POST")
        if request.url.path == LAUNCH_JOB_PATH:
            wanted = LaunchRequest.from_json(request.content)
            self._world.note_helper_launch(wanted.job.job_id, wanted.config)
        if not request.url.path.endswith("/jobs/request"):
            return await self._exchanged(request)
        with self._world.one_more_asking():
            return await self._exchanged(request)

    async def _exchanged(self, request):
        fault = self._world.chaos.fault()
        rng = self._world.chaos.rng
        if self._world.is_down(self._side):
            raise httpx.ConnectError("down", request=request)
        match fault:
            case Fault.DROPPED:
                raise httpx.ConnectError("dropped", request=request)
            case Fault.HANGS:
                await asyncio.get_running_loop().create_future()
            case Fault.CONFLICT:
                return httpx.Response(409, request=request)
            case Fault.LIMITED:
                headers = {"Retry-After": str(rng.randint(0, 90))} if rng.random() < 0.7 else {}
                return httpx.Response(429, headers=headers, request=request)
            case Fault.BROKEN:
                return httpx.Response(rng.choice([500, 502, 503]), text="<html>", request=request)
        before = {Fault.SLOW: rng.uniform(0, 20), Fault.LATE: rng.uniform(30, 200)}.get(fault, 0.0)
        response = await asyncio.shield(self._world.detached(self._performed(request, before)))
        match fault:
            case Fault.TWICE:
                response = await asyncio.shield(self._world.detached(self._performed(request, 0.0)))
            case Fault.UNANSWERED:
                await asyncio.get_running_loop().create_future()
            case Fault.RESET:
                raise httpx.RemoteProtocolError("reset", request=request)
            case Fault.SLOW:
                await asyncio.sleep(rng.uniform(0, 8))
        await self._life.point()
        return _spoiled(response, fault)

    async def _performed(self, request, delay):
        """In a task of its own: the other side does not stop because we did."""
        await asyncio.sleep(delay + self._world.latency)
        if self._world.is_down(self._side):
            raise httpx.ReadError("down", request=request)
        if request.method == "PUT" and (look := _LOOK.search(request.url.path)):
            self._world.note_look(int(look[1]))
        response = await self._inner.handle_async_request(request)
        body = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=body, request=request)


def _spoiled(response, fault):
    body = response.content
    if fault is Fault.GARBAGE:
        body = b"\x00<!-- nonsense -->"
    elif fault is Fault.TRUNCATED:
        body = body[: len(body) // 2]
    else:
        return response
    headers = {key: value for key, value in response.headers.items() if key != "content-length"}
    return httpx.Response(response.status_code, headers=headers, content=body, request=response.request)


class ChaoticStore:
    """The disk: a write that was acknowledged is there, any other may be or not."""

    def __init__(self, disk, *, world, incarnation) -> None:
        self._disk = disk
        self._world = world
        self._life = incarnation

    async def jobs(self):
        return await self._disk.jobs()

    async def add(self, job):
        return await self._write(self._disk.add, job)

    async def save(self, job):
        await self._write(self._disk.save, job)

    async def forget(self, key, *, ended, history=()):
        await self._write(functools.partial(self._disk.forget, ended=ended, history=history), key)

    async def hand_on(self, giver, taker):
        await self._write(functools.partial(self._disk.hand_on, giver), taker)

    async def charge(self, charge, *, keep_from):
        return await self._write(functools.partial(self._disk.charge, keep_from=keep_from), charge)

    async def save_runners(self, runners, *, over=None):
        await self._life.point()
        saved = await self._disk.save_runners(runners, over=over)
        await self._life.point()
        return saved

    async def merge(self, jobs, *, source):
        await self._life.point()
        done = await self._disk.merge(jobs, source=source)
        await self._life.point()
        return done

    async def aclose(self):
        return None

    async def _write(self, write, what):
        await self._life.point()
        if self._world.chaos.refuses():
            raise StoreError("the disk is full")
        written = await write(what)
        self._world.note_records()
        await self._life.point()
        return written

    def __getattr__(self, name):
        """What a store can do besides goes straight to the disk."""
        return getattr(self._disk, name)
