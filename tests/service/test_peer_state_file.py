"""The service takes over a state file of heptapod-paas-runner, in virtual time; in tests/peer for real."""

import asyncio
import json

import pytest

from paas_runner.job.known_runner import peer_name
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.payload import job_payload
from tests.support.virtual_world import COORDINATOR


class Peer:
    """The other program as far as it concerns us: it acquires jobs and leaves a state file."""

    def __init__(self, world):
        self._world = world
        self.path = world.folder / "paas-runner-state.json"

    def pending(self, *script):
        """A job that it acquired, and the entry for it."""
        job = self._world.submit(*script)
        assert self._world.gitlab.acquire(self._world.runner.runner_id) == job
        payload = job_payload(job, url=COORDINATOR, options=self._world.gitlab.options)
        return job, [self.handle(job.job_id, job.token.reveal()), payload]

    def handle(self, job_id, token, **more):
        name = peer_name(self._world.runner.token.reveal())
        return {"runner_name": name, "job_id": job_id, "token": token} | more

    def leave(self, **lists):
        self.path.write_text(json.dumps({"launched": [], "pending": []} | lists))

    @property
    def state(self):
        return json.loads(self.path.read_text())


def test_pending_jobs_are_run_once(play):
    async def story(world):
        peer = Peer(world)
        jobs, entries = zip(*(peer.pending("sleep 60") for _ in range(3)), strict=True)
        peer.leave(pending=entries)
        async with world.service():
            await world.settled(*jobs)
        assert {job.status for job in jobs} == {"success"}
        assert {job.count(LedgerKind.ACQUIRED) for job in jobs} == {1}
        assert list(world.launches.values()) == [1, 1, 1]

    play(story)


def test_a_job_that_was_cancelled_while_nobody_ran_gets_no_host(play):
    async def story(world):
        peer = Peer(world)
        job, entry = peer.pending()
        world.gitlab.cancel(job.job_id)
        peer.leave(pending=[entry])
        async with world.service():
            await asyncio.sleep(60)
            assert not await world.store.jobs()
        assert not world.launches

    play(story)


def test_a_pending_job_in_a_form_that_nobody_can_read_is_reported(play):
    async def story(world):
        peer = Peer(world)
        job, [handle, _] = peer.pending()
        peer.leave(pending=[[handle, "half a payl"]])
        async with world.service():
            await world.settled(job)
        assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")

    play(story)


@pytest.mark.parametrize("name", ["launched", "to_decommission"])
def test_hosts_of_a_runner_that_the_configuration_lacks_are_kept_until_it_is_back(play, name):
    async def story(world):
        peer = Peer(world)
        resource = {
            "id": "app_1",
            "gitlab_namespace": None,
            "deploy_url": "https://x/y.git",
            "launched": True,
        }
        entry = peer.handle(7, "t", runner_name="departed", paas_resource=resource)
        peer.leave(**{name: [entry]})
        for _ in range(2):
            async with world.service():
                await asyncio.sleep(60)
            assert peer.state[name] == [entry]

    play(story)
