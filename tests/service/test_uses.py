"""What jobs used of their hosts, up to the ledger; what is lost on the way is lost alone."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

import pytest

from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, DropBefore, Garbage, Hang
from paas_runner.sandbox.scripted import PLAYED_BYTES
from tests.support.virtual_world import VirtualWorld


def test_the_ledger_knows_of_each_job_what_it_used_and_what_its_host_offered(tmp_path):
    async def story(world):
        async with world.service():
            jobs = [world.submit("sleep 100", name=f"test {number}") for number in (1, 2)]
            await world.settled(*jobs)
        assert sorted(charge.job_name for charge in world.store.charges) == ["test 1", "test 2"]
        for charge in world.store.charges:
            assert charge.use.memory_bytes == PLAYED_BYTES
            assert charge.use.wall_seconds == pytest.approx(100, abs=1)
            assert (charge.memory_bytes, charge.cpus) == (8192 * 2**20, 4)
            assert charge.project

    VirtualWorld.play(tmp_path, story)


@pytest.mark.parametrize("fault", [Answer(500), DropBefore(), Hang(), Garbage()])
def test_a_log_that_cannot_be_read_costs_the_measurement_and_nothing_else(tmp_path, fault):
    async def story(world):
        world.cloud_faults.add(fault, path="/v4/logs/**")
        async with world.service():
            job = world.submit("sleep 100")
            await world.settled(job)
        [charge] = world.store.charges
        assert (job.status, charge.use) == ("success", None)
        assert charge.until == world.cloud.ledger.entry(charge.host).deleted_at
        return charge.seconds

    VirtualWorld.play(tmp_path, story)


def test_a_token_that_may_not_read_logs_costs_the_measurement_alone(tmp_path):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 100")
            await world.settled(job)
        [charge] = world.store.charges
        assert (job.status, charge.use) == ("success", None)

    VirtualWorld.play(tmp_path, story, cloud=CloudOptions(logs_refused=True))


def test_killed_before_the_host_has_gone_the_measurement_is_made_up_for(tmp_path):
    async def story(world):
        removals = world.cloud_faults.add(DropBefore(), method="DELETE")
        serving, _ = world.start()
        job = world.submit("sleep 10")
        while not removals.applied:
            await asyncio.sleep(1)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        world.cloud_faults.clear()
        async with world.service():
            await world.settled(job)
        [charge] = world.store.charges
        assert charge.use.memory_bytes == PLAYED_BYTES

    VirtualWorld.play(tmp_path, story)


@pytest.mark.parametrize(("runner", "told"), [("", True), ("cc_flavor_hint = false", False)])
def test_hosts_hear_of_smaller_flavors_unless_that_is_switched_off(tmp_path, runner, told):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 5")
            await world.settled(job)
        assert job.trace.count(b"A smaller host costs less: CI_CLEVER_CLOUD_FLAVOR=XS would do.") == told

    VirtualWorld.play(tmp_path, story, runner=runner)


@pytest.mark.long
@pytest.mark.process
async def test_an_operator_reads_which_flavor_would_have_done_by_the_clouds_own_catalogue(real):
    async with real.service():
        await real.settled(real.submit(2))
    command = [sys.executable, "-m", "paas_runner", "costs", real.config, "--rightsize", "--json"]
    asked = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    answer, messages = await asked.communicate()
    assert messages == b""
    rows = json.loads(answer)["rows"]
    assert {row["job"] for row in rows} == {"job 0", "job 1"}
    for row in rows:
        assert (row["flavors"], row["would_do"], row["confidence"]) == (["M"], "XS", "low")
        assert row["memory_bytes"]["p95"] > 2**20
        assert row["saved_per_month"] > 0
