"""The helper of the simulated hosts: the protocol, its lease, and the ways in which it may fail."""

import asyncio
import contextlib
import json

import httpx
import pytest

from paas_runner.helper.protocol import JobKey, LaunchRequest
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.helpers import Cleaning, Manners
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.clouds import TOKEN, new_application
from tests.support.virtual_world import COORDINATOR, VirtualWorld

IMAGE = {"Dockerfile": b'FROM x\nCMD ["--http1", "--listen-address", "0.0.0.0:8080"]\n'}
ENVIRONMENT = {"HEPTAPOD_PAAS_RUNNER_TOKEN": "secret", "PAAS_RUNNER_LEASE_SECONDS": "300"}
LAUNCHED, CONFLICT, BUSY = 201, 409, 503


class HelperWorld(VirtualWorld):
    """One helper, and somebody who gets jobs of the coordinator for it."""

    async def deployed(self, **environment):
        home = self.cloud.add_organisation("Another", TOKEN)
        self.app = new_application(
            self.cloud, home, instanceLifetime="REGULAR", env={**ENVIRONMENT, **environment}
        )
        self.cloud.received_push(self.app.id, "c1", IMAGE)
        await asyncio.sleep(5)
        self.client = httpx.AsyncClient(
            transport=self._transport(f"https://{self.app.domain}"),
            base_url=f"https://{self.app.domain}",
            headers={"Authorization": "Bearer secret"},
            timeout=None,
        )

    async def acquired(self, *script) -> tuple[Job, LaunchRequest]:
        self.gitlab.submit_job(JobSpec(name="job", script=script or ("sleep 60",)))
        answer = await self.call("POST", "/api/v4/jobs/request", {"token": self.runner.token.reveal()})
        runner = {"url": COORDINATOR, "token": "x", "executor": "docker", "name": "x"}
        config = "[[runners]]\n" + "".join(f'{name} = "{value}"\n' for name, value in runner.items())
        found = json.loads(answer.text)
        request = LaunchRequest(job=JobKey("abc", found["id"]), specification=answer.text, config=config)
        return self.gitlab.jobs[found["id"]], request

    async def call(self, method, path, body):
        transport = self._transport(COORDINATOR)
        async with httpx.AsyncClient(transport=transport, base_url=COORDINATOR) as client:
            return await client.request(method, path, json=body)

    async def launch(self, request, **headers):
        return (await self.client.post("/launch-job", json=request.as_json(), headers=headers)).status_code

    async def takes(self):
        return (await self.client.get("/can-take-job")).json()

    async def status(self, request):
        answer = await self.client.get(request.job.path)
        return answer.json() if answer.status_code == 200 else answer.status_code

    async def forget(self, request):
        return await self.client.delete(request.job.path)

    @property
    def life(self):
        return self.helpers.lives[-1]

    @property
    def machine_is_up(self):
        return self.app.port is not None

    @classmethod
    def tell(cls, folder, story, *, manners=None, **environment):
        async def main():
            world = cls(folder)
            world.manners = manners or world.manners
            try:
                await world.deployed(**environment)
                await asyncio.wait_for(story(world), 30 * 3600)
            finally:
                await world.aclose()

        run_virtual(main())


def test_a_job_is_run_once_reports_by_itself_and_is_forgotten_with_its_files(tmp_path):
    async def story(world):
        job, request = await world.acquired("echo hello", "sleep 60")
        instance = (await world.client.get("/can-take-job")).headers["paas-runner-instance"]
        assert await world.takes() is True
        placed = {"PaaS-Runner-Instance": instance}
        assert [await world.launch(request, **placed) for _ in range(2)] == [LAUNCHED, LAUNCHED]
        assert await world.takes() is False
        assert await world.status(request) == {"running": True, "exit_code": None}
        other, later = await world.acquired("exit 3")
        assert await world.launch(later) == BUSY
        await asyncio.sleep(70)
        assert await world.status(request) == {"running": False, "exit_code": 0}
        assert (job.job_id and world.gitlab.jobs[job.job_id].status) == "success"
        assert b"hello" in world.gitlab.trace(job.job_id)
        assert await world.takes() is False
        assert (await world.forget(request)).status_code == 200
        assert (await world.takes(), await world.status(request)) == (True, 404)
        assert await world.launch(request) == CONFLICT
        assert await world.launch(later) == LAUNCHED
        await asyncio.sleep(20)
        assert await world.status(later) == {"running": False, "exit_code": 1}
        assert world.helpers.begun == {request.job: 1, later.job: 1}
        assert [turn.met for turn in world.life.turns] == [(), ()]
        assert other.job_id == later.job.job_id

    HelperWorld.tell(tmp_path, story)


def test_another_machine_that_took_its_place_does_not_take_the_job_that_was_meant_for_the_first(tmp_path):
    async def story(world):
        _, request = await world.acquired()
        placed = {"PaaS-Runner-Instance": world.life.instance}
        assert await world.launch(request, **placed) == LAUNCHED
        world.cloud.lose_instance(world.app, replaced=True)
        await asyncio.sleep(60)
        assert await world.status(request) == 404
        assert await world.launch(request, **placed) == CONFLICT
        assert len(world.helpers.lives) == 2
        assert world.helpers.lives[0].ended_at is not None

    HelperWorld.tell(tmp_path, story)


