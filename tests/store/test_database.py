"""The engine serves any room: it knows no tables but those that a room registered."""

import asyncio
import sqlite3
import threading

import pytest

from paas_runner.store import StoreError
from paas_runner.store.database import Database, reading
from paas_runner.store.schema import Migration, Schema
from paas_runner.store.sqlite import SCHEMA, SqliteStore
from tests.support.records import job

WISHES = Schema((Migration(number=1, room="wishes", sql="CREATE TABLE wish (name TEXT PRIMARY KEY);"),))
LATER = Schema(
    (
        Migration(
            number=2,
            room="counting",
            sql="CREATE TABLE tally (made INTEGER NOT NULL); INSERT INTO tally VALUES (0);"
            "CREATE TRIGGER wished AFTER INSERT ON wish BEGIN UPDATE tally SET made = made + 1; END;",
        ),
        *WISHES.migrations,
    )
)


def wish(name):
    return lambda db: db.execute("INSERT INTO wish VALUES (?)", (name,)).rowcount


def wishes(db):
    return [name for (name,) in db.execute("SELECT name FROM wish ORDER BY name")]


@pytest.fixture
async def database(tmp_path):
    opened = await Database.open(tmp_path / "w.db", WISHES)
    yield opened
    await opened.aclose()


async def test_a_room_has_its_own_tables_in_a_file_of_its_own(database):
    assert await database.transaction(wish("peace")) == 1
    with reading(database.path, WISHES) as db:
        assert wishes(db) == ["peace"]


async def test_rooms_share_a_file_when_their_migrations_count_together(tmp_path):
    one_more = Migration(number=SCHEMA.version + 1, room="wishes", sql=WISHES.migrations[0].sql)
    shared = Schema((*SCHEMA.migrations, one_more))
    await (await SqliteStore.open(tmp_path / "s.db")).aclose()
    database = await Database.open(tmp_path / "s.db", shared)
    store = SqliteStore(database)
    await asyncio.gather(store.save(job(1)), database.transaction(wish("peace")))
    assert (await store.jobs(), await database.transaction(wishes)) == ([job(1)], ["peace"])
    await store.aclose()


async def test_a_later_version_brings_a_file_up_to_date_which_the_older_one_then_refuses(
    tmp_path,
):
    path = tmp_path / "w.db"
    older = await Database.open(path, WISHES)
    await older.transaction(wish("peace"))
    await older.aclose()
    newer = await Database.open(path, LATER)
    await newer.transaction(wish("bread"))
    assert await newer.transaction(wishes) == ["bread", "peace"]
    assert await newer.transaction(lambda db: db.execute("SELECT made FROM tally").fetchone()) == (1,)
    await newer.aclose()
    with pytest.raises(StoreError, match="newer version"):
        await Database.open(path, WISHES)


async def test_a_file_of_another_room_is_refused(tmp_path):
    path = tmp_path / "w.db"
    await (await Database.open(path, WISHES)).aclose()
    before = path.read_bytes()
    other = Schema((Migration(number=1, room="other", sql="CREATE TABLE other (name TEXT);"),))
    with pytest.raises(StoreError, match="is a database, but no store of this program"):
        await Database.open(path, other)
    assert path.read_bytes() == before


async def test_what_waits_at_the_same_time_is_one_transaction(database):
    statements, busy = [], threading.Event()
    await database.transaction(lambda db: db.set_trace_callback(statements.append))
    works = [lambda _: busy.wait(), *(wish(str(number)) for number in range(100))]
    waiting = [asyncio.create_task(database.transaction(work)) for work in works]
    await asyncio.sleep(0)
    busy.set()
    await asyncio.gather(*waiting)
    assert statements.count("BEGIN IMMEDIATE") <= 2, "what the thread was busy with, and all the rest"
    assert len(await database.transaction(wishes)) == 100


async def test_a_request_that_raises_is_undone_and_ends_alone(database):
    def mistaken(db):
        wish("half")(db)
        raise ZeroDivisionError

    answers = await asyncio.gather(
        *(database.transaction(work) for work in (wish("one"), mistaken, wish("two"))),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [int, ZeroDivisionError, int]
    assert await database.transaction(wishes) == ["one", "two"]


async def test_a_canceled_caller_leaves_whole_transactions_and_a_living_thread(database):
    task = asyncio.create_task(database.transaction(wish("unawaited")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.transaction(wish("awaited"))
    assert await database.transaction(wishes) == ["awaited", "unawaited"]


async def test_what_sqlite_refuses_names_the_file(database):
    await database.transaction(wish("peace"))
    with pytest.raises(StoreError, match=r"w\.db: UNIQUE constraint failed"):
        await database.transaction(wish("peace"))


async def test_a_reader_cannot_write(database):
    with pytest.raises(StoreError, match="readonly"), reading(database.path, WISHES) as db:
        wish("peace")(db)


@pytest.mark.parametrize("numbers", [(), (2,), (1, 3), (0, 1)])
def test_no_migration_is_left_out(numbers):
    with pytest.raises(ValueError, match="numbered 1, 2, 3"):
        Schema(tuple(Migration(number=number, room="r", sql="") for number in numbers))


def test_an_upgrade_is_the_same_as_a_new_file():
    at_once, step_by_step = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    LATER.upgrade(at_once)
    WISHES.upgrade(step_by_step)
    LATER.upgrade(step_by_step)
    tables = [
        db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall()
        for db in (at_once, step_by_step)
    ]
    assert tables[0] == tables[1]
    for db in (at_once, step_by_step):
        db.close()


def overflowing(db):
    return db.execute("INSERT INTO wish VALUES (?)", (2**63,))


def stopping(_db):
    raise StopIteration


def exiting(_db):
    raise SystemExit(1)


def left_open(db):
    db.execute("COMMIT")
    db.execute("BEGIN EXCLUSIVE")
    raise sqlite3.OperationalError("made up")


@pytest.mark.parametrize("bad", [overflowing, stopping, exiting, left_open, wish("peace"), wish(object())])
async def test_a_request_that_cannot_be_done_is_answered_and_fails_no_neighbour(database, bad):
    await database.transaction(wish("peace"))
    asked = [database.transaction(work) for work in (wish("bread"), bad, wish("rain"))]
    first, failed, last = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
    assert isinstance(failed, Exception)
    assert await asyncio.wait_for(database.transaction(wish("sun")), 10) == 1
    if bad not in (exiting, left_open):  # those are about more than themselves
        assert (first, last) == (1, 1)
        assert await database.transaction(wishes) == ["bread", "peace", "rain", "sun"]


async def test_a_refusal_by_the_file_says_which_one(database):
    with pytest.raises(StoreError, match=r"w\.db: .*UNIQUE"):
        await asyncio.gather(*(database.transaction(wish("peace")) for _ in range(2)))


async def test_whoever_asks_a_closed_file_is_told_and_waits_for_nothing(tmp_path):
    database = await Database.open(tmp_path / "w.db", WISHES)
    last = asyncio.create_task(database.transaction(wish("peace")))
    await asyncio.sleep(0)
    await asyncio.gather(database.aclose(), database.aclose())
    assert await last == 1, "what was asked for before is done"
    async with asyncio.timeout(60):
        with pytest.raises(StoreError, match=r"w\.db: is closed already"):
            await database.transaction(wishes)


async def test_a_closed_store_says_so(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.aclose()
    async with asyncio.timeout(60):
        with pytest.raises(StoreError, match="is closed already"):
            await store.jobs()
