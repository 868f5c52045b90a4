"""The order in which a job's loop works: the intent on the disk, the act, what happened, the next decision.

The loop and the acquisition alone, in virtual time, against models whose journal has every write and call.
"""

import asyncio
import gc
import itertools
import json
from datetime import timedelta

import attrs
import pytest

from paas_runner.dispatch.registry import Registry
from paas_runner.errors import Rejected, Transient
from paas_runner.job.cost import closed_by
from paas_runner.job.events import Decommissioned
from paas_runner.job.lifecycle import acquired
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.store import StoreError
from paas_runner.testing.virtual_time import run_virtual
from tests.support.outside_world import RUNNER, CrashedError, OutsideWorld, without_looks
from tests.support.records import NOW, job, job_in, payload

A_LIFE = [
    "saved provisioning",
    "provision",
    "saved provisioning with its host",
    "saved launching with its host",
    "launch",
    "saved launched with its host",
    "saved running with its host",
    "saved decommissioning with its host",
    "decommission",
    "charged",
    "removed",
]

FAILED_AT_THE_PROVIDER = [
    "saved provisioning",
    "provision",
    "saved failing",
    "explain",
    "saved failing",
    "report",
    "removed",
]

MOST_LIVES = 20


def rejected():
    return Rejected("no", service="provider", op="create a host")


def transient():
    return Transient("not now", service="provider", op="something")


def lived(prepare=lambda _world: None):
    """A world in which one job was taken to its end."""

    async def main():
        world = OutsideWorld()
        prepare(world)
        await world.life()
        return world

    return run_virtual(main())


def test_every_act_of_a_job_stands_between_its_intent_and_its_outcome():
    assert without_looks(lived().entries) == A_LIFE


def test_a_launched_job_keeps_nothing_of_its_definition_in_memory():
    """It is on the disk; of thousands of jobs it would be most of what they take."""

    async def main():
        world = OutsideWorld()
        living = asyncio.ensure_future(world.loop(acquired(RUNNER, payload(4711), NOW)).run())
        while not any(world.executor.alive.values()):
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)
        world.store._jobs.clear()
        gc.collect()
        found = [each for each in gc.get_objects() if isinstance(each, TrackedJob) and each.payload]
        kept = [each for each in found if each.key.job_id == 4711]
        living.cancel()
        return kept

    assert run_virtual(main()) == []


def test_a_failed_job_is_recorded_so_before_its_author_and_the_coordinator_hear_of_it():
    world = lived(lambda world: world.executor.failures.update(provision=[rejected()]))
    assert without_looks(world.entries) == FAILED_AT_THE_PROVIDER
    assert "no" in world.coordinator.trace


@pytest.mark.parametrize(
    ("verb", "phase"),
    [("provision", "provisioning"), ("launch", "launching"), ("decommission", "decommissioning")],
)
def test_when_a_host_is_touched_the_disk_says_what_for(verb, phase):
    assert lived().executor.on_disk[verb] == [phase]


@pytest.mark.parametrize("verb", ["explain", "report"])
def test_when_a_failure_is_reported_the_disk_has_it(verb):
    world = lived(lambda world: world.executor.failures.update(provision=[rejected()]))
    assert world.coordinator.on_disk[verb] == ["failing"]


@pytest.mark.parametrize("verb", ["provision", "launch", "decommission"])
def test_an_act_that_may_work_later_is_repeated_after_a_record_of_each_try(verb):
    world = lived(lambda world: world.executor.failures.update({verb: [transient(), transient()]}))
    tries = [n for n, entry in enumerate(world.entries) if entry in (verb, "adopt")]
    assert len(tries) >= 2
    assert all(world.entries[n + 1].startswith(("saved", "charged")) for n in tries)
    assert world.entries[-1] == "removed"
    assert not world.executor.alive


@pytest.mark.parametrize(("verb", "phase"), [("provision", "provisioning"), ("launch", "launching")])
def test_a_disk_that_refuses_the_intent_holds_the_act_back(verb, phase):
    refused = []

    def refuses(job):
        refused.append(job.phase == phase and len(refused) < 40)
        return refused[-1]

    world = lived(lambda world: setattr(world.store, "refuses", refuses))
    assert world.entries.count("refused") >= 3
    last = max(n for n, entry in enumerate(world.entries) if entry == "refused")
    assert verb not in world.entries[: last + 1]
    assert without_looks(world.entries[last + 1 :])[:2] == [saved(phase, verb), verb]


def saved(phase, verb):
    return f"saved {phase}" + (" with its host" if verb == "launch" else "")


@pytest.mark.parametrize(("verb", "phase"), [("provision", "provisioning"), ("launch", "launching")])
def test_a_stop_while_the_disk_refuses_the_intent_ends_without_the_act(verb, phase):
    async def main():
        world = OutsideWorld()
        world.store.refuses = lambda job: job.phase == phase
        living = asyncio.ensure_future(world.life())
        await asyncio.sleep(600)
        assert not living.done()
        world.stopping.set()
        await living
        return world

    world = run_virtual(main())
    assert world.entries[-1] == "refused"
    assert verb not in world.entries


def test_what_happened_while_the_disk_refused_is_all_in_the_next_record():
    def refuses(job):
        return job.phase == "provisioning" and job.host is not None

    world = lived(lambda world: setattr(world.store, "refuses", refuses))
    entries = without_looks(world.entries)
    assert entries[:3] == ["saved provisioning", "provision", "refused"]
    assert entries[3:5] == ["saved launching with its host", "launch"]


