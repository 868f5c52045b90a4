"""A store that cannot be used is refused in words, and stays byte for byte as it was; an older one is
brought up to date, whole or not at all.
"""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import attrs
import pytest

from paas_runner.job.cost import Charge
from paas_runner.job.tracked import JobKey
from paas_runner.job.use import Use
from paas_runner.store import StoreError, ledger
from paas_runner.store.database import Database
from paas_runner.store.schema import Schema
from paas_runner.store.snapshot import accounts
from paas_runner.store.sqlite import SCHEMA, SqliteStore
from tests.support.records import NOW, job, payload

CHARGE = Charge(
    key=JobKey("abc123xyz", 1), tenant="", host="app_1", flavor="M", since=NOW, until=NOW, price=None
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.db"


@pytest.fixture
async def whole(path):
    """The bytes of a store with some jobs in it."""
    store = await SqliteStore.open(path)
    for number in range(1, 60):
        await store.save(job(number))
    await store.aclose()
    return path.read_bytes()


async def opened_and_read(path):
    store = await SqliteStore.open(path)
    try:
        await store.jobs()
    finally:
        await store.aclose()


async def refused(path, why):
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(StoreError, match=why) as caught:
        await opened_and_read(path)
    assert str(path) in str(caught.value)
    assert (path.read_bytes() if path.exists() else None) == before


@pytest.mark.parametrize("left", [0, 1, 50, 100, 511, 512, 1024, 4096, 8192, -4096, -100, -1])
async def test_a_truncated_store_is_refused(path, whole, left):
    path.write_bytes(whole[:left])
    await refused(path, "It is left as it is: put a good copy in its place, or move it away")


@pytest.mark.parametrize("at", [0, 30, 100, 4096, -200])
async def test_a_store_with_other_bytes_in_it_is_refused(path, whole, at):
    damaged = bytearray(whole)
    at %= len(whole)
    damaged[at : at + 200] = b"\xff" * 200
    path.write_bytes(damaged)
    await refused(path, "It is left as it is")


async def test_a_damaged_store_that_was_killed_in_the_middle_of_its_work_is_not_touched_either(path):
    store = await SqliteStore.open(path)
    await store.save(job(1))
    main, records = path.read_bytes(), path.with_name("s.db-wal").read_bytes()
    assert records
    await store.aclose()
    path.write_bytes(b"\xff" * 100 + main[100:])
    path.with_name("s.db-wal").write_bytes(records[: len(records) // 2])
    await refused(path, "It is left as it is")


async def test_a_database_of_another_program_is_refused(path):
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE job (title TEXT)")
    db.close()
    await refused(path, "is a database, but no store of this program")


async def test_a_missing_store_with_its_journal_left_is_refused(path, whole):
    path.rename(path.with_name("moved.db"))
    path.with_name("s.db-wal").write_bytes(b"what was written last")
    await refused(path, "is missing, but its -wal is there")


async def test_a_store_of_another_user_is_refused(path, whole, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    await refused(path, "belongs to another user")


async def test_what_is_no_file_is_refused(path):
    path.mkdir()
    with pytest.raises(StoreError, match="Is a directory"):
        await SqliteStore.open(path)


async def test_a_store_half_made_by_a_killed_process_is_made_anew(path):
    with closing(sqlite3.connect(path.with_name("s.db.new"), isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE job (of_another_time TEXT)")
        journal = path.with_name("s.db.new-wal").read_bytes()
    path.with_name("s.db.new").write_bytes(b"half")
    path.with_name("s.db.new-wal").write_bytes(journal)
    store = await SqliteStore.open(path)
    await store.save(job(1))
    await store.aclose()
    assert [each.name for each in path.parent.iterdir() if ".new" in each.name] == []


async def test_a_store_that_is_refused_keeps_its_journal_as_it_was(path):
    """Of a newer version, whose process was killed: it will want both files back."""
    store = await SqliteStore.open(path)
    await store.save(job(1))
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    journal = path.with_name("s.db-wal")
    files = {file: file.read_bytes() for file in (path, journal)}
    await store.aclose()
    for file, content in files.items():
        file.write_bytes(content)
    assert files[journal]
    await refused(path, "newer version")
    assert journal.read_bytes() == files[journal]


async def test_a_payload_with_half_a_character_in_it_is_stored_like_any_other(path):
    record = attrs.evolve(job(1), payload=payload(1, job_info={"name": "half a pair: \ud83d"}))
    store = await SqliteStore.open(path)
    await store.save(record)
    assert await store.jobs() == [record]
    await store.aclose()


def older(path):
    """Make a store one of version 1, as it was before there was a ledger, histories and notices."""
    db = sqlite3.connect(path)
    later = "DROP TABLE charge; DROP TABLE history; DROP TABLE notice; DROP TABLE notice_book;"
    db.executescript(f"{later} PRAGMA user_version = 1; VACUUM")
    db.close()


def version_and_tables(path):
    db = sqlite3.connect(path)
    [version] = db.execute("PRAGMA user_version").fetchone()
    names = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'charge%'")}
    db.close()
    return version, names


async def test_a_store_of_version_1_keeps_its_records_and_gets_a_ledger(path, whole):
    older(path)
    assert version_and_tables(path) == (1, set())
    store = await SqliteStore.open(path)
    assert len(await store.jobs()) == 59
    await store.charge(CHARGE, keep_from=NOW)
    await store.aclose()
    assert version_and_tables(path) == (SCHEMA.version, {"charge", "charge_until", "charge_tenant"})
    await opened_and_read(path)


async def test_an_upgrade_that_fails_in_the_middle_leaves_version_1_and_is_made_up_for(path, whole):
    older(path)
    broken = [
        attrs.evolve(each, sql=each.sql.replace("INDEX charge_tenant", "INDEX charge_until"))
        for each in SCHEMA.migrations
    ]
    with pytest.raises(StoreError, match="already exists"):
        await Database.open(path, Schema(tuple(broken)))
    assert version_and_tables(path) == (1, set())
    await opened_and_read(path)
    assert version_and_tables(path)[0] == SCHEMA.version


async def test_a_damaged_store_of_version_1_is_not_brought_up_to_date(path, whole):
    older(path)
    damaged = path.read_bytes()
    path.write_bytes(damaged[:-4096])
    await refused(path, "It is left as it is")


@pytest.mark.parametrize(
    ("version", "without"),
    [
        (0, "job"),
        (1, "job"),
        (2, "charge"),
        (3, "history"),
        (4, "charge"),
        (5, "notice"),
        (SCHEMA.version + 1, "job"),
    ],
)
async def test_a_store_without_the_tables_of_its_version_is_refused(path, whole, version, without):
    db = sqlite3.connect(path)
    db.executescript(f"DROP TABLE {without}; PRAGMA user_version = {version}")
    db.close()
    await refused(path, "newer version" if version > SCHEMA.version else "is a database, but no store")


WITHOUT_ROOM = """
import asyncio, pathlib, resource, sys
from paas_runner.store import StoreError, ledger
from paas_runner.store.sqlite import SqliteStore
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
try:
    asyncio.run(SqliteStore.open(pathlib.Path(sys.argv[1])))
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("room", [8, 4096, 8192, 20_000])
def test_where_there_is_no_room_for_a_store_the_advice_is_to_make_some_not_to_move_it_away(path, room):
    command = [sys.executable, "-c", WITHOUT_ROOM, str(path), str(room)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Make room, then start again" in told
    assert "move it away" not in told


async def test_a_ledger_from_before_uses_were_known_can_be_read_and_goes_on(path):
    version_3 = Schema(tuple(each for each in SCHEMA.migrations if each.number <= 3))
    database = await Database.open(path, version_3)
    old = (*ledger.row(CHARGE)[:8],)
    insert = "INSERT INTO charge VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    await database.transaction(lambda db: db.execute(insert, old).rowcount)
    await SqliteStore(database).installation()
    await database.aclose()
    ever = CHARGE.since - timedelta(days=1), CHARGE.until + timedelta(days=1)
    assert accounts(path, *ever).charges == [CHARGE]  # before any start of the new version
    store = await SqliteStore.open(path)
    use = Use(memory_bytes=2**28, cpu_seconds=12.5, wall_seconds=10.0)
    new = attrs.evolve(CHARGE, host="app_2", project="acme/shop", job_name="test", use=use)
    await store.charge(new, keep_from=CHARGE.since)
    await store.aclose()
    assert sorted(accounts(path, *ever).charges, key=lambda charge: charge.host) == [CHARGE, new]
