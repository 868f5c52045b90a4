"""What a job used of its host is asked for once before the host goes, and no host stays because of it."""

import asyncio
import random
from datetime import timedelta

import attrs
import pytest

from paas_runner.dispatch.effects import Effects
from paas_runner.errors import Rejected, Transient
from paas_runner.job.decision import Action
from paas_runner.job.events import Decommissioned, Deferred
from paas_runner.job.tracked import Phase
from paas_runner.job.use import Use
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.outside_world import OutsideWorld
from tests.support.records import FAILURE, HOST, NOW, job_in

USE = Use(memory_bytes=2**28, cpu_seconds=12.5, wall_seconds=10.0)


class Telling:
    """An executor whose hosts say what was used, or do not."""

    def __init__(self, inner, answer=USE, *, removals_fail=0):
        self._inner = inner
        self._answer = answer
        self._removals_fail = removals_fail
        self.asked = []

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def use(self, provisioned):
        self.asked.append(provisioned.host.ref)
        if isinstance(self._answer, Exception):
            raise self._answer
        if self._answer == "never":
            await asyncio.Event().wait()
        return self._answer

    async def decommission(self, removal):
        if self._removals_fail:
            self._removals_fail -= 1
            raise Transient("down", service="provider", op="remove")
        self.removed = removal


def effects(executor):
    runner = attrs.evolve(OutsideWorld().parts()[0], executor=executor)
    return Effects(runner=runner, clock=lambda: NOW, rng=random.Random(1))


def telling(answer=USE, **changes):
    return Telling(OutsideWorld().executor, answer, **changes)


ENDED = {"failure": None, "host": HOST}


async def test_what_the_job_used_is_part_of_the_end_of_its_host():
    executor = telling()
    event = await effects(executor).perform(Action.DECOMMISSION, job_in(Phase.DECOMMISSIONING, **ENDED))
    assert event == Decommissioned(use=USE)
    assert executor.asked == [HOST.ref]


async def test_it_is_asked_for_once_however_often_the_removal_is_tried():
    executor = telling(removals_fail=2)
    doing, job = effects(executor), job_in(Phase.DECOMMISSIONING, **ENDED)
    events = [await doing.perform(Action.DECOMMISSION, job) for _ in range(3)]
    assert [type(event) for event in events] == [Deferred, Deferred, Decommissioned]
    assert events[-1].use == USE
    assert executor.asked == [HOST.ref]


@pytest.mark.parametrize(
    "answer",
    [
        None,
        Transient("down", service="cloud", op="read the log"),
        Rejected("no", service="cloud", op="read the log", status=403),
        RuntimeError("a bug"),
    ],
)
async def test_a_host_goes_without_an_answer(answer):
    executor = telling(answer)
    event = await effects(executor).perform(Action.DECOMMISSION, job_in(Phase.DECOMMISSIONING, **ENDED))
    assert event == Decommissioned()
    assert executor.removed.host == HOST


def test_a_host_waits_a_few_seconds_for_an_answer_and_no_longer():
    async def story():
        executor = telling("never")
        before = virtual_now()
        event = await effects(executor).perform(Action.DECOMMISSION, job_in(Phase.DECOMMISSIONING, **ENDED))
        assert event == Decommissioned()
        return (virtual_now() - before).total_seconds()

    assert run_virtual(story()) == 5


@pytest.mark.parametrize(
    "changes", [{"failure": FAILURE}, {"host": None}, {"entered": {Phase.ACQUIRED: NOW}}]
)
async def test_a_host_whose_job_never_ran_or_was_given_up_is_not_asked(changes):
    executor = telling()
    job = job_in(Phase.DECOMMISSIONING, **{**ENDED, **changes})
    assert await effects(executor).perform(Action.DECOMMISSION, job) == Decommissioned()
    assert executor.asked == []


async def test_where_the_executor_cannot_tell_nothing_is_known():
    doing = effects(OutsideWorld().executor)
    event = await doing.perform(Action.DECOMMISSION, job_in(Phase.DECOMMISSIONING, **ENDED))
    assert event == Decommissioned()


async def test_of_short_jobs_of_one_name_the_first_is_asked_for_then_one_in_twenty():
    executor = telling()
    runner = attrs.evolve(OutsideWorld().parts()[0], executor=executor)
    known = []
    for _ in range(45):
        job = job_in(Phase.DECOMMISSIONING, **ENDED, project="acme/shop", job_name="lint")
        doing = Effects(runner=runner, clock=lambda: NOW, rng=random.Random(1))
        known.append((await doing.perform(Action.DECOMMISSION, job)).use is not None)
    assert [number for number, asked in enumerate(known, 1) if asked] == [1, 21, 41]
    other = job_in(Phase.DECOMMISSIONING, **ENDED, project="acme/shop", job_name="build")
    doing = Effects(runner=runner, clock=lambda: NOW, rng=random.Random(1))
    assert (await doing.perform(Action.DECOMMISSION, other)).use == USE


async def test_jobs_that_last_longer_are_all_asked_for():
    executor = telling()
    runner = attrs.evolve(OutsideWorld().parts()[0], executor=executor)
    for _ in range(8):
        job = job_in(Phase.DECOMMISSIONING, **ENDED)
        doing = Effects(runner=runner, clock=lambda: NOW + timedelta(minutes=1), rng=random.Random(1))
        assert (await doing.perform(Action.DECOMMISSION, job)).use == USE
