"""What is known of the runners is on the disk, for the service and for commands."""

import sqlite3

import pytest

from paas_runner.job.known_runner import KnownRunner
from paas_runner.store import StoreError
from paas_runner.store.snapshot import take
from paas_runner.store.sqlite import SqliteStore
from paas_runner.testing.memory_store import MemoryStore

RUNNERS = [
    KnownRunner(key="aaaa", url="https://gitlab.example", name="öne", tokens=("aaaa", "bbbb"), paused=True),
    KnownRunner(key="cccc", url="https://gitlab.example", name="", tokens=("cccc",)),
]


@pytest.fixture(params=["memory", "sqlite"])
async def store(request, tmp_path):
    opened = MemoryStore() if request.param == "memory" else await SqliteStore.open(tmp_path / "store.db")
    yield opened
    await opened.aclose()


async def test_nothing_is_known_at_first(store):
    assert list(await store.runners()) == []


async def test_what_is_known_is_kept_as_a_whole(store):
    await store.save_runners(RUNNERS)
    assert list(await store.runners()) == RUNNERS
    await store.save_runners(RUNNERS[1:])
    assert list(await store.runners()) == RUNNERS[1:]


async def test_commands_read_it_too(tmp_path):
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.installation()
    assert list(take(tmp_path / "store.db").runners) == []
    await store.save_runners(RUNNERS)
    await store.aclose()
    assert list(take(tmp_path / "store.db").runners) == RUNNERS


async def test_damage_is_reported_and_nothing_is_guessed(tmp_path):
    store = await SqliteStore.open(tmp_path / "store.db")
    await store.save_runners(RUNNERS)
    await store.aclose()
    with sqlite3.connect(tmp_path / "store.db") as db:
        db.execute("UPDATE fact SET value = '[{}]' WHERE name = 'runners'")
    db.close()
    store = await SqliteStore.open(tmp_path / "store.db")
    with pytest.raises(StoreError, match="what is known of the runners is damaged"):
        await store.runners()
    await store.aclose()
