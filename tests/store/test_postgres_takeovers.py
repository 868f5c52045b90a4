"""A section changes hands between two writes, never in the middle of one, and nobody can hold it up."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import psycopg
import pytest

from paas_runner.leases.validity import ANSWER_SECONDS
from paas_runner.store import StaleLeaseError, StoreError
from paas_runner.store.opening import open_store
from tests.support.records import job
from tests.support.stores import tending

A = "abc123xyz"
TAKE_A = tending(take=frozenset({A}))


@pytest.fixture
async def pair(database):
    stores = [await open_store(database) for _ in range(2)]
    yield stores
    for store in stores:
        await store.aclose()


@pytest.fixture
def connect(database):
    """A session of someone else's, in a transaction."""

    @contextmanager
    def connected():
        with psycopg.connect(database.url.reveal(), options="-c search_path=paas_runner") as connection:
            yield connection

    return connected


def expire(connect):
    """The lease has run out, by the clock of the server."""
    with connect() as session:
        session.execute("UPDATE lease SET until = clock_timestamp()")


async def is_waited_for(connect):
    """Return when some session waits for another one."""
    async with asyncio.timeout(60):
        while True:
            with connect() as session:
                waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                if session.execute(f"{waiting} AND datname = current_database()").fetchone() != (0,):
                    return
            await asyncio.sleep(0.01)


async def test_a_section_is_not_taken_while_a_write_for_it_is_under_way(pair, connect):
    one, other = pair
    await one.tend(TAKE_A)
    expire(connect)
    with connect() as session:
        session.execute("SELECT FROM lease FOR KEY SHARE")
        assert (await other.tend(TAKE_A)).leases[A].holder == one.holder
        assert (await one.tend(tending())).leases[A].holder == one.holder, "it can be renewed meanwhile"
    expire(connect)
    assert (await other.tend(TAKE_A)).leases[A].holder == other.holder


async def test_a_write_that_meets_a_change_of_hands_waits_for_it_and_is_stale(pair, connect):
    one, _ = pair
    await one.tend(TAKE_A)
    with connect() as session:
        session.execute("SELECT FROM lease FOR UPDATE")
        session.execute("UPDATE lease SET holder = 'another', epoch = epoch + 1")
        writes = [asyncio.create_task(call) for call in (one.save(job(1)), one.add(job(2)))]
        await is_waited_for(connect)
        assert not any(task.done() for task in writes)
    with pytest.raises(StaleLeaseError):
        await writes[0]
    assert await writes[1] is False
    assert [kept.key.job_id for kept in await one.jobs()] == [2]
    assert (await one.tend(tending())).leases[A].arrivals == 1


async def test_a_change_of_hands_that_is_taken_back_costs_the_holder_nothing(pair, connect):
    one, _ = pair
    await one.tend(TAKE_A)
    with connect() as session:
        session.execute("UPDATE lease SET holder = 'another', epoch = epoch + 1")
        write = asyncio.create_task(one.save(job(1)))
        session.rollback()
        await write


@pytest.mark.long
async def test_a_renewal_is_answered_in_time_while_somebody_has_locked_the_records(pair, connect):
    one, _ = pair
    await one.tend(TAKE_A)
    with connect() as session:
        session.execute("LOCK TABLE job")
        others = [asyncio.create_task(call) for call in (one.save(job(1)), one.jobs(), one.jobs_of({A}))]
        await is_waited_for(connect)
        async with asyncio.timeout(ANSWER_SECONDS):
            assert (await one.tend(tending())).leases[A].holder == one.holder
        assert not others[2].done()
    for call in others:
        with suppress(StoreError):
            await call
    await one.save(job(1))


