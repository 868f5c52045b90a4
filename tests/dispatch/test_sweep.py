"""One look for orphans, with records that change while it lasts."""

from datetime import timedelta

import attrs
import pytest

from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.sweep import MOST_REMOVALS, Sweep
from paas_runner.dispatch.view import Observer
from paas_runner.errors import Transient
from paas_runner.job.decision import Policy
from paas_runner.job.limits import Limits
from paas_runner.job.orphans import GRACE
from paas_runner.job.tracked import Host, Phase, SeenHost
from paas_runner.testing.memory_store import MemoryStore
from tests.support.outside_world import RHYTHM
from tests.support.records import NOW, job_in
from tests.support.records import job as new_job


class Provider:
    """Hosts in a dictionary; `meanwhile` happens between the making of a list and its arrival."""

    def __init__(self):
        self.there = {}
        self.removed = []
        self.meanwhile = lambda: None
        self.after_a_removal = lambda: None
        self.broken = False

    def add(self, job, ref=""):
        ref = ref or f"app_{job.key.job_id}"
        self.there[ref] = SeenHost(name=job.host_name, ref=ref, created_at=NOW - 2 * GRACE, busy=False)

    async def hosts(self, tenant):
        listed = list(self.there.values())
        self.meanwhile()
        return listed

    async def decommission(self, removal):
        assert not removal.search
        host = removal.host
        assert self.there[host.ref].name == removal.name
        if self.broken:
            raise Transient("not today", service="provider", op="remove")
        del self.there[host.ref]
        self.removed.append(host.ref)
        self.after_a_removal()


@attrs.define
class Scene:
    provider: Provider
    registry: Registry
    store: MemoryStore
    sweep: Sweep
    counters: Counters

    async def is_over(self, *jobs):
        for job in jobs:
            await self.store.forget(job.key, ended=True)


@pytest.fixture
def scene():
    provider, counters, store = Provider(), Counters(), MemoryStore()
    registry = Registry(Limits(concurrent=99, provisioning=99))
    served = ActiveRunner(
        key="abc123xyz",
        name="virtual",
        coordinator=None,
        executor=provider,
        policy=Policy(),
        rhythm=RHYTHM,
        counters=counters,
    )
    sweep = Sweep(
        served,
        every=timedelta(seconds=300),
        registry=registry,
        store=store,
        clock=lambda: NOW,
        observer=Observer(),
    )
    return Scene(provider, registry, store, sweep, counters)


async def test_an_orphan_goes_at_the_second_look(scene):
    scene.provider.add(new_job(1))
    await scene.is_over(new_job(1))
    await scene.sweep.compare()
    assert not scene.provider.removed
    await scene.sweep.compare()
    assert scene.provider.removed == ["app_1"]


async def test_a_job_that_ends_while_hosts_are_listed_leaves_no_orphan(scene):
    running = job_in(Phase.RUNNING)
    scene.registry.put(running)
    scene.provider.add(running)
    await scene.is_over(running)
    scene.provider.meanwhile = lambda: scene.registry.remove(running.key)
    await scene.sweep.compare()
    scene.provider.there.clear()
    scene.provider.add(running)  # the provider is slow to take it off its list
    await scene.sweep.compare()
    assert not scene.provider.removed
    assert not any(scene.counters.numbers.values())


async def test_a_job_that_begins_while_hosts_are_listed_has_an_owner(scene):
    running = job_in(Phase.RUNNING)
    scene.provider.add(running)
    await scene.is_over(running)
    await scene.sweep.compare()
    scene.provider.meanwhile = lambda: scene.registry.put(running)
    await scene.sweep.compare()
    assert not scene.provider.removed


async def test_records_are_looked_at_again_right_before_each_removal(scene):
    for number in (1, 2):
        scene.provider.add(new_job(number))
    await scene.is_over(new_job(1), new_job(2))
    scene.provider.after_a_removal = lambda: scene.registry.put(new_job(2))
    for _ in range(3):
        await scene.sweep.compare()
    assert scene.provider.removed == ["app_1"]


async def test_one_look_removes_no_more_than_a_few(scene):
    jobs = [new_job(number) for number in range(1, MOST_REMOVALS + 6)]
    for job in jobs:
        scene.provider.add(job)
    await scene.is_over(*jobs)
    await scene.sweep.compare()
    await scene.sweep.compare()
    assert len(scene.provider.removed) == MOST_REMOVALS
    await scene.sweep.compare()
    assert not scene.provider.there
    assert scene.counters.numbers["orphans_found"] == len(jobs)


async def test_one_host_that_cannot_be_removed_stands_in_the_way_of_no_other(scene):
    for number in (1, 2):
        scene.provider.add(new_job(number))
    await scene.is_over(new_job(1), new_job(2))
    await scene.sweep.compare()
    scene.provider.broken = True
    await scene.sweep.compare()
    scene.provider.broken = False
    await scene.sweep.compare()
    assert scene.provider.removed == ["app_1", "app_2"]
    assert scene.counters.numbers["orphans_found"] == 2


async def test_a_recorded_host_that_was_there_and_is_not_any_more_is_counted_once(scene):
    running = job_in(Phase.RUNNING, host=Host(ref="app_1"))
    scene.registry.put(running)
    await scene.sweep.compare()
    assert scene.counters.numbers["drift"] == 0, "never seen: it may carry another installation's mark"
    scene.provider.add(running)
    await scene.sweep.compare()
    scene.provider.there.clear()
    for _ in range(3):
        await scene.sweep.compare()
    assert scene.counters.numbers["drift"] == 1


async def test_a_host_that_went_with_its_job_while_hosts_were_listed_is_not_missed(scene):
    running = job_in(Phase.RUNNING, host=Host(ref="app_1"))
    scene.registry.put(running)
    scene.provider.add(running)
    await scene.sweep.compare()
    scene.provider.there.clear()
    scene.provider.meanwhile = lambda: scene.registry.remove(running.key)
    await scene.sweep.compare()
    assert scene.counters.numbers["drift"] == 0


async def test_only_the_look_right_before_makes_an_unknown_host_an_orphan(scene):
    scene.provider.add(new_job(1))
    await scene.is_over(new_job(1))
    await scene.sweep.compare()
    listed, scene.provider.there = scene.provider.there, {}
    await scene.sweep.compare()
    scene.provider.there = listed
    await scene.sweep.compare()
    assert not scene.provider.removed
    await scene.sweep.compare()
    assert scene.provider.removed == ["app_1"]


async def test_an_executor_that_breaks_while_it_lists_hosts_ends_one_look(scene):
    def breaks():
        raise ZeroDivisionError

    scene.provider.meanwhile = breaks
    await scene.sweep.compare()
    scene.provider.meanwhile = lambda: None
    scene.provider.add(new_job(1))
    await scene.is_over(new_job(1))
    await scene.sweep.compare()
    await scene.sweep.compare()
    assert scene.provider.removed == ["app_1"]
