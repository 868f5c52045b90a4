"""The helper service in process: a scripted host instead of this machine, and real sockets."""

import asyncio
import contextlib
import json

import attrs
import pytest

from paas_runner.helper.access import Access
from paas_runner.helper.book import Book
from paas_runner.helper.http1 import Http1Verbs
from paas_runner.helper.http1_listener import Bounds, Http1Listener
from paas_runner.helper.lease import Lease
from paas_runner.helper.protocol import JobKey, LaunchRequest
from paas_runner.helper.service import HelperService
from paas_runner.secret import Secret

TOKEN = "correct-horse"
BOUNDS = Bounds()
CONTAINERS = '[[runners]]\nurl = "http://c.test"\ntoken = "abc"\nexecutor = "docker"\n'


def launch(job_id=7, *, runner="r", config=CONTAINERS, timeout=3600):
    specification = {"id": job_id, "token": "job-token", "runner_info": {"timeout": timeout}}
    return LaunchRequest(job=JobKey(runner, job_id), specification=json.dumps(specification), config=config)


class ScriptedChild:
    """Runs until it is told to end, and ends as it is told."""

    def __init__(self):
        self.ended = asyncio.get_running_loop().create_future()
        self.asked_to_end = False

    async def wait(self):
        return await asyncio.shield(self.ended)

    async def end(self):
        self.asked_to_end = True
        if not self.ended.done():
            self.ended.set_result(1)
        return await self.wait()


class ScriptedHost:
    """Remembers which jobs have begun here, and is as clean as it is told."""

    def __init__(self):
        self.begun = []
        self.children = []
        self.cleaned = 0
        self.left = ""
        self.not_now = ""
        self.refusal = None
        self.cleaning = asyncio.Event()
        self.cleaning.set()

    @property
    def child(self):
        return self.children[-1]

    async def trouble(self):
        return self.not_now

    @contextlib.asynccontextmanager
    async def running(self, ordered):
        if self.refusal:
            raise OSError(self.refusal)
        self.begun.append(ordered.job.job_id)
        self.children.append(ScriptedChild())
        yield self.child

    async def clean(self):
        await self.cleaning.wait()
        self.cleaned += 1
        return self.left


@attrs.define(kw_only=True)
class World:
    folder: object
    host: ScriptedHost
    said: list = attrs.field(factory=list)
    lease_seconds: float = 600
    options: dict = attrs.field(factory=dict)

    @contextlib.asynccontextmanager
    async def alive(self):
        """One life of the service on this machine."""
        lease = Lease(
            idle_seconds=self.lease_seconds,
            margin_seconds=600,
            renewed_at=asyncio.get_running_loop().time(),
        )
        with Book.opened(self.folder) as book:
            service = HelperService(book, self.host, lease, say=self.said.append, **self.options)
            async with service.lived():
                yield service

    @contextlib.asynccontextmanager
    async def listening(self, *, token=TOKEN, bounds=BOUNDS):
        """The same with HTTP/1 on a port of its own."""
        async with self.alive() as service:
            access = Access(service=service, token=token and Secret(token))
            async with Http1Listener.listening(Http1Verbs(access), "127.0.0.1", 0, bounds=bounds) as port:
                yield service, port


@pytest.fixture
async def world(tmp_path):
    return World(folder=tmp_path / "state", host=ScriptedHost())


async def settled():
    """Everything that can go on has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)