async def test_a_clock_that_has_gone_back_leaves_no_section_to_one_who_is_gone(pair, connect):
    one, other = pair
    await one.tend(TAKE_A)
    with connect() as session:
        for table in ("lease", "member"):
            session.execute(f"UPDATE {table} SET until = until + interval '1 hour'")
    found = await other.tend(TAKE_A)
    assert (found.leases[A].holder, found.leases[A].seconds_left <= 15) == (one.holder, True)
    assert found.members[one.holder].seconds_left <= 15
    await one.save(job(1))
    expire(connect)
    assert (await other.tend(TAKE_A)).leases[A].holder == other.holder


async def test_what_the_next_holder_reads_is_never_changed_by_the_one_before(pair, connect):
    """Both write as fast as they can all the time; whoever has just taken over finds a record that stays."""
    over = asyncio.Event()

    async def write(store, number):
        while not over.is_set():
            try:
                await store.save(attrs.evolve(job(number), trouble=f"{store.holder} {random.random()}"))
            except StaleLeaseError:
                await asyncio.sleep(0)

    holder, next_one = pair
    await holder.tend(TAKE_A)
    writers = [asyncio.create_task(write(holder, number)) for number in range(1, 5)]
    for _ in range(15):
        expire(connect)
        async with asyncio.timeout(60):
            while (await next_one.tend(TAKE_A)).leases[A].holder != next_one.holder:
                expire(connect)
        first = await next_one.jobs_of([A])
        await asyncio.sleep(random.random() / 100)
        assert await next_one.jobs_of([A]) == first
        holder, next_one = next_one, holder
        over.set()
        await asyncio.gather(*writers)
        over.clear()
        writers = [asyncio.create_task(write(holder, number)) for number in range(1, 5)]
        await asyncio.sleep(random.random() / 100)
    over.set()
    await asyncio.gather(*writers)


@pytest.mark.long
async def test_processes_that_find_jobs_for_each_other_never_wait_in_a_circle(pair):
    sections = [f"section{number}" for number in range(12)]
    ends = asyncio.get_running_loop().time() + 5

    async def tend(store, own):
        while asyncio.get_running_loop().time() < ends:
            given = frozenset(random.sample(own, 1)) if random.random() < 0.2 else frozenset()
            await store.tend(tending(serves=frozenset(sections), take=frozenset(own), release=given))

    async def find(store):
        while asyncio.get_running_loop().time() < ends:
            found = random.sample(sections, len(sections))
            await asyncio.gather(*(store.add(job(random.randrange(1, 300), each)) for each in found))

    works = [
        work
        for number, store in enumerate(pair)
        for work in (tend(store, sections[number::2]), find(store), find(store))
    ]
    await asyncio.gather(*works)


BUSY = """
import asyncio, sys
from contextlib import suppress
import attrs
from paas_runner.database_url import database_url
from paas_runner.store import StaleLeaseError, StoreError
from paas_runner.store.opening import open_store
from tests.support.records import job
from tests.support.stores import tending

big = "x" * 100_000

async def main():
    store = await open_store(database_url(sys.argv[1]))
    while True:
        with suppress(StoreError):
            await store.tend(tending(take=frozenset({"abc123xyz"})))
            writes = [store.save(attrs.evolve(job(number), trouble=big)) for number in range(1, 41)]
            await asyncio.gather(*writes, store.tend(tending()), return_exceptions=True)
            print("busy", flush=True)

asyncio.run(main())
"""


@pytest.fixture
def busy_process(database):
    """Another process that writes large records all the time, and takes the section whenever it can."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", BUSY, database.url.reveal()]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as child:
        yield child
        child.kill()


@pytest.mark.long
async def test_a_process_that_stops_in_any_instruction_keeps_nobody_from_its_section(
    busy_process, pair, connect
):
    other, _ = pair
    for _ in range(30):
        busy_process.stdout.readline()
        await asyncio.sleep(random.random() / 20)
        os.kill(busy_process.pid, signal.SIGSTOP)
        expire(connect)
        async with asyncio.timeout(2):
            while (await other.tend(TAKE_A)).leases[A].holder != other.holder:
                expire(connect)
        os.kill(busy_process.pid, signal.SIGCONT)
        await other.tend(tending(release=frozenset({A})))
