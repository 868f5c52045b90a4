"""Jobs on an executor that offers nothing but its verbs."""

import random

import pytest

from paas_runner.coordinator import JobStatus
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.effects import Effects
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.executor import RunnerSection
from paas_runner.job.decision import Action, Policy
from paas_runner.job.events import Decommissioned, Failed, HostChecked, HostCreated, HostReady, Launched
from paas_runner.job.pace import FIRST_LIFE
from paas_runner.job.tracked import Phase
from tests.support.outside_world import RHYTHM
from tests.support.records import NOW, job_in
from tests.support.shelves import ShelfExecutor, ShelfSettings, Warehouse

POLICY = Policy()


class Coordinator:
    async def status(self, job_id, token):
        return JobStatus.RUNNING


@pytest.fixture
def warehouse():
    return Warehouse()


@pytest.fixture
def effects(warehouse):
    section = RunnerSection(
        name="shelves", url="http://gitlab.test", short_token="abc123xyz", forwarded={}, installation="one"
    )
    served = ActiveRunner(
        key="abc123xyz",
        name="shelves",
        coordinator=Coordinator(),
        executor=ShelfExecutor(ShelfSettings(), section, warehouse),
        policy=POLICY,
        rhythm=RHYTHM,
        counters=Counters(),
    )
    return Effects(runner=served, clock=lambda: NOW, rng=random.Random(1))


async def test_its_host_comes_gets_the_job_and_goes(effects, warehouse):
    created = await effects.perform(Action.PROVISION, job_in(Phase.PROVISIONING, host=None))
    assert isinstance(created, HostCreated)
    assert (
        await effects.perform(Action.CHECK_READY, job_in(Phase.PROVISIONED, host=created.host)) == HostReady()
    )
    launched = await effects.perform(Action.LAUNCH, job_in(Phase.LAUNCHING, host=created.host))
    assert launched == Launched(until=NOW + FIRST_LIFE.shortest)
    assert [shelf.jobs for shelf in warehouse.shelves.values()] == [[1]]
    gone = await effects.perform(Action.DECOMMISSION, job_in(Phase.DECOMMISSIONING, host=created.host))
    assert gone == Decommissioned()
    assert not warehouse.shelves


async def test_its_host_is_looked_at_in_vain_even_when_it_has_vanished(effects):
    checked = await effects.perform(Action.CHECK_HOST, job_in(Phase.RUNNING))
    assert checked == HostChecked(until=NOW + POLICY.host_every)


async def test_a_silent_job_fails_without_an_account_of_its_host(effects):
    failed = await effects.perform(Action.GIVE_UP_WAITING, job_in(Phase.LAUNCHED))
    assert isinstance(failed, Failed)
    assert failed.failure.text.endswith(f"within {POLICY.life_within.total_seconds():g} seconds.")
