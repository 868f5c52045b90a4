"""What has been said to be written is on the disk, in one piece and in its order, and closing ends."""

import asyncio
import os
import stat
import threading
from datetime import timedelta

import attrs
import pytest

from paas_runner.job.tracked import JobKey
from paas_runner.store import StoreError
from paas_runner.store.database import Database, StoreInUseError
from paas_runner.store.peer_state import imported
from paas_runner.store.schema import Migration, Schema
from paas_runner.store.sqlite import SqliteStore
from paas_runner.store.state_file import take_in, write
from paas_runner.testing.memory_store import MemoryStore
from tests.support.records import NOW, job

WISHES = Schema((Migration(number=1, room="wishes", sql="CREATE TABLE wish (name TEXT PRIMARY KEY);"),))
FULL = 2
"""SQLite's number for: a commit has reached the disk before it returns, the journal included."""


def wish(name):
    return lambda db: db.execute("INSERT INTO wish VALUES (?)", (name,)).rowcount


@pytest.fixture
async def database(tmp_path):
    opened = await Database.open(tmp_path / "w.db", WISHES)
    yield opened
    await opened.aclose()


async def busy(database):
    """Keep the thread busy; returns the event that frees it."""
    free, has_begun = threading.Event(), threading.Event()
    task = asyncio.ensure_future(database.transaction(lambda _: (has_begun.set(), free.wait(30))))
    await asyncio.to_thread(has_begun.wait, 10)
    return free, task


# --- the database ------------------------------------------------------------------------------------------


async def test_a_commit_returns_when_the_disk_has_it(database):
    ask = "PRAGMA synchronous"
    assert await database.transaction(lambda db: db.execute(ask).fetchone()) == (FULL,)


async def test_closing_finishes_what_waits_and_ends(tmp_path):
    database = await Database.open(tmp_path / "w.db", WISHES)
    free, first = await busy(database)
    waiting = [asyncio.ensure_future(database.transaction(wish(str(number)))) for number in range(5)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(database.aclose())
    await asyncio.sleep(0.05)
    free.set()
    async with asyncio.timeout(60):
        await closing
        assert await asyncio.gather(*waiting) == [1] * 5
        await first


async def test_a_writer_that_went_away_takes_no_answer_from_the_others(database):
    free, first = await busy(database)
    gone, there = (asyncio.ensure_future(database.transaction(wish(name))) for name in ("a", "b"))
    await asyncio.sleep(0)
    gone.cancel()
    free.set()
    async with asyncio.timeout(60):
        assert await there == 1
        await first
    assert gone.cancelled()


async def test_the_process_that_has_a_store_is_named_whatever_the_one_before_was_called(tmp_path):
    (tmp_path / "w.db.lock").write_text("99999999999999\n")
    database = await Database.open(tmp_path / "w.db", WISHES)
    with pytest.raises(StoreInUseError, match=rf"\(process {os.getpid()}\)"):
        await Database.open(tmp_path / "w.db", WISHES)
    await database.aclose()


async def test_records_come_in_the_order_in_which_their_jobs_were_acquired(tmp_path):
    later = attrs.evolve(job(1), acquired_at=NOW + timedelta(seconds=9))
    store = await SqliteStore.open(tmp_path / "s.db")
    for record in (later, job(5), attrs.evolve(job(3), key=JobKey("zzz", 3))):
        await store.save(record)
    assert [record.key.job_id for record in await store.jobs()] == [3, 5, 1]
    await store.aclose()


# --- the state file ----------------------------------------------------------------------------------------


def test_the_state_file_is_whole_on_the_disk_before_it_has_its_name_and_its_name_is_on_the_disk_too(
    tmp_path, monkeypatch
):
    path, synced = tmp_path / "state.json", []

    def fsync(descriptor):
        status = os.fstat(descriptor)
        synced.append((stat.S_ISDIR(status.st_mode), status.st_ino, status.st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    write(path, [job(1)], {})
    now = path.stat()
    assert synced == [
        (False, now.st_ino, now.st_size, False),
        (True, tmp_path.stat().st_ino, synced[-1][2], True),
    ]


class FullStore(MemoryStore):
    """One that cannot take the records in."""

    async def _refuse(self, *_arguments, **_more):
        raise StoreError("the disk is full")

    merge = save = _refuse


async def test_a_state_file_stays_until_the_store_has_its_jobs(tmp_path):
    path = tmp_path / "state.json"
    write(path, [job(1)], {})
    content = path.read_bytes()
    with pytest.raises(StoreError):
        await take_in(path, FullStore(), {}, NOW)
    assert path.read_bytes() == content


async def test_jobs_of_a_runner_that_was_unknown_when_they_came_are_its_own_once_it_is_known(tmp_path):
    path, store = tmp_path / "state.json", MemoryStore()
    write(path, [attrs.evolve(job(1), key=JobKey("abc123xy", 1))], {})
    await take_in(path, store, {"abc123xyz": "abc123xy"}, NOW)
    assert [record.key for record in await store.jobs()] == [JobKey("abc123xyz", 1)]


def test_the_coordinator_knows_of_every_job_that_the_other_program_had():
    """So what is over of them is known to be over."""

    def handle(number):
        resource = {
            "id": f"app_{number}",
            "gitlab_namespace": None,
            "deploy_url": "https://push.example/a.git",
        }
        return {"runner_name": "abc123xy", "job_id": number, "token": "t", "paas_resource": resource}

    document = {
        "launched": [handle(1)],
        "pending": [[handle(2), {"id": 2, "token": "t", "variables": []}]],
        "to_decommission": [handle(3)],
    }
    jobs = imported(document, {"abc123xyz": "abc123xy"}, NOW).jobs
    assert [(record.key.job_id, record.acknowledged) for record in jobs] == [(1, True), (2, True), (3, True)]
