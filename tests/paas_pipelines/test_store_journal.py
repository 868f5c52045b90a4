"""What is put between two awaits reaches the disk together; what `flushed` has returned from is there."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from paas_pipelines.store.disk import FILE, DiskJournal

from paas_runner.errors import Exit
from paas_runner.store.database import StoreInUseError
from paas_runner.store.protocol import StoreError
from tests.support.memory_journal import MemoryJournal


@pytest.fixture
async def journal(tmp_path):
    opened = await DiskJournal.open(tmp_path / "data")
    yield opened
    await opened.aclose()


def on_disk(folder):
    """What a process finds that comes after a crash at this moment."""
    with closing(sqlite3.connect(folder / "data" / FILE)) as db:
        return {key: text for _, key, text in db.execute("SELECT kind, key, text FROM record ORDER BY rowid")}


async def test_what_was_put_is_found_after_flushed(journal, tmp_path):
    journal.put("run", "a", "1")
    journal.put("run", "b", "2")
    journal.put("run", "a", "3")
    assert on_disk(tmp_path) == {}
    await journal.flushed()
    assert on_disk(tmp_path) == {"a": "3", "b": "2"}
    journal.put("run", "a", None)
    journal.put("job", "a", "4")
    await journal.flushed()
    assert await journal.stored("run") == {"b": "2"}
    assert await journal.stored("job") == {"a": "4"}


async def test_one_in_memory_does_the_same():
    journal = MemoryJournal()
    journal.put("run", "a", "1")
    journal.put("run", "b", "2")
    journal.put("run", "a", None)
    await journal.flushed()
    assert (await journal.stored("run"), await journal.stored("job")) == ({"b": "2"}, {})


async def test_it_is_written_although_nobody_waits(journal, tmp_path):
    journal.put("run", "a", "1")
    async with asyncio.timeout(60):
        while not on_disk(tmp_path):
            await asyncio.sleep(0.01)


async def test_between_two_awaits_it_is_one_transaction_and_later_ones_never_overtake(journal, tmp_path):
    seen = []

    async def watch():
        while True:
            seen.append(tuple(on_disk(tmp_path).values()))
            await asyncio.sleep(0)

    watching = asyncio.create_task(watch())
    for number in range(100):
        journal.put("run", "a", str(number))
        journal.put("run", "b", str(number))
        await asyncio.sleep(0)
        if number % 10 == 0:
            await journal.flushed()
    await journal.flushed()
    watching.cancel()
    pairs = [pair for pair in seen if pair]
    assert all(one == other for one, other in pairs)
    assert [int(one) for one, _ in pairs] == sorted(int(one) for one, _ in pairs)
    assert on_disk(tmp_path) == {"a": "99", "b": "99"}


async def test_flushed_waits_for_what_is_under_way_and_not_for_what_comes_later(journal, tmp_path):
    journal.put("run", "a", "1")
    await asyncio.sleep(0)  # it is under way now
    await journal.flushed()
    assert on_disk(tmp_path) == {"a": "1"}
    await journal.flushed()


async def test_a_waiter_that_went_away_disturbs_no_other(journal, tmp_path):
    journal.put("run", "a", "1")
    gone, there = (asyncio.create_task(journal.flushed()) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    await there
    assert (gone.cancelled(), on_disk(tmp_path)) == (True, {"a": "1"})


async def test_closing_writes_what_is_left(tmp_path):
    journal = await DiskJournal.open(tmp_path / "data")
    journal.put("run", "a", "1")
    await journal.aclose()
    assert on_disk(tmp_path) == {"a": "1"}


async def test_only_the_servers_user_may_read(journal, tmp_path):
    journal.put("run", "a", "1")
    await journal.flushed()
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "data").iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 4
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_a_second_server_on_the_same_folder_is_refused_and_told_who_has_it(journal, tmp_path):
    with pytest.raises(
        StoreInUseError, match=r"another server works on this data folder \(process \d+\)"
    ) as told:
        await DiskJournal.open(tmp_path / "data")
    assert told.value.exit_code is Exit.IN_USE


async def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/data: cannot be created: Not a directory"):
        await DiskJournal.open(tmp_path / "file" / "data")


async def test_a_file_is_on_the_disk_before_the_records_that_tell_of_it(journal, tmp_path, monkeypatch):
    """One that was removed meanwhile hinders nothing."""
    synchronised, really = [], os.fsync

    def watched(descriptor):
        synchronised.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), on_disk(tmp_path)))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    (tmp_path / "trace").write_bytes(b"x")
    for path in (tmp_path / "trace", tmp_path, tmp_path / "gone"):
        journal.grown(path)
    journal.put("job", "1", "has a trace")
    await journal.flushed()
    assert synchronised == [(str(tmp_path / "trace"), {}), (str(tmp_path), {})]
    assert on_disk(tmp_path) == {"1": "has a trace"}


async def test_what_is_not_needed_any_more_goes_after_the_records_that_told_of_it(journal, tmp_path):
    (tmp_path / "data" / "artifacts").mkdir()
    await limit(journal, 1)
    journal.put("run", "a", "x" * 10_000)
    journal.unneeded(tmp_path / "data" / "artifacts")
    with pytest.raises(StoreError):
        await journal.flushed()
    assert (tmp_path / "data" / "artifacts").exists()
    await limit(journal, 1_000_000)
    await journal.flushed()
    assert not (tmp_path / "data" / "artifacts").exists()
    await journal.flushed()
    assert on_disk(tmp_path).keys() == {"a"}


# --- a disk that takes no more ---------------------------------------------------------------------------


async def limit(journal, pages):
    """SQLite answers as of a full disk once the file has so many pages."""
    await journal._database.transaction(lambda db: db.execute(f"PRAGMA max_page_count = {pages}").fetchone())


async def test_where_nothing_can_be_written_those_who_wait_are_told_and_nothing_is_lost(journal, tmp_path):
    await limit(journal, 1)
    with structlog.testing.capture_logs() as log:
        for number in range(3):
            journal.put("run", str(number), "x" * 10_000)
            with pytest.raises(StoreError, match="full"):
                await journal.flushed()
        assert on_disk(tmp_path) == {}
        await limit(journal, 1_000_000)
        await journal.flushed()
    assert len(on_disk(tmp_path)) == 3
    events = [(event["event"], event["log_level"]) for event in log]
    assert events == [("records_not_written", "error"), ("records_written_again", "warning")]


async def test_it_goes_on_by_itself_once_there_is_room(journal, tmp_path):
    await limit(journal, 1)
    journal.put("run", "a", "x" * 10_000)
    with pytest.raises(StoreError, match="full"):
        await journal.flushed()
    await limit(journal, 1_000_000)
    async with asyncio.timeout(60):
        while not on_disk(tmp_path):
            await asyncio.sleep(0.05)


async def test_of_a_record_that_changes_meanwhile_the_latest_is_written(journal, tmp_path):
    await limit(journal, 1)
    journal.put("run", "a", "x" * 10_000)
    journal.put("run", "b", "x" * 10_000)
    with pytest.raises(StoreError):
        await journal.flushed()
    journal.put("run", "a", "short")
    journal.put("run", "b", None)
    await limit(journal, 1_000_000)
    await journal.flushed()
    assert on_disk(tmp_path) == {"a": "short"}


async def test_closing_where_nothing_can_be_written_says_so_and_lets_go(tmp_path):
    journal = await DiskJournal.open(tmp_path / "data")
    await limit(journal, 1)
    journal.put("run", "a", "x" * 10_000)
    with pytest.raises(StoreError):
        await journal.aclose()
    await (await DiskJournal.open(tmp_path / "data")).aclose()


@pytest.mark.parametrize("suffix", ["", "-wal"])
async def test_a_file_that_is_removed_is_noticed_and_may_be_put_back(journal, tmp_path, suffix):
    journal.put("run", "a", "1")
    await journal.flushed()
    path = tmp_path / "data" / f"{FILE}{suffix}"
    path.rename(tmp_path / "elsewhere")
    journal.put("run", "a", "2")
    with pytest.raises(StoreError, match="was removed or replaced"):
        await journal.flushed()
    (tmp_path / "elsewhere").rename(path)
    await journal.flushed()
    assert on_disk(tmp_path) == {"a": "2"}


async def test_a_copy_in_its_place_is_not_taken_for_the_file(journal, tmp_path):
    path = tmp_path / "data" / FILE
    path.rename(tmp_path / "elsewhere")
    path.write_bytes((tmp_path / "elsewhere").read_bytes())
    journal.put("run", "a", "1")
    with pytest.raises(StoreError, match="was removed or replaced"):
        await journal.flushed()
    path.unlink()
    (tmp_path / "elsewhere").rename(path)
    await journal.flushed()


FULL = """
import asyncio, pathlib, resource, sys
from paas_pipelines.store.disk import DiskJournal
from paas_runner.store.protocol import StoreError

async def main(folder):
    journal = await DiskJournal.open(folder)
    told = 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    for number in range(40):
        journal.put("run", str(number), "x" * 5_000)
        try:
            async with asyncio.timeout(0.3):
                await journal.flushed()
        except StoreError:
            told += 1
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.flushed()
    found = await journal.stored("run")
    await journal.aclose()
    print(told, len(found) == number + 1)

asyncio.run(main(pathlib.Path(sys.argv[1])))
"""


def test_a_file_that_may_not_grow_is_got_over(tmp_path):
    """The system refuses the write itself, in the middle of a transaction."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "data")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.split()[-2:] == ["1", "True"], done.stdout + done.stderr
