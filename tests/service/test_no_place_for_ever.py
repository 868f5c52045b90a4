"""What is over holds nothing: no job without a host keeps a place, no host waits for a token of yesterday."""

import asyncio
import functools

import attrs
import pytest

from executors.clever import CleverDocker
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer
from paas_runner.secret import Secret
from tests.support.live_records import submitted
from tests.support.operated_world import OperatedWorld
from tests.support.pushes import AsPush
from tests.support.records import FAILURE, job_in
from tests.support.tenants import MULTI, SharedRunner, add_tenant

QUOTA = """
[quota_computation]
  reference_runner = "virtual"
  reference_flavor = "M"
  reference_jobs_count = 2
"""


@pytest.fixture
def share(tmp_path):
    return functools.partial(SharedRunner.play, tmp_path)


@pytest.fixture
def operate(tmp_path):
    return functools.partial(OperatedWorld.play, tmp_path)


def submit_of_a_user(world, *script):
    """A job in somebody's own namespace, which is no group and so has no attributes."""
    project = Project(project_id=99, full_path="someuser/project")
    return submitted(world.gitlab, JobSpec(name="of a user", script=script or ("true",)), project)


@pytest.mark.parametrize("more", ["", QUOTA], ids=["by number", "by weight"])
def test_jobs_that_nobody_pays_for_take_no_place_from_those_of_others(share, more):
    async def story(world):
        for _ in range(2):  # a restart changes nothing
            async with world.service():
                unpaid = [submit_of_a_user(world) for _ in range(4)] + [world.submit_for("dune")]
                paid = world.submit_for("acme")
                await world.settled(*unpaid, paid)
                assert paid.status == "success"
                assert {job.failure_reason for job in unpaid} == {"runner_system_failure"}
                assert all(b"knows no group" in job.trace or b"no attribute" in job.trace for job in unpaid)
                await asyncio.sleep(10)
                assert not await world.store.jobs()

    share(story, concurrent=2, more=more)


def test_a_job_refused_by_the_payers_own_account_leaves_nothing_to_remove(share):
    async def story(world):
        world.cloud.accounts.replace_tokens(world.organisations["acme"], Secret("another"))
        async with world.service():
            refused = [world.submit_for("acme") for _ in range(3)]
            paid = world.submit_for("bolt")
            await world.settled(*refused, paid)
            assert paid.status == "success"
            await asyncio.sleep(10)
            assert not await world.store.jobs()

    share(story, concurrent=2)


def stuck(world, number):
    """As an earlier version left it: a host may exist, and no one ever paid for one."""
    return job_in(
        Phase.DECOMMISSIONING,
        key=JobKey(world.key, number),
        tenant="someuser",
        host=None,
        failure=FAILURE,
    )


def test_records_of_an_earlier_version_whose_hosts_nobody_can_reach_take_no_place(share):
    async def story(world):
        for number in (901, 902):
            await world.store.save(stuck(world, number))
        async with world.service():
            paid = world.submit_for("acme")
            await world.settled(paid)
            assert paid.status == "success"
            await asyncio.sleep(10)
            assert {job.key.job_id for job in await world.store.jobs()} == {901, 902}

    share(story, concurrent=2)


def test_hosts_of_earlier_jobs_are_removed_with_the_token_of_a_reload(operate):
    async def story(world):
        world.write(concurrent=3)
        async with world.service():
            jobs = [world.submit("sleep 300", name=f"job {n}") for n in range(3)]
            await asyncio.sleep(120)
            assert len(world.alive) == 3
            world.cloud.accounts.replace_tokens(world.organisation, Secret("second-canary"))
            world.cloud_token = "second-canary"
            world.write(concurrent=3)
            await world.reload()
            fourth = world.submit("sleep 1")
            await world.settled(*jobs, fourth)
        assert {job.status for job in [*jobs, fourth]} == {"success"}
        assert not await world.store.jobs()

    operate(story)


def test_a_new_token_that_is_wrong_leaves_the_earlier_one_in_use_for_what_it_made(operate):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 300")
            await asyncio.sleep(120)
            world.cloud_token = "a-slip-of-the-pen"
            world.write()
            await world.reload()
            await world.settled(job)
        assert job.status == "success"

    operate(story)


def test_the_token_that_reads_the_groups_attributes_follows_a_reload(tmp_path):
    async def story(world):
        home = add_tenant(world.gitlab, world.cloud, "acme")
        section = MULTI.replace('"admin"', '"{}"')
        world.write(more=section.format("admin"))
        async with world.service():
            project = Project(project_id=7, full_path="acme/project")
            job = submitted(world.gitlab, JobSpec(name="job", script=("sleep 600",)), project)
            await asyncio.sleep(120)
            assert [entry.organisation_id for entry in world.alive] == [home]
            another = Secret("another-admin")
            world.gitlab.options = attrs.evolve(world.gitlab.options, admin_token=another)
            world.write(more=section.format("another-admin"))
            await world.reload()
            await world.settled(job)
        assert job.status == "success"

    OperatedWorld.play(tmp_path, story)


@pytest.mark.long
def test_an_unforeseen_error_of_the_push_ends_the_job_with_words_and_its_host(tmp_path):
    async def full(*_args, **_kwargs):
        raise ValueError("a bug with a secret in its text")

    class World(OperatedWorld):
        @property
        def executors(self):
            return {"clever-docker": lambda: CleverDocker(push=AsPush(full))}

    async def story(world):
        async with world.service():
            job = world.submit()
            await world.settled(job)
            assert world.seconds() < 20 * 60
            assert job.failure_reason == "runner_system_failure"
            assert b"could not be handed to its host within 15 min" in job.trace
            assert b"unexpected error of the runner itself (ValueError)" in job.trace
            assert b"secret" not in job.trace

    World.play(tmp_path, story)


def test_a_refused_configuration_of_a_host_that_was_just_made_leaves_no_host(share):
    async def story(world):
        world.cloud_faults.add(Answer(400, body=b"{}"), method="PUT", path="**/env")
        async with world.service():
            job = world.submit_for("acme")
            await world.settled(job)
            assert job.failure_reason == "runner_system_failure"
            await asyncio.sleep(5)
            assert not await world.store.jobs()
        assert len(world.cloud.ledger.created) == 1

    share(story, cloud=CloudOptions(env_at_creation=False))