def test_nobody_without_the_token_is_answered_or_renews_the_lease(tmp_path):
    async def story(world):
        for _ in range(10):
            answer = await world.client.get("/can-take-job", headers={"Authorization": "Bearer wrong"})
            if answer.status_code != 401:
                break
            assert "paas-runner-instance" not in answer.headers
            await asyncio.sleep(60)
        assert world.life.ended_at is not None

    HelperWorld.tell(tmp_path, story)


def test_asked_in_time_it_stays_and_not_asked_it_ends_and_nothing_takes_its_place(tmp_path):
    """Without us no machine is left but for as long as it is still replaced (H131)."""

    async def story(world):
        for _ in range(20):
            await asyncio.sleep(250)
            assert await world.takes()
        before = virtual_now()
        await asyncio.sleep(86400)
        assert len(world.helpers.lives) == 1
        assert (world.life.ended_at - before).total_seconds() == pytest.approx(300)
        assert world.helpers.refused_starts == 1
        billed = world.cloud.ledger.entry(world.app.id).billed(virtual_now()).total_seconds()
        assert 20 * 250 + 300 < billed < 20 * 250 + 300 + 15 * 60
        assert not world.machine_is_up

    HelperWorld.tell(tmp_path, story, PAAS_RUNNER_START_UNTIL=str(virtual_start() + 600))


def virtual_start():
    """The beginning of time, in Unix seconds."""

    async def now():
        return virtual_now().timestamp()

    return run_virtual(now())


def test_a_job_keeps_its_helper_until_its_own_deadline(tmp_path):
    async def story(world):
        job, request = await world.acquired("sleep 100000")
        limit = json.loads(request.specification)["runner_info"]["timeout"]
        world.manners_of_job = job
        assert await world.launch(request) == LAUNCHED
        await asyncio.sleep(limit - 60)
        assert world.life.ended_at is None
        await asyncio.sleep(60 + 600 + 300 + 60)
        assert world.life.ended_at is not None
        assert world.gitlab.jobs[job.job_id].status == "failed"

    HelperWorld.tell(tmp_path, story)


FAULTS = {
    "refuses": Manners(refuses=True),
    "never starts it": Manners(begins=False),
    "runs for ever": Manners(runs_for_ever=True),
    "loses it": Manners(loses_after=30),
    "dies": Manners(dies_after=40),
    "hangs": Manners(hangs_after=40),
    "says that it is not clean": Manners(cleaning=Cleaning.SAYS_NO),
    "lies about it": Manners(cleaning=Cleaning.LIES),
    "is slow to clean": Manners(cleaning_seconds=200),
}


async def _played(world):
    """What is seen of two jobs, one after the other."""
    _, first = await world.acquired("sleep 60")
    _, second = await world.acquired("sleep 1")
    seen = [await world.takes(), await world.launch(first)]
    await asyncio.sleep(90)
    seen.append(await world.status(first))
    with contextlib.suppress(json.JSONDecodeError):
        answer = await world.forget(first)
        seen += [answer.status_code, answer.headers.get("paas-runner-clean"), await world.takes()]
        seen.append(await world.launch(second))
        await asyncio.sleep(10)
    return seen


GOOD_END = {"running": False, "exit_code": 0}
RUNS = {"running": True, "exit_code": None}


@pytest.mark.parametrize(
    ("fault", "seen", "begun"),
    [
        ("refuses", [True, BUSY, 404, 200, None, True, BUSY], 0),
        (
            "never starts it",
            [True, LAUNCHED, RUNS, 200, None, True, LAUNCHED],
            0,
        ),
        (
            "runs for ever",
            [True, LAUNCHED, RUNS, 200, None, True, LAUNCHED],
            2,
        ),
        ("loses it", [True, LAUNCHED, 404, 200, None, True, LAUNCHED], 2),
        ("dies", [True, LAUNCHED, BUSY], 1),
        ("hangs", [True, LAUNCHED, BUSY], 1),
        ("says that it is not clean", [True, LAUNCHED, GOOD_END, 200, "no", False, BUSY], 1),
        ("lies about it", [True, LAUNCHED, GOOD_END, 200, None, True, LAUNCHED], 2),
        ("is slow to clean", [True, LAUNCHED, GOOD_END, 202, None, False, BUSY], 1),
    ],
)
def test_each_fault_is_seen_as_it_is_meant(tmp_path, fault, seen, begun):
    async def story(world):
        assert await _played(world) == seen
        assert sum(world.helpers.begun.values()) == begun
        met = [key for turn in world.helpers.turns for key in turn.met]
        assert bool(met) is (fault == "lies about it")

    HelperWorld.tell(tmp_path, story, manners=FAULTS[fault])
