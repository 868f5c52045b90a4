"""The whole service beside a coordinator and a cloud that answer anything: jobs run as ever afterwards."""

import asyncio
import random

import pytest
from starlette.responses import Response

from paas_runner.pipelines.jobs import LedgerKind
from tests.support.oddities import ODD_STATUSES, odd_body, odd_headers
from tests.support.virtual_world import CLOUD, COORDINATOR

DOCUMENTS = [
    {"id": 1, "token": "t", "variables": [{"key": "A", "value": "b"}], "runner_info": {"timeout": 60}},
    {"id": "app_1", "name": "hpd-job-x-1", "deployment": {"httpUrl": "https://x/y.git"}, "env": []},
    [
        {"name": "M", "mem": 8192, "available": True},
        {"type": "docker", "version": "1", "variant": {"id": "v"}},
    ],
    {"status": "running", "message": "no"},
]
_BODILESS = (204, 304)


class Moody:
    """An application before another one; as long as it is odd, it answers half of all requests by itself."""

    def __init__(self, app, rng):
        self._app = app
        self._rng = rng
        self.odd = True

    async def __call__(self, scope, receive, send):
        if not self.odd or self._rng.random() < 0.5:
            await self._app(scope, receive, send)
            return
        status = self._rng.choice(ODD_STATUSES)
        body = b"" if status in _BODILESS else odd_body(DOCUMENTS, self._rng)
        headers = {
            name.lower().encode(): value.encode("latin-1", "replace")
            for name, value in odd_headers(self._rng).items()
        }
        answer = Response(body, status_code=status)
        answer.raw_headers = [*headers.items()]
        await answer(scope, receive, send)


async def story(world, seed):
    rng = random.Random(seed)
    moody = {name: Moody(world._apps[name], rng) for name in (COORDINATOR, CLOUD)}
    world._apps |= moody
    async with world.service() as serving:
        disturbed = [world.submit(f"sleep {n}", name=f"disturbed {n}") for n in range(10)]
        await asyncio.sleep(3600)
        assert not serving.done(), "the service has ended"
        for each in moody.values():
            each.odd = False
        await asyncio.sleep(1200)
        job = world.submit("echo hello")
        await asyncio.sleep(1200)
        assert job.status == "success"
        assert not serving.done()
    assert all(job.count(LedgerKind.ACQUIRED) <= 1 for job in disturbed)
    assert max(world.launches.values(), default=0) <= 1


@pytest.mark.parametrize("seed", range(1))
def test_after_an_hour_of_odd_answers_jobs_run_as_before(play, seed):
    play(story, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 120))
def test_after_many_hours_of_odd_answers_jobs_run_as_before(play, seed):
    play(story, seed)
