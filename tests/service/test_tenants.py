"""Five tenants on one runner: each pays for its own hosts, and the trouble of one is nobody else's."""

import asyncio
import functools

import attrs
import pytest

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind, Project
from paas_runner.pipelines.spec import JobSpec
from paas_runner.secret import Secret
from paas_runner.server.waiting import settled
from tests.support.live_records import submitted
from tests.support.tenants import TENANTS, SharedRunner, add_tenant, plant, token_of


@pytest.fixture
def share(tmp_path):
    return functools.partial(SharedRunner.play, tmp_path)


def test_each_tenant_pays_for_its_own_hosts(share):
    async def story(world):
        async with world.service():
            jobs = {name: world.submit_for(name, "sleep 60") for name in TENANTS}
            await world.settled(*jobs.values())
        unlucky = jobs.pop("dune")
        assert {job.status for job in jobs.values()} == {"success"}
        assert (unlucky.status, unlucky.failure_reason) == ("failed", "runner_system_failure")
        assert b"has no attribute `cc_orga_token`" in unlucky.trace
        assert b"owners of the group" in unlucky.trace
        made = {(entry.organisation_id, entry.created_by) for entry in world.cloud.ledger.created}
        assert made == {(world.organisations[name], token_of(name)) for name in jobs}
        assert world.no_one_touched_anothers()

    share(story)


def test_hosts_of_a_tenant_whose_token_is_revoked_wait_for_the_next_one_across_a_crash(share):
    async def story(world):
        serving, _ = world.start()
        jobs = {name: world.submit_for(name, "sleep 600") for name in ("acme", "echo")}
        await asyncio.sleep(120)
        new = Secret("echo-second-canary")
        world.cloud.accounts.replace_tokens(world.organisations["echo"], new)
        await asyncio.sleep(1200)
        assert {job.status for job in jobs.values()} == {"success"}
        [left] = world.alive
        assert left.organisation_id == world.organisations["echo"]
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        async with world.service():
            later = world.submit_for("bolt")
            await asyncio.sleep(600)
            assert later.status == "success"
            assert world.alive == [left]
            world.attributes("echo")["cc_orga_token"] = new.reveal()
            await world.settled(later)
        assert world.no_one_touched_anothers(("echo", new))
        assert not await world.store.jobs()

    share(story)


def test_a_tenant_without_credentials_after_a_restart_loses_no_host(share):
    async def story(world):
        async with world.service():
            job = world.submit_for("acme", "sleep 600")
            await asyncio.sleep(60)
        kept = dict(world.attributes("acme"))
        world.attributes("acme").clear()
        async with world.service():
            await asyncio.sleep(1200)
            assert job.status == "success"
            assert len(world.alive) == 1
            world.attributes("acme").update(kept)
            await world.settled(job)
        assert world.no_one_touched_anothers()

    share(story)


def test_an_author_cannot_make_another_tenant_pay(share):
    async def story(world):
        async with world.service():
            claim = (Variable(key="CI_PROJECT_ROOT_NAMESPACE", value="acme"),)
            job = world.submit_for("bolt", variables=claim)
            await world.settled(job)
        assert job.status == "success"
        [entry] = world.cloud.ledger.created
        assert entry.organisation_id == world.organisations["bolt"]

    share(story)


def test_a_group_whose_path_is_the_id_of_another_runs_nothing_on_its_bill(share):
    async def story(world):
        world.gitlab.options = attrs.evolve(world.gitlab.options, tells_namespaces=False)
        number = world.gitlab.groups.id_of("acme")
        async with world.service():
            job = submitted(
                world.gitlab, JobSpec(name="j", script=("true",)), Project(full_path=f"{number}/project")
            )
            await world.settled(job)
        assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
        assert f'The group "{number}" has no attribute'.encode() in job.trace
        assert not world.cloud.ledger.created

    share(story)


@pytest.mark.parametrize("tells_namespaces", [True, False])
def test_a_host_is_removed_after_its_group_was_renamed_and_the_name_taken_by_another(share, tells_namespaces):
    async def story(world):
        world.gitlab.options = attrs.evolve(world.gitlab.options, tells_namespaces=tells_namespaces)
        async with world.service():
            job = world.submit_for("acme", "sleep 600")
            await asyncio.sleep(120)
        world.gitlab.groups.rename("acme", "acme-new")
        newcomer = add_tenant(world.gitlab, world.cloud, "acme")
        async with world.service():
            await world.settled(job)
        assert job.status == "success"
        assert world.no_one_touched_anothers()
        assert {entry.organisation_id for entry in world.cloud.ledger.created} == {
            world.organisations["acme"]
        }
        assert newcomer != world.organisations["acme"]

    share(story)


def test_a_freed_name_is_at_once_the_account_of_whoever_takes_it(share):
    async def story(world):
        world.gitlab.options = attrs.evolve(world.gitlab.options, tells_namespaces=False)
        async with world.service():
            await world.settled(world.submit_for("acme"))
            world.gitlab.groups.rename("acme", "acme-new")
            newcomer = world.cloud.add_organisation("newcomer", Secret("newcomer-canary")).id
            world.gitlab.groups.ensure("acme")
            world.attributes("acme").update(cc_orga_id=newcomer, cc_orga_token="newcomer-canary")
            later = world.submit_for("acme")
            await asyncio.sleep(200)
            assert later.status == "success"
        made = [entry.organisation_id for entry in world.cloud.ledger.created]
        assert made == [world.organisations["acme"], newcomer]

    share(story)


def test_an_orphan_of_a_tenant_is_found_and_removed_with_its_own_token(share):
    async def story(world):
        async with world.service():
            job = world.submit_for("crew")
            await world.settled(job)
            plant(world, "crew", f"hpd-job-{world.key}-{job.job_id}")
            await asyncio.sleep(1500)
        assert not world.alive
        assert world.no_one_touched_anothers()

    share(story)


def test_one_tenants_outage_delays_nobody_else(share):
    async def story(world):
        async with world.service():
            first = world.submit_for("acme", "sleep 60")
            await asyncio.sleep(30)
            world.cloud.accounts.replace_tokens(world.organisations["acme"])
            others = [world.submit_for(name, "sleep 30") for name in ("bolt", "crew", "echo")]
            await settled(world.gitlab, [job.job_id for job in others])
            await asyncio.sleep(60)
            assert {job.status for job in others} == {"success"}
            assert [entry.organisation_id for entry in world.alive] == [world.organisations["acme"]]
            world.cloud.accounts.replace_tokens(world.organisations["acme"], token_of("acme"))
            await world.settled(first)
        assert first.count(LedgerKind.ACQUIRED) == 1

    share(story)
