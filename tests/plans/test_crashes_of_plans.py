"""A workstream that is killed before and after each write of a plan, and the next one that takes over."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paas_plans.plan import Plan
from paas_plans.registry import Registry
from paas_plans.stores.memory import MemoryStore
from paas_plans.workstream import Workstream

from paas_runner.testing import run_virtual, virtual_now
from tests.plans.made_up_worlds import Case, cases
from tests.plans.mortal import PLUGINS, Does, Life, MortalStore, Record, broken_promises
from tests.support.often import often

HOURS = 24 * 3600


async def lived(case: Case, *kills: int) -> tuple[Plan, Record, Life]:
    """The plan's end, after lives that were killed at these points of their writes."""
    disk = MemoryStore()
    record = Record()
    record.knows(case.plan)
    await disk.open(running_plans=False)
    known = []

    async def work(life: Life) -> Plan:
        registry = Registry(*(Does(name, case.behaviours, record, life) for name in PLUGINS))
        store = MortalStore(disk, life, record)
        async with Workstream(
            store, registry, oldest_recovered=None, oldest_started=None, now=virtual_now, chance=lambda: 0.5
        ) as stream:
            if not known:
                known.append(await stream.submit(case.plan))
            await stream.start(known[0])
            return await stream.wait(known[0])

    await disk.close()
    for number, kill in enumerate([*kills, None]):
        life = Life(number, kill)
        working = asyncio.create_task(work(life))
        killed = asyncio.create_task(life.is_killed())
        async with asyncio.timeout(HOURS):
            await asyncio.wait({working, killed}, return_when=asyncio.FIRST_COMPLETED)
        if not life.is_dead:
            killed.cancel()
            return working.result(), record, life
        await life.bury(disk)
    raise AssertionError("unreachable")


def assert_survives_every_kill(case: Case, again: int) -> int:
    """Killed at each point, and a second time in the recovery; says how often that was."""
    _, _, life = run_virtual(lived(case))
    for kill in range(2, life.points):
        for kills in ((kill,), (kill, (kill * again) % life.points)):
            ended, record, _ = run_virtual(lived(case, *kills))
            assert record.complaints + broken_promises(case, record, ended) == [], kills
    return 2 * life.points


@given(cases(most=2, delays=False), st.integers(0, 100))
@settings(max_examples=2)
def test_a_plan_survives_a_kill_at_each_write(case, again):
    assert_survives_every_kill(case, again)


@pytest.mark.soak
@pytest.mark.long
@given(cases(most=2), st.integers(0, 100))
@settings(max_examples=often(12))
@pytest.mark.timeout(300)
def test_more_plans_survive_a_kill_at_each_write(case, again):
    assert_survives_every_kill(case, again)
