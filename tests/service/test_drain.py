"""The service drained in virtual time: what it waits for, what it certifies, what it does not hide."""

import asyncio
from contextlib import nullcontext
from datetime import timedelta

import attrs
import pytest

from paas_runner.errors import RunnerError
from paas_runner.job.capacity import Load
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import Phase
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, Delay
from paas_runner.service.drain import Certificate, Drain
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.virtual_time import virtual_now
from tests.support.records import NOW, job_in
from tests.support.tenants import MULTI, TENANTS, add_tenant, plant, submit_for
from tests.support.views import dispatch_view

CLEAN = {"drained": True, "hosts": 0, "open_intents": 0, "unreported": 0}


def numbers(certificate):
    return {key: certificate[key] for key in CLEAN}


async def until(condition):
    async with asyncio.timeout(3600):
        while not condition():
            await asyncio.sleep(0.5)


def test_tracked_jobs_run_to_their_end_and_no_others_are_taken(operate):
    async def story(world):
        async with world.service() as serving:
            jobs = [world.submit("sleep 600", name=f"job {n}") for n in range(3)]
            await until(lambda: len(world.alive) == 3)
            asking = asyncio.ensure_future(world.ask("drain", wait=True))
            await asyncio.sleep(60)
            late = world.submit("true")
            certificate = (await asking)[-1]["certificate"]
            await serving
            assert {job.status for job in jobs} == {"success"}
            assert late.count(LedgerKind.ACQUIRED) == 0
            assert numbers(certificate) == CLEAN
            assert not world.alive
        assert world.certificate.clean

    operate(story)


def test_a_request_in_flight_may_still_bring_a_job_which_is_run(operate):
    async def story(world):
        async with world.service():
            await world.reload()
            world.coordinator_faults.add(Delay(13), path="/api/v4/jobs/request")
            await asyncio.sleep(10)
            asking = asyncio.ensure_future(world.ask("drain", wait=True))
            await asyncio.sleep(1)
            job = world.submit("sleep 60")
            certificate = (await asking)[-1]["certificate"]
            assert job.status == "success"
            assert numbers(certificate) == CLEAN

    operate(story)


def test_progress_is_told_by_phase(operate):
    async def story(world):
        async with world.service():
            world.submit("sleep 600")
            await until(lambda: world.alive)
            parts = await world.ask("drain", wait=True)
        phases = [tuple(part["progress"]["phases"]) for part in parts[:-1]]
        assert phases[0] in (("provisioning",), ("provisioned",), ("launching",), ("launched",))
        assert ("running",) in phases

    operate(story, cloud=CloudOptions(boot_delay=timedelta(minutes=1)))


class _Idle:
    """A process without jobs."""

    view = dispatch_view(load=Load.of([], Limits(concurrent=1, provisioning=1)))

    def __init__(self):
        self.running = asyncio.Event()
        self.running.set()

    def drain(self):
        pass

    async def drained(self, *, patience):
        pass

    def held(self):
        return nullcontext([])


async def test_a_process_without_jobs_says_that_it_waits_for_those_of_others():
    async def others_have_some():
        return True

    stopping = asyncio.Event()
    drain = Drain(
        _Idle(), store=MemoryStore(), clock=lambda: NOW, stopping=stopping, jobs_elsewhere=others_have_some
    )
    drain.begin()
    draining = asyncio.create_task(drain.run())
    await asyncio.sleep(0.01)
    assert await anext(drain.progress()) == {"progress": {"jobs": 0, "phases": {}, "elsewhere": True}}
    stopping.set()
    await draining
    assert drain.certificate is None


async def test_hosts_on_standby_are_told_beside_the_jobs_that_are_left():
    """H140."""
    dispatcher = _Idle()
    dispatcher.view = attrs.evolve(_Idle.view, jobs=[job_in(Phase.STANDBY), job_in(Phase.RUNNING)])
    drain = Drain(dispatcher, store=MemoryStore(), clock=lambda: NOW, stopping=asyncio.Event())
    told = await anext(drain.progress())
    assert told == {"progress": {"jobs": 1, "phases": {"running": 1}, "standby": 1}}


