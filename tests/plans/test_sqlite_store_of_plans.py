"""The store on SQLite: its file, who may use it, and what it keeps when things go wrong."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from paas_plans.errors import StoreError, StoreInUseError
from paas_plans.ids import fresh_id
from paas_plans.stores.protocol import Filter
from paas_plans.stores.sql import SCHEMA
from paas_plans.stores.sqlite import SQLiteStore
from paas_plans.stores.sqlite_file import connected

from tests.plans.documents import document, running
from tests.support.requirements import need

ROOT = Path(__file__).parents[2]
FIRST_SCHEMA = (Path(__file__).parent / "fixtures" / "schema-1.sql").read_text()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plans" / "workstream.db"


async def opened(path: Path, *, running_plans: bool = True) -> SQLiteStore:
    store = SQLiteStore(path)
    await store.open(running_plans=running_plans)
    return store


def process(code: str, path: Path) -> "subprocess.Popen[str]":
    """A program with `path` and all of the above at hand, that says something when it is ready."""
    head = "import asyncio, os, sys\nfrom pathlib import Path\nfrom tests.plans.documents import *\n"
    head += "from paas_plans.stores.sqlite import SQLiteStore\nfrom paas_plans.ids import fresh_id\n"
    head += f"path = Path({str(path)!r})\n"
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'plans'}"}
    return subprocess.Popen(
        [sys.executable, "-c", head + code], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


HOLDS = """
async def main():
    await SQLiteStore(path).open(running_plans=True)
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""

LEAVES_A_CHILD = """
import time
async def main():
    await SQLiteStore(path).open(running_plans=True)
    if not os.fork():
        print(os.getpid(), flush=True)
    time.sleep(60)
asyncio.run(main())
"""

WRITES = """
async def main():
    store = SQLiteStore(path)
    await store.open(running_plans=True)
    async def lives():
        plan = document()
        await store.create(plan)
        one, two = fresh_id(), fresh_id()
        turn = 0
        while True:
            turn += 1
            await store.save(running(plan, {one: str(turn), two: str(turn)}))
            os.write(1, f"{plan.summary.id} {one} {two} {turn}\\n".encode())
    await asyncio.gather(*(lives() for _ in range(8)))
asyncio.run(main())
"""


# --- the file -----------------------------------------------------------------------------------------------


async def test_folder_and_files_are_for_their_user_alone(path: Path):
    before = os.umask(0)
    try:
        store = await opened(path)
        await store.create(document())
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
        assert {file.name for file in path.parent.iterdir()} >= {"workstream.db", "workstream.db-wal"}
        await store.close()
    finally:
        os.umask(before)


async def test_it_is_written_ahead_and_fully_synchronized(path: Path):
    await (await opened(path)).close()
    with closing(connected(path, is_locked=True)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


async def test_who_only_reads_makes_no_store(path: Path):
    with pytest.raises(StoreError, match="there is no store here"):
        await opened(path, running_plans=False)
    assert not path.parent.exists()


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file: .*no store can be there"):
        await opened(tmp_path / "file" / "plans.db")
    with pytest.raises(StoreError, match=r"unable to open|Is a directory"):
        await opened(tmp_path)


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be taken for one" * 100, b"\x00" * 5000]
)
@pytest.mark.parametrize("running_plans", [True, False])
async def test_what_is_not_a_database_is_refused_and_left_as_it_is(
    path: Path, content: bytes, running_plans: bool
):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(
        StoreError, match=r"file is not a database; restore it, or give the store another path"
    ):
        await opened(path, running_plans=running_plans)
    assert path.read_bytes() == content


async def test_the_database_of_another_program_is_refused_and_left_as_it_is(path: Path):
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE plans (id)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program's database"):
        await opened(path)
    assert path.read_bytes() == before


async def test_a_damaged_store_is_an_error_that_names_the_file(path: Path):
    store = await opened(path)
    plans = [document(states={fresh_id(): "x" * 5000}) for _ in range(20)]
    for plan in plans:
        await store.create(plan)
    await store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(path.stat().st_size - 4096))
    with pytest.raises(StoreError, match=r"workstream\.db: database disk image is malformed; restore it"):  # noqa: PT012
        again = await opened(path)
        try:
            [one async for one in again.search(Filter())]
        finally:
            await again.close()


# --- schemas ------------------------------------------------------------------------------------------------


