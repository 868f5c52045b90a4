"""The judge of hosts that stay finds what it is there for, in a world in which nothing else has happened."""

from datetime import timedelta
from types import SimpleNamespace

import attrs
import pytest

from paas_runner.helper.protocol import JobKey
from paas_runner.job.cost import Charge
from paas_runner.job.tracked import Phase
from paas_runner.pipelines.jobs import Project
from paas_runner.sandbox.cloud import RUNNER_CONTEXT
from paas_runner.sandbox.helpers import HONEST, HelperLife, Turn
from paas_runner.testing.virtual_time import EPOCH, run_virtual
from tests.simulation.simulate import STAYING
from tests.simulation.stays import StayingWorld
from tests.simulation.world import Violation
from tests.support.records import job_in
from tests.support.tenants import plant

MINUTE = timedelta(minutes=1)
ACME, BOLT = (Project(full_path=f"{name}/project") for name in ("acme", "bolt"))


def told(folder, story):
    """The story of a world with two payers, without a service."""

    async def main():
        world = StayingWorld(folder, STAYING + 2)
        world.organisations = {"main": world.organisation, **world._homes}
        try:
            story(world)
        finally:
            await world.aclose()

    run_virtual(main())


def had(world, *jobs, home="main"):
    """A host of that payer which has had jobs, one after the other, each with its end and its project."""
    app = plant(world, home, "hpd-job-x-1")
    life = HelperLife(
        app_id=app.id, host="hpd-job-x-1", instance="i", manners=HONEST, started_at=EPOCH, heard_at=EPOCH
    )
    world.helpers.lives.append(life)
    shared = SimpleNamespace(runner_id=world.shared.runner_id)
    known = {}
    for number, (status, project) in enumerate(jobs, 1):
        runner = shared if project else None
        known[number] = SimpleNamespace(
            job_id=number, status=status, failure_reason=None, project=project, runner=runner
        )
        life.turns.append(Turn(job=JobKey("x", number), taken_at=EPOCH, begun_at=EPOCH))
    world.gitlab = SimpleNamespace(jobs=known)
    return life


def test_a_host_that_was_used_again_after_a_success_for_the_same_payer_is_fine(tmp_path):
    def story(world):
        had(world, ("success", ACME), ("success", ACME), ("failed", ACME), home="acme")
        world.judge_helpers()

    told(tmp_path, story)


@pytest.mark.parametrize("status", ["failed", "canceled", "running"])
def test_no_host_is_used_again_after_a_job_that_did_not_succeed(tmp_path, status):
    def story(world):
        had(world, (status, None), ("success", None))
        with pytest.raises(Violation, match=f"which is {status}"):
            world.judge_helpers()

    told(tmp_path, story)


@pytest.mark.parametrize(("project", "home"), [(BOLT, "acme"), (ACME, "main"), (None, "acme")])
def test_no_host_has_jobs_of_two_payers(tmp_path, project, home):
    def story(world):
        first = ACME if home == "acme" else None
        had(world, ("success", first), ("success", project), home=home)
        with pytest.raises(Violation, match="had jobs of others"):
            world.judge_helpers()

    told(tmp_path, story)


def test_no_job_meets_another_jobs_files(tmp_path):
    def story(world):
        life = had(world, ("success", None), ("success", None))
        life.turns[1].met = [life.turns[0].job]
        with pytest.raises(Violation, match="met the files"):
            world.judge_helpers()

    told(tmp_path, story)


def test_a_job_that_was_begun_on_two_hosts_counts_twice(tmp_path):
    def story(world):
        for _ in range(2):
            life = had(world, ("success", None))
            world.helpers.app_ids.add(life.app_id)
        assert world._launches() == {"hpd-job-x-1": 2}

    told(tmp_path, story)


@pytest.mark.parametrize("apart", [-MINUTE, MINUTE])
def test_the_charges_of_a_host_follow_each_other(tmp_path, apart):
    def story(world):
        first = Charge(
            key=job_in(Phase.GONE).key,
            tenant="",
            host="app_1",
            flavor="M",
            since=EPOCH,
            until=EPOCH + 10 * MINUTE,
            price=1.0,
        )
        second = attrs.evolve(first, since=first.until, until=first.until + 5 * MINUTE)
        world.store = SimpleNamespace(charges=[second, first])
        world.judge_charges()
        late = attrs.evolve(second, since=second.since + apart)
        world.store = SimpleNamespace(charges=[late, first])
        with pytest.raises(Violation, match="apart"):
            world.judge_charges()

    told(tmp_path, story)


def test_hosts_on_standby_weigh_as_others_do(tmp_path):
    def story(world):
        world.reference_jobs = 1
        records = [job_in(Phase.RUNNING), job_in(Phase.STANDBY)]
        names = ["hpd-job-x-1", "hpd-job-x-2"]
        world.store = SimpleNamespace(
            _jobs={
                name: attrs.evolve(job, host=attrs.evolve(job.host, name=name))
                for name, job in zip(names, records, strict=True)
            }
        )
        flavors = world.cloud.catalogue.flavors(RUNNER_CONTEXT)
        [medium] = [each for each in flavors if each.name.endswith("-M")]
        for name in names:
            world.judge_weight()
            app = plant(world, "main", name)
            entry = world.cloud.ledger._entries[app.id]
            world.cloud.ledger._entries[app.id] = attrs.evolve(entry, flavor=medium.name)
        with pytest.raises(Violation, match="hosts weigh"):
            world.judge_weight()

    told(tmp_path, story)