def test_a_job_of_which_a_host_on_standby_is_left_was_reported():
    certificate = Certificate(at=NOW, jobs=[job_in(Phase.STANDBY)])
    assert not certificate.clean
    assert certificate.document["unreported"] == 0
    assert certificate.document["open_intents"] == 1


def test_an_idle_service_is_drained_soon(operate):
    async def story(world):
        async with world.service():
            began = world.seconds()
            parts = await world.ask("drain", wait=True)
            assert world.seconds() - began < 60
        assert numbers(parts[-1]["certificate"]) == CLEAN

    operate(story)


def test_a_host_that_is_left_in_place_is_named_and_nothing_is_certified(operate):
    async def story(world):
        world.write(paas_finished_jobs_keep_resources=True)
        async with world.service():
            job = world.submit("true")
            await until(lambda: job.ended)
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        [host] = certificate["left_hosts"]
        assert host["name"] == f"hpd-job-{world.key}-{job.job_id}"
        assert (certificate["drained"], certificate["hosts"]) == (False, 1)
        assert not world.certificate.clean

    operate(story)


def test_a_provider_that_does_not_answer_leaves_the_certificate_open(operate):
    async def story(world):
        async with world.service():
            await world.reload()
            world.cloud_faults.add(Answer(503), times=None)
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        assert not certificate["drained"]
        assert "the hosts of virtual" in certificate["unknown"][0]

    operate(story)


def test_a_tenant_that_cannot_be_asked_leaves_the_certificate_open_and_hides_no_other_tenants_host(operate):
    async def story(world):
        organisations = {name: add_tenant(world.gitlab, world.cloud, name) for name in TENANTS[:3]}
        world.write(more=MULTI, paas_finished_jobs_keep_resources=True)
        async with world.service():
            jobs = [submit_for(world.gitlab, name) for name in organisations]
            await until(lambda: all(job.ended for job in jobs))
            world.cloud.accounts.replace_tokens(organisations["bolt"])
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        assert (certificate["drained"], certificate["hosts"]) == (False, 2)
        ours = {f"hpd-job-{world.key}-{job.job_id}" for job in (jobs[0], jobs[2])}
        assert {host["name"] for host in certificate["left_hosts"]} == ours
        [unknown] = certificate["unknown"]
        assert unknown.startswith("the hosts of virtual that bolt pays for: ")

    operate(story)


def test_a_runner_none_of_whose_tenants_ever_had_a_host_is_drained(operate):
    async def story(world):
        add_tenant(world.gitlab, world.cloud, "acme")
        world.write(more=MULTI)
        async with world.service():
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        assert numbers(certificate) == CLEAN

    operate(story)


def test_where_no_tenant_is_known_all_who_could_pay_are_asked(operate):
    """The store may have been lost with its disk."""

    async def story(world):
        world.organisations = {"acme": add_tenant(world.gitlab, world.cloud, "acme")}
        world.write(more=MULTI)
        async with world.service():
            left = plant(world, "acme", f"hpd-job-{world.key}-7")
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        assert (certificate["drained"], certificate["hosts"]) == (False, 1)
        assert [host["host"] for host in certificate["left_hosts"]] == [left.id]

    operate(story)


def test_and_where_those_cannot_be_listed_the_certificate_stays_open(operate):
    async def story(world):
        world.write(more=MULTI)
        async with world.service():
            world.coordinator_faults.add(Answer(401), times=None, path="/api/v4/groups")
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        assert not certificate["drained"]
        assert "who may have paid for hosts of virtual" in certificate["unknown"][0]

    operate(story)


def test_hosts_of_another_installation_are_named_beside_a_certificate_about_this_one(operate):
    async def story(world):
        world.organisations = {"": world.organisation}
        async with world.service():
            other = plant(world, "", f"hpd-job-{world.key}-7", installation="the-one-before")
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        assert numbers(certificate) == CLEAN
        [named] = certificate["foreign_hosts"]
        assert (named["host"], named["installation"]) == (other.id, "the-one-before")
        assert other.id in {entry.app_id for entry in world.alive}

    operate(story)


