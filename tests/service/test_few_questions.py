"""How often a job's coordinator and cloud are asked, and how late what they know is found: exact counts."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.testing.virtual_time import virtual_now
from tests.support.virtual_world import CLOUD, COORDINATOR, VirtualWorld

HOSTS_AGENT = b"python-httpx"
CLOUD_SECONDS = 1.0
SAME = 6
"""Jobs of one kind, one after the other: the first ones teach what is usual."""


class CountingWorld(VirtualWorld):
    """Its doors count what the service asks; what hosts ask is left out."""

    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        self.asked = Counter()
        self.pushed_at = None
        for url in (COORDINATOR, CLOUD):
            self._apps[url] = self._counting(self._apps[url], url)

    def _counting(self, app, url):
        async def counted(scope, receive, send):
            agent = dict(scope.get("headers", ())).get(b"user-agent", b"")
            if scope["type"] == "http" and not agent.startswith(HOSTS_AGENT):
                self.asked[url, scope["method"], _route(scope["path"])] += 1
                if scope["path"].endswith("/git-receive-pack"):
                    self.pushed_at = virtual_now()
            await app(scope, receive, send)

        return counted


def _route(path):
    return "/".join(part for part in path.split("/") if not any(letter.isdigit() for letter in part))


def of(world, side):
    return Counter({key[1:]: count for key, count in world.asked.items() if key[0] == side})


def asked(requests):
    """But for those that ask for a job: of these each job needs one."""
    return sum(count for (_method, route), count in requests.items() if not route.endswith("request"))


def at(job, kind):
    return next(entry.at for entry in job.ledger if entry.kind is kind)


async def one_after_the_other(world, script):
    """The last of some equal jobs, and its host."""
    async with world.service():
        for _ in range(SAME):
            world.asked.clear()
            submitted = world.submit(*script)
            await world.settled(submitted)
            await asyncio.sleep(5)
        return world.gitlab.latest(submitted.job_id), list(world.cloud.ledger.created)[-1]


def played(folder, *script):
    world = None

    async def story(there):
        nonlocal world
        world = there
        return await one_after_the_other(there, script)

    cloud = CloudOptions(repository_delay=timedelta(seconds=CLOUD_SECONDS))
    return (*CountingWorld.play(folder, story, cloud=cloud), world)


@pytest.mark.parametrize(("script", "looks"), [("true", 0), ("sleep 2", 3)])
def test_a_short_job_costs_ten_requests_with_those_of_its_push_and_the_looks_while_it_runs(
    tmp_path, script, looks
):
    job, _host, world = played(tmp_path, script)
    coordinator, cloud = of(world, COORDINATOR), of(world, CLOUD)
    assert job.status == "success"
    assert coordinator["POST", "/api/jobs/request"] >= 1
    assert 1 + asked(coordinator) <= 5 + looks, coordinator
    assert 1 + asked(coordinator) + asked(cloud) <= 10 + looks, (coordinator, cloud)


def test_a_host_gets_its_job_right_after_it_takes_it(tmp_path):
    job, _host, world = played(tmp_path, "true")
    waited = world.pushed_at - at(job, LedgerKind.ACQUIRED)
    assert waited.total_seconds() <= CLOUD_SECONDS + 0.15


@pytest.mark.parametrize("seconds", [2, 30, 300, 1200])
def test_a_host_goes_soon_after_its_job_has_ended(tmp_path, seconds):
    job, host, _world = played(tmp_path, f"sleep {seconds}")
    late = (host.deleted_at - at(job, LedgerKind.ENDED)).total_seconds()
    assert late <= min(max(seconds / 20, 1.0), 30.0) + 0.1