def test_the_cost_of_a_host_is_in_the_ledger_before_its_record_goes_however_often_the_disk_refuses():
    def prepare(world):
        removed = world.executor.decommission

        async def decommission(removal):
            await removed(removal)
            world.store.refusals = 3

        world.executor.decommission = decommission

    world = lived(prepare)
    assert world.entries[-6:] == ["decommission", "refused", "refused", "refused", "charged", "removed"]
    assert len(world.store.charges) == 1


@pytest.mark.parametrize(
    "failures",
    [{}, {"provision": [rejected]}, {"provision": [transient]}, {"launch": [transient]}],
    ids=["all goes well", "no host", "a lost answer", "a failed launch"],
)
@pytest.mark.parametrize("again", [False, True], ids=["once", "again and again"])
def test_killed_after_any_write_or_call_the_next_process_ends_the_job_with_one_host(failures, again):
    for crash in itertools.count(1):
        world, crashed = run_virtual(killed(crash, failures, again=again))
        assert not world.executor.alive
        assert len(world.executor.created) <= 1
        assert not world.store.phases
        assert len(world.store.charges) <= 1
        if not crashed:
            break
    assert crash > 8  # the shortest of these lives: a host is refused, and nothing has to be removed


async def killed(crash, failures, *, again):
    """A world whose process was killed after that many entries, and perhaps again after as many more."""
    world = OutsideWorld()
    world.executor.failures = {verb: [error() for error in errors] for verb, errors in failures.items()}
    world.journal.crash_at = crash
    crashed = False
    for _ in range(MOST_LIVES):
        try:
            await world.life()
        except CrashedError:
            crashed = True
            again = again and crash > 5  # a life of fewer steps than that gets nowhere
            world.journal.crash_at = len(world.entries) + crash if again else None
        else:
            return world, crashed
    raise AssertionError("one life after another, and the job does not get on")


# --- from the 201 to the record ---------------------------------------------------------------------------


def body(job_id):
    return json.dumps({"id": job_id, "token": f"job-token-{job_id}", "variables": []}).encode()


def acquiring(story, *bodies):
    async def main():
        world = OutsideWorld()
        world.coordinator.bodies = list(bodies)
        await story(world)
        return world

    return run_virtual(main())


def test_between_the_answer_with_a_job_and_its_record_there_is_nothing_but_the_record():
    async def story(world):
        async with world.acquisition():
            await asyncio.sleep(1)

    world = acquiring(story, body(1))
    assert world.entries[:4] == ["request", "saved acquired", "started", "request"]


def test_a_job_that_cannot_be_read_is_recorded_all_the_same_so_that_it_can_be_failed():
    async def story(world):
        async with world.acquisition():
            await asyncio.sleep(1)

    world = acquiring(story, b'{"id": 7, "token": "job-token-7", "variables": 3}')
    assert world.entries[:3] == ["request", "saved acquired", "started"]
    assert world.started[0].failure


def test_while_the_disk_refuses_a_new_job_it_is_not_started_and_no_other_is_asked_for():
    async def story(world):
        world.store.refusals = 100
        async with world.acquisition():
            await asyncio.sleep(300)
            assert set(world.entries[1:]) == {"refused"}
            world.store.refusals = 0
            await asyncio.sleep(10)

    world = acquiring(story, body(1), body(2))
    assert world.entries.count("request") >= 2
    recorded = [entry for entry in world.entries if entry != "refused"]
    assert recorded[:6] == ["request", "saved acquired", "started", "request", "saved acquired", "started"]


# --- what a record leaves behind ---------------------------------------------------------------------------


def test_a_job_that_was_given_back_unacknowledged_may_come_again():
    """Another runner may get it: nothing of it is known to be over."""

    async def known_to_be_over(*, acknowledged):
        world = OutsideWorld()
        _, _, records = world.parts()
        await records.remove(attrs.evolve(job_in(Phase.GONE), acknowledged=acknowledged))
        return await world.store.ended()

    assert run_virtual(known_to_be_over(acknowledged=False)) == frozenset()
    assert len(run_virtual(known_to_be_over(acknowledged=True))) == 1


def test_while_the_ledger_refuses_a_hosts_cost_its_job_keeps_the_host_in_its_record():
    async def main():
        world = OutsideWorld()
        _, _, records = world.parts()
        job = job_in(Phase.DECOMMISSIONING)
        await records.save(job)
        world.store.charge = no_room
        records.charge(charge_of(job))
        await records.save(attrs.evolve(job, host=None))
        return world

    async def no_room(_charge, *, keep_from):
        raise StoreError(f"the disk is full, {keep_from}")

    world = run_virtual(main())
    assert world.entries == ["saved decommissioning with its host"]


@pytest.mark.parametrize("phase", ["provisioning", "launching", "running", "decommissioning"])
def test_what_nobody_foresaw_costs_a_job_one_turn_of_its_loop(phase):
    raised = []

    def breaks(job):
        if job.phase == phase and not raised:
            raised.append(phase)
            raise ZeroDivisionError
        return False

    world = lived(lambda world: setattr(world.store, "refuses", breaks))
    assert raised
    assert world.entries[-1] == "removed"
    assert len(world.executor.created) == 1


def charge_of(job):
    return closed_by(Decommissioned(), job, NOW + timedelta(minutes=5))


def test_a_start_planned_for_later_is_not_forgotten_when_an_earlier_job_changes():
    limits = Limits(concurrent=9, provisioning=9, launch_distance=timedelta(seconds=10))
    registry = Registry(limits)
    later = attrs.evolve(job_in(Phase.ACQUIRED), start_due=NOW + timedelta(seconds=60))
    registry.put(later)
    registry.put(attrs.evolve(job(2), start_due=NOW))
    assert registry.planned_start(NOW) == NOW + timedelta(seconds=70)