def test_a_job_whose_runner_is_gone_is_named(operate):
    async def story(world):
        world.add_runner("second")
        world.gitlab.runners.remove(world.runners["virtual"].runner_id)
        world.write()
        async with world.service():
            job = world.submit("sleep 300")
            await until(lambda: world.alive)
            await asyncio.sleep(60)
        world.write("virtual")
        async with world.service():
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
        [left] = certificate["left_jobs"]
        assert (left["job"], left["phase"]) == (job.job_id, "running")
        assert certificate["open_intents"] == certificate["unreported"] == 1

    operate(story)


def test_a_stop_goes_before_a_drain(operate):
    async def story(world):
        serving, stopping = world.start()
        job = world.submit("sleep 600")
        await until(lambda: world.alive)
        asking = asyncio.ensure_future(world.ask("drain", wait=True))
        await asyncio.sleep(30)
        stopping.set()
        with pytest.raises(RunnerError, match="stopped before it was drained"):
            await asking
        assert await serving is None
        async with world.service():
            await world.settled(job)

    operate(story)


def test_a_reload_while_draining_takes_no_job(operate):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 300")
            await until(lambda: world.alive)
            asking = asyncio.ensure_future(world.ask("drain", wait=True))
            await asyncio.sleep(60)
            world.add_runner("second")
            world.rotate()
            world.write()
            await world.reload()
            late = world.submit("true")
            await asking
            assert (job.status, late.count(LedgerKind.ACQUIRED)) == ("success", 0)

    operate(story)


def test_a_reload_while_it_is_looked_what_is_left_disturbs_nobody(operate):
    async def story(world):
        async with world.service():
            await world.reload()
            rule = world.cloud_faults.add(Delay(5))
            asking = asyncio.ensure_future(world.ask("drain", wait=True))
            await until(lambda: rule.applied)
            for _ in range(3):
                world.rotate()
                world.write()
                await world.reload()
                await asyncio.sleep(1)
            assert numbers((await asking)[-1]["certificate"]) == CLEAN

    operate(story)


def test_a_paused_runner_takes_no_job_until_it_is_resumed_whatever_happens_meanwhile(operate):
    async def story(world):
        world.add_runner("second")
        world.gitlab.runners.remove(world.runners["second"].runner_id)
        world.write()
        async with world.service():
            running = world.submit("sleep 600")
            await until(lambda: world.alive)
            assert await world.ask("pause", runner="virtual") == [{"runner": "virtual"}]
            await asyncio.sleep(60)
            job = world.submit("true")
            world.rotate()
            world.write(concurrent=9)
            await world.reload()
            await asyncio.sleep(600)
            assert job.count(LedgerKind.ACQUIRED) == 0
            assert running.status == "success"
        async with world.service():
            await asyncio.sleep(600)
            assert job.count(LedgerKind.ACQUIRED) == 0
            await world.ask("resume", runner=world.key_at_first)
            await world.settled(job)

    operate(story, coordinator={"long_poll_seconds": 0.0})


@pytest.mark.parametrize(("name", "told"), [("nobody", "there are: virtual"), (None, "which runner")])
def test_an_unknown_runner_cannot_be_paused(operate, name, told):
    async def story(world):
        async with world.service():
            with pytest.raises(RunnerError, match=told):
                await world.ask("pause", runner=name)

    operate(story)


def test_runners_of_one_name_are_paused_by_their_short_tokens(operate):
    async def story(world):
        world.add_runner("second")
        world.write()
        world.config_file.write_text(world.config_file.read_text().replace('"second"', '"virtual"'))
        async with world.service():
            with pytest.raises(RunnerError, match="by its short token"):
                await world.ask("pause", runner="virtual")
            await world.ask("pause", runner=world.key)

    operate(story)


def test_the_certificate_says_when(operate):
    async def story(world):
        async with world.service():
            certificate = (await world.ask("drain", wait=True))[-1]["certificate"]
            assert certificate["at"].startswith(f"{virtual_now():%Y-%m-%dT%H:%M}")

    operate(story, cloud=CloudOptions(repository_delay=timedelta(seconds=1)))
