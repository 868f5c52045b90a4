"""Keys by which a repetition is known: found on the disk, by those at once too, and forgotten in time."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

from paas_pipelines.store.disk import FILE, SCHEMA, DiskJournal
from paas_pipelines.store.keys import Keys
from paas_pipelines.triggers.event_book import KEY, EventBook

from tests.support.memory_journal import MemoryJournal

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY = timedelta(days=1)


async def test_what_was_put_is_found_whether_it_is_on_the_disk_or_not_yet(tmp_path):
    journal = await DiskJournal.open(tmp_path)
    keys = Keys(journal, "k", DAY)
    keys.put("a", "first", NOW)
    assert await keys.found(["a", "b"]) == {"a": "first"}
    await journal.flushed()
    keys.put("b", "second", NOW)
    assert await keys.found(["a", "b", "c"]) == {"a": "first", "b": "second"}
    keys.remove("a")
    assert await keys.found(["a"]) == {}
    assert await keys.found([]) == {}
    await journal.aclose()
    journal = await DiskJournal.open(tmp_path)
    assert await Keys(journal, "k", DAY).found(["a", "b"]) == {"b": "second"}
    await journal.aclose()


async def test_what_is_put_while_the_disk_is_asked_is_found():
    """So of two who look at once and then put, one has put."""

    class Slow(MemoryJournal):
        async def text(self, kind, key):
            found = await super().text(kind, key)
            await asyncio.sleep(0.01)
            return found

    keys, put = Keys(Slow(), "k", DAY), []

    async def look(name):
        if not await keys.found(["other", "key"]):
            keys.put("key", name, NOW)
            put.append(name)

    await asyncio.gather(*(look(f"{n}") for n in range(20)))
    assert put == ["0"]
    assert keys._looks == []


async def test_what_is_over_is_forgotten_a_bounded_number_at_once(tmp_path):
    journal = await DiskJournal.open(tmp_path)
    keys, others = Keys(journal, "k", DAY), Keys(journal, "other", DAY)
    for n in range(10_050):
        keys.put(f"{n}", "x", NOW)
    others.put("same", "x", NOW)
    keys.put("later", "x", NOW + DAY)
    for left in (10_051, 51, 1, 1):
        await journal.flushed()
        assert len(await journal.stored("k")) == left
        keys.forget_old(NOW + DAY)
    assert await others.found(["same"]) == {"same": "x"}
    await journal.aclose()


async def test_the_start_loads_no_key():
    class Asked(MemoryJournal):
        async def stored(self, kind):
            assert kind != KEY
            return await super().stored(kind)

    await EventBook.opened(Asked())


async def test_keys_of_an_earlier_version_are_forgotten_in_their_time(tmp_path):
    with closing(sqlite3.connect(tmp_path / FILE)) as db, db:
        db.executescript(SCHEMA.migrations[0].sql)
        db.execute("PRAGMA user_version = 1")
        event_id = "0199d1c2-0000-7000-8000-000000000000"
        old = [("event_key", "k", f"{event_id} {NOW.isoformat()}"), ("run", "r", "{}")]
        db.executemany("INSERT INTO record VALUES (?, ?, ?)", old)
    journal = await DiskJournal.open(tmp_path)
    for days, known in ((89, {"k": event_id}), (90, {})):
        book = EventBook(journal, new_id=str)
        book.forget_old(NOW + days * DAY)
        await journal.flushed()
        assert await book.seen(["k"]) == known
    assert await journal.stored("run") == {"r": "{}"}
    await journal.aclose()
