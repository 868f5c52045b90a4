"""Records copied between a file and a database on a server, both ways."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import attrs
import psycopg
import pytest

from paas_runner.job.tracked import JobKey
from paas_runner.store import StoreError
from paas_runner.store.copying import NotEmptyError, StateFile, source, target
from paas_runner.store.database import StoreInUseError
from paas_runner.store.opening import open_store
from paas_runner.store.snapshot import accounts, histories, past_jobs, pending_notices, take
from tests.store.test_copying import HOUR, SEEN, copied, everything, filled
from tests.support.often import often
from tests.support.postgres.server import PASSWORD
from tests.support.records import NOW, job
from tests.support.stores import SECTIONS, close_store, open_to_write, tending

__all__ = ["filled"]


def records(database):
    """All but who works on them."""
    return attrs.evolve(take(database), tenancy=None)


def connected(database):
    return psycopg.connect(database.url.reveal(), autocommit=True, options="-c search_path=paas_runner")


def test_what_went_there_and_back_is_what_it_was(filled, database, tmp_path):
    there = copied(filled, database)
    back = copied(database, tmp_path / "back.db")
    assert there.rows == back.rows
    assert there.rows["charge"] == 2
    assert everything(tmp_path / "back.db") == everything(filled)
    assert copied(filled, database).was_there
    assert copied(tmp_path / "back.db", database).was_there


def test_what_a_service_left_that_was_started_too_early_is_in_nobodys_way(filled, database):
    async def start():
        store = await open_store(database)
        await store.save_installation("made-too-early")
        await store.leases.system_id("s_0123456789ab")
        await close_store(store)

    asyncio.run(start())
    copied(filled, database)
    assert records(database) == take(filled)
    assert copied(filled, database).was_there


def test_commands_read_there_what_they_read_here(filled, database):
    copied(filled, database)
    assert records(database) == take(filled)
    assert accounts(database, NOW - HOUR, NOW) == accounts(filled, NOW - HOUR, NOW)
    assert histories(database, 20) == {job(20).key: (SEEN,)}
    assert past_jobs(database, most=9) == past_jobs(filled, most=9)
    assert pending_notices(database) == pending_notices(filled)


def test_a_service_goes_on_there_with_numbers_that_are_free(filled, database):
    copied(filled, database)

    async def go_on():
        store = await open_to_write(database)
        await store.forget(job(1).key, ended=True, history=(SEEN,))
        assert await store.tenants("abc123xyz") == {"", "acmé"}
        await close_store(store)

    asyncio.run(go_on())
    [last, *_] = past_jobs(database, most=1)
    assert (last.number, last.key) == (6, job(1).key)
    assert take(database).ended == take(filled).ended | {JobKey("abc123xyz", 1)}


def test_a_database_is_copied_into_another_and_into_a_state_file(filled, database, postgres, tmp_path):
    copied(filled, database)
    postgres.sql("CREATE DATABASE second_copy")
    copied(database, postgres.url("second_copy"))
    assert records(postgres.url("second_copy")) == take(filled)
    postgres.sql("DROP DATABASE second_copy")
    copied(database, StateFile(path=tmp_path / "jobs.json", names={}))
    copied(StateFile(path=tmp_path / "jobs.json", names={}), tmp_path / "jobs.db")
    assert take(tmp_path / "jobs.db").jobs == take(filled).jobs


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_database_on_which_a_service_works_is_refused(filled, database, tmp_path, side):
    async def work():
        store = await open_store(database)
        await store.leases.tend(tending(take=SECTIONS))
        places = (database, tmp_path / "copy.db") if side == "source" else (filled, database)
        with pytest.raises(StoreInUseError, match=r"a service works on it, or did until now \(one\)"):
            await asyncio.to_thread(copied, *places)
        await close_store(store)

    asyncio.run(work())
    copied(filled, database)


def test_a_service_that_came_in_the_very_moment_of_the_start_is_seen(filled, database, tmp_path):
    copied(filled, database)
    with closing(connected(database)) as db, ThreadPoolExecutor(1) as copying:
        with db.transaction():
            db.execute(
                "INSERT INTO member SELECT 'b1', 'beta', '', 'standby', '{}', 0, 0, 0, until, until "
                "FROM (SELECT clock_timestamp() + interval '15 s' AS until) AS renewed"
            )
            copy = copying.submit(copied, database, tmp_path / "copy.db")
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            while not copy.done() and db.execute(waiting).fetchone() == (0,):
                time.sleep(0.01)
        with pytest.raises(StoreInUseError, match="beta"):
            copy.result()


@pytest.mark.long
def test_no_service_takes_part_while_a_database_is_copied(filled, database):
    copied(filled, database)

    async def join():
        store = await open_store(database)
        with pytest.raises(StoreError, match="Another session has locked the records"):
            await store.leases.tend(tending(take=SECTIONS))
        await store.aclose()

    with source(database):
        asyncio.run(join())


def test_other_records_are_refused_and_stay(filled, database, tmp_path):
    copied(filled, database)
    before = records(database)
    (tmp_path / "other").mkdir()
    asyncio.run(_one_job(tmp_path / "other" / "s.db"))
    with pytest.raises(NotEmptyError, match="is not empty, and no copy of"):
        copied(tmp_path / "other" / "s.db", database)
    assert records(database) == before


async def _one_job(path):
    store = await open_store(path)
    await store.save(job(77))
    await store.aclose()


def test_a_newer_schema_is_refused_on_both_sides(filled, database, tmp_path):
    copied(filled, database)
    with closing(connected(database)) as db:
        db.execute("UPDATE version SET number = 99")
    for places in ((filled, database), (database, tmp_path / "copy.db")):
        with pytest.raises(StoreError, match=r"the store of a newer version of this program \(schema 99\)"):
            copied(*places)


def test_what_is_no_store_and_what_is_not_there_is_told(postgres, database, tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        copied(database, tmp_path / "copy.db")
    with pytest.raises(StoreError, match="does not exist") as refused:
        copied(postgres.url("nowhere"), tmp_path / "copy.db")
    assert PASSWORD not in str(refused.value)
    assert not (tmp_path / "copy.db").exists()


def test_an_interrupted_copy_leaves_an_empty_database(filled, database):
    def end(what, *_):
        if what == "charge, read back":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copied(filled, database, end)
    with target(database) as end_of_it:
        assert end_of_it.is_new
    copied(filled, database)
    assert records(database) == take(filled)


@pytest.mark.soak
@pytest.mark.long
def test_a_copy_that_is_killed_at_any_time_is_begun_again(filled, database, tmp_path):
    """Both ways, each time a little later; what a service would find is nothing, or all of it."""
    code = (
        "import sys; from pathlib import Path; from paas_runner.database_url import database_url\n"
        "from tests.store.test_copying import copied\n"
        "place = lambda text: database_url(text) if '://' in text else Path(text)\n"
        "print('begun', flush=True); copied(*map(place, sys.argv[1:])); print('done', flush=True)"
    )
    url = database.url.reveal()
    ends = set()
    steps = often(25)
    for number in range(steps):
        ends.add(killed_after(0.25 * number / steps, code, filled, url))
        with closing(connected(database)) as db:
            made = db.execute("SELECT to_regclass('job') IS NOT NULL").fetchone() == (True,)
            jobs = db.execute("SELECT count(*) FROM job").fetchone()[0] if made else 0
        assert jobs in (0, 4)
        if jobs:
            ends.add(killed_after(0.01 * number, code, url, tmp_path / "back.db"))
        if (tmp_path / "back.db").exists():
            assert everything(tmp_path / "back.db") == everything(filled)
    copied(filled, database)
    assert -signal.SIGKILL in ends


def killed_after(seconds, code, old, new):
    command = [sys.executable, "-c", code, str(old), str(new)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        child.stdout.readline()
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            os.kill(child.pid, signal.SIGKILL)
        return child.wait()