def of_the_first_version(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as db:
        db.executescript(FIRST_SCHEMA)


async def test_a_store_of_the_first_version_is_read(path: Path):
    of_the_first_version(path)
    store = await opened(path)
    [plan] = [one async for one in store.search(Filter())]
    assert plan.name == "Kept from the first version"
    assert list((await store.read(plan.id)).states.values()) == ['{"status": 100}']
    await store.close()


def test_an_older_schema_is_brought_up_to_date_in_one_transaction(path: Path):
    of_the_first_version(path)
    second, wrong = (
        "ALTER TABLE plans ADD COLUMN color TEXT; CREATE TABLE more (id)",
        "CREATE TABLE more (id)",
    )
    with pytest.raises(sqlite3.OperationalError):
        connected(path, is_locked=True, schema=(*SCHEMA, second, wrong))
    with closing(connected(path, is_locked=True)) as db:  # still of the first version
        assert len(db.execute("SELECT * FROM plans").fetchone()) == 12
    with closing(connected(path, is_locked=True, schema=(*SCHEMA, second))) as db:
        assert db.execute("SELECT color FROM plans").fetchall() == [(None,)]
        assert db.execute("PRAGMA user_version").fetchone() == (2,)
    connected(path, is_locked=True, schema=(*SCHEMA, second)).close()


async def test_an_older_schema_is_not_changed_by_who_only_reads(path: Path):
    await (await opened(path)).close()
    with pytest.raises(StoreError, match="an older one: a workstream has to open it first"):
        connected(path, is_locked=False, schema=(*SCHEMA, "CREATE TABLE more (id)"))


async def test_a_newer_schema_is_refused_with_what_to_do_and_left_as_it_is(path: Path):
    await (await opened(path)).close()
    connected(path, is_locked=True, schema=(*SCHEMA, "CREATE TABLE more (id)")).close()
    before = path.read_bytes()
    for running_plans in (True, False):
        with pytest.raises(StoreError, match=r"schema is version 2, .*this one knows 1: use the newer one"):
            await opened(path, running_plans=running_plans)
    assert path.read_bytes() == before


# --- several processes --------------------------------------------------------------------------------------


async def test_a_second_process_is_told_who_runs_the_plans_until_that_one_is_killed(path: Path):
    with process(HOLDS, path) as first:
        assert first.stdout
        assert first.stdout.readline() == "ready\n"
        with pytest.raises(StoreInUseError, match=f"process {first.pid} on .* runs the plans") as caught:
            await opened(path)
        assert str(path) in str(caught.value)
        beside = await opened(path, running_plans=False)
        await beside.create(document())
        await beside.close()
        first.kill()
    await (await opened(path)).close()


async def test_a_child_that_outlives_the_one_who_ran_the_plans_does_not_hold_them(path: Path):
    with process(LEAVES_A_CHILD, path) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
        try:
            await (await opened(path)).close()
        finally:
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_a_killed_writer_loses_nothing_that_was_acknowledged(path: Path, times: int):
    for _ in range(times):
        with process(WRITES, path) as writer:
            assert writer.stdout
            told = [writer.stdout.readline() for _ in range(200)]
            writer.send_signal(signal.SIGKILL)
            told += writer.stdout.readlines()
        last = {line.split()[0]: line.split()[1:] for line in told if line.endswith("\n")}
        store = await opened(path)
        kept = {str(one.id): one.id async for one in store.search(Filter())}
        for plan, (one, two, turn) in last.items():
            states = {str(key): int(state) for key, state in (await store.read(kept[plan])).states.items()}
            assert states[one] == states[two] >= int(turn)
        await store.close()


# --- trouble ------------------------------------------------------------------------------------------------


async def test_nothing_is_written_to_a_file_that_was_deleted_or_replaced(path: Path):
    store = await opened(path)
    await store.create(document())
    away, copy = path.with_suffix(".away"), path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    path.rename(away)
    for _ in range(2):
        with pytest.raises(StoreError, match="no longer the file"):
            await store.create(document())
        copy.replace(path) if copy.exists() else None
    away.replace(path)
    await store.create(document())
    assert len([plan async for plan in store.search(Filter())]) == 2
    await store.close()


@pytest.mark.long
async def test_a_locked_database_is_an_error_and_works_again_when_it_is_free(path: Path):
    store = await opened(path)
    plan = document()
    await store.create(plan)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        saving = asyncio.create_task(store.save(running(plan, {fresh_id(): "{}"})))
        with pytest.raises(StoreError, match="database is locked"):
            await saving
    await store.save(running(plan, {}))
    await store.close()


async def test_values_that_cannot_be_stored_fail_their_caller_alone(path: Path):
    store = await opened(path)
    good, bad = document(), document(states={fresh_id(): "\ud800"})
    results = await asyncio.gather(store.create(good), store.create(bad), return_exceptions=True)
    assert results[0] is None
    assert isinstance(results[1], UnicodeEncodeError)
    assert [await store.exists(plan.summary.id) for plan in (good, bad)] == [True, False]
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder that holds half a megabyte."""
    need("mount", "umount", root=True)
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


async def test_a_full_disk_is_an_error_and_the_store_works_again_when_there_is_room(small_disk: Path):
    store = await opened(small_disk / "plans.db")
    plans = [document()]
    await store.create(plans[0])
    (small_disk / "ballast").write_bytes(b"x" * 200_000)
    with pytest.raises(StoreError, match=r"disk is full|disk I/O error"):  # noqa: PT012
        for _ in range(1000):
            plan = document(states={fresh_id(): "x" * 20_000})
            await store.create(plan)
            plans.append(plan)
    assert await store.read(plans[-1].summary.id) == plans[-1]
    (small_disk / "ballast").unlink()
    more = document(states={fresh_id(): "x" * 20_000})
    await store.create(more)
    assert {one.id async for one in store.search(Filter())} == {plan.summary.id for plan in (*plans, more)}
    await store.close()


async def test_a_store_that_was_forgotten_does_not_keep_its_process_from_ending(path: Path):
    code = "asyncio.run(SQLiteStore(path).open(running_plans=True))\nprint('end', flush=True)\n"
    with process(code, path) as forgetful:
        assert forgetful.wait(20) == 0
