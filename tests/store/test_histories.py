"""What happened to a job is remembered longer than the job, but not for ever."""

import sqlite3

from paas_runner.job import events as ev
from paas_runner.job.lifecycle import apply
from paas_runner.job.tracked import Entry, Phase
from paas_runner.store.records import dumps, loads
from paas_runner.store.snapshot import histories
from paas_runner.store.sqlite import SqliteStore
from tests.support.records import NOW, job


def ended(job_id):
    return apply(apply(job(job_id), ev.Checked(), NOW), ev.Ended(), NOW)


async def test_the_history_of_a_forgotten_job_can_be_read_while_the_service_has_the_store_open(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    gone = ended(1)
    await store.save(gone)
    await store.forget(gone.key, ended=True, history=gone.history)
    assert histories(tmp_path / "s.db", 1) == {gone.key: gone.history}
    assert histories(tmp_path / "s.db", 2) == {}
    await store.aclose()


async def test_only_the_last_histories_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("paas_runner.store.jobs.REMEMBERED_HISTORIES", 3)
    store = await SqliteStore.open(tmp_path / "s.db")
    for job_id in range(1, 8):
        await store.forget(ended(job_id).key, ended=True, history=ended(job_id).history)
    await store.aclose()
    assert [bool(histories(tmp_path / "s.db", job_id)) for job_id in range(1, 8)] == [False] * 4 + [True] * 3


async def test_a_store_of_version_2_keeps_its_records_and_remembers_histories_from_now_on(tmp_path):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path)
    await store.installation()
    await store.save(job(1))
    await store.aclose()
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE history; PRAGMA user_version = 2; VACUUM")
    db.close()
    assert histories(path, 1) == {}
    store = await SqliteStore.open(path)
    assert await store.jobs() == [job(1)]
    await store.forget(job(1).key, ended=True, history=job(1).history)
    await store.aclose()
    assert histories(path, 1) == {job(1).key: job(1).history}


def test_a_record_of_an_earlier_version_has_no_history_and_a_new_one_takes_it_along():
    record = apply(job(1), ev.Checked(), NOW)
    assert loads(dumps(record)).history == record.history
    assert record.history[0] == Entry(at=NOW, phase=Phase.ACQUIRED, what="acquired", why="its name is ")
    before = dumps(record).replace('"history"', '"something else"')
    assert loads(before).history == ()
