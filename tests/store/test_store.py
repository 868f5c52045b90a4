"""One contract for every store: what a method has returned from is there after the process is not."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

from paas_runner.job import events as ev
from paas_runner.job.lifecycle import TRANSITIONS, apply
from paas_runner.job.tracked import Phase
from paas_runner.store import StoreError
from paas_runner.store.sqlite import SqliteStore, StoreInUseError
from tests.job.records import FAILURE, NOW, job, job_in
from tests.memory_store import MemoryStore


@pytest.fixture(params=["sqlite", "memory"])
async def reopen(request, tmp_path):
    """Open the store, again and again: the same records each time."""
    disk = MemoryStore()
    opened = []

    async def again():
        if opened:
            await opened.pop().aclose()
        opened.append(await SqliteStore.open(tmp_path / "s.db") if request.param == "sqlite" else disk)
        return opened[0]

    yield again
    await opened.pop().aclose()


async def test_a_saved_job_is_there_after_reopening(reopen):
    store = await reopen()
    first, second = job(1), job(2)
    await store.save(first)
    await store.save(second)
    await store.save(apply(second, ev.ProvisionIntended(), NOW))
    assert list(await (await reopen()).jobs()) == [first, apply(second, ev.ProvisionIntended(), NOW)]


async def test_a_forgotten_job_is_gone_and_forgetting_twice_is_fine(reopen):
    store = await reopen()
    await store.save(job(1))
    for _ in range(2):
        await store.forget(job(1).key, ended=True)
    assert not await (await reopen()).jobs()


async def test_that_a_job_is_over_is_remembered_of_those_that_were_ours(reopen):
    store = await reopen()
    await store.forget(job(1).key, ended=True)
    await store.forget(job(2).key, ended=False)
    await store.forget(job(1).key, ended=True)
    assert await (await reopen()).ended() == {job(1).key}


async def test_only_the_last_jobs_are_remembered(tmp_path, monkeypatch):
    monkeypatch.setattr("paas_runner.store.sqlite.REMEMBERED_JOBS", 3)
    store = await SqliteStore.open(tmp_path / "s.db")
    for job_id in range(1, 8):
        await store.forget(job(job_id).key, ended=True)
    assert {key.job_id for key in await store.ended()} == {5, 6, 7}
    await store.aclose()


async def test_replacing_takes_all_records_once_per_source(reopen):
    store = await reopen()
    await store.save(job(1))
    assert await store.replace([job(2), job(3)], source="digest")
    await store.forget(job(3).key, ended=True)
    assert not await store.replace([job(2), job(3)], source="digest")
    assert [known.key.job_id for known in await (await reopen()).jobs()] == [2]


async def test_the_installation_id_is_made_once(reopen):
    first = await (await reopen()).installation()
    assert first
    assert await (await reopen()).installation() == first


@pytest.mark.parametrize("phase", [phase for phase in Phase if phase is not Phase.GONE])
async def test_a_record_of_any_phase_comes_back_equal(reopen, phase):
    record = job_in(phase, failure=FAILURE, attempts=3, trouble="ça n'a pas marché", canceling_since=NOW)
    assert TRANSITIONS[phase]
    store = await reopen()
    await store.save(record)
    assert list(await (await reopen()).jobs()) == [record]


async def test_many_writers_share_one_commit(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await asyncio.gather(*(store.save(job(number)) for number in range(1, 201)))
    assert len(await store.jobs()) == 200
    await store.aclose()


async def test_store_and_companions_are_private(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.save(job(1))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    await store.aclose()
    assert len(modes) >= 3
    assert set(modes.values()) == {0o600}


async def test_a_second_process_is_refused_with_the_first_ones_number(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    with pytest.raises(StoreInUseError, match=str(os.getpid())):
        await SqliteStore.open(tmp_path / "s.db")
    await store.aclose()
    await (await SqliteStore.open(tmp_path / "s.db")).aclose()


async def test_a_file_that_is_no_store_is_left_alone(tmp_path):
    path = tmp_path / "s.db"
    path.write_text("my shopping list, " * 100)
    with pytest.raises(StoreError, match=r"s\.db"):
        await SqliteStore.open(path)
    assert path.read_text().startswith("my shopping list")


async def test_a_store_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "s.db"
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        await SqliteStore.open(path)


async def test_a_damaged_record_is_named_without_its_content(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.save(job(1))
    await store.aclose()
    db = sqlite3.connect(tmp_path / "s.db")
    db.execute("UPDATE job SET record = replace(record, '\"timeout\":', '\"timeoot\":')")
    db.commit()
    db.close()
    store = await SqliteStore.open(tmp_path / "s.db")
    with pytest.raises(StoreError, match="abc123xyz/1") as caught:
        await store.jobs()
    assert "job-token" not in str(caught.value)
    await store.aclose()


async def test_a_store_that_turned_read_only_refuses_clearly(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store._do(lambda db: db.execute("PRAGMA query_only = ON"))
    with pytest.raises(StoreError, match="readonly"):
        await store.save(job(1))
    await store.aclose()


async def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path):
    with pytest.raises(StoreError, match="No such file"):
        await SqliteStore.open(tmp_path / "missing" / "s.db")


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    script = (
        "import asyncio, sys, pathlib\n"
        "from paas_runner.store.sqlite import SqliteStore\n"
        "from tests.job.records import job\n"
        "async def main():\n"
        "    store = await SqliteStore.open(pathlib.Path(sys.argv[1]))\n"
        "    for number in range(1, 100000):\n"
        "        await store.save(job(number))\n"
        "        print(number, flush=True)\n"
        "asyncio.run(main())\n"
    )
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "s.db")], stdout=subprocess.PIPE, text=True, cwd=root
    ) as writer:
        acknowledged = 0
        while acknowledged < 50:
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        acknowledged = int(rest[-1]) if rest else acknowledged

    async def survivors():
        store = await SqliteStore.open(tmp_path / "s.db")
        found = {known.key.job_id for known in await store.jobs()}
        await store.aclose()
        return found

    assert set(range(1, acknowledged + 1)) <= asyncio.run(survivors())


async def test_fields_of_a_newer_version_are_ignored_and_missing_ones_take_their_defaults():
    from paas_runner.store.records import from_record, to_record

    record = dict(to_record(job_in(Phase.RUNNING)))
    record["invented later"] = {"x": 1}
    del record["host_intended"]
    assert from_record(record) == attrs.evolve(job_in(Phase.RUNNING), host_intended=False)
