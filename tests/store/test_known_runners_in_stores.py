"""What is known of the runners is on the disk, for the service and for commands."""

import sqlite3

import pytest

from paas_runner.job.known_runner import KnownRunner
from paas_runner.store import StoreError
from paas_runner.store.snapshot import take
from paas_runner.store.sqlite import SqliteStore
from tests.support.stores import FILES, STORES, open_place, place_of

RUNNERS = [
    KnownRunner(key="aaaa", url="https://gitlab.example", name="öne", tokens=("aaaa", "bbbb"), paused=True),
    KnownRunner(key="cccc", url="https://gitlab.example", name="", tokens=("cccc",)),
]


@pytest.fixture(params=STORES)
async def store(request, tmp_path):
    opened = await open_place(place_of(request, tmp_path))
    yield opened
    await opened.aclose()


@pytest.fixture
def place(request, tmp_path):
    return place_of(request, tmp_path)


async def test_nothing_is_known_at_first(store):
    assert list(await store.runners()) == []


async def test_what_is_known_is_kept_as_a_whole(store):
    await store.save_runners(RUNNERS)
    assert list(await store.runners()) == RUNNERS
    await store.save_runners(RUNNERS[1:])
    assert list(await store.runners()) == RUNNERS[1:]


async def test_whoever_was_faster_is_not_overwritten(store):
    assert await store.save_runners(RUNNERS, over=[])
    assert not await store.save_runners([], over=[])
    assert not await store.save_runners([], over=RUNNERS[1:])
    assert list(await store.runners()) == RUNNERS
    assert await store.save_runners(RUNNERS[1:], over=RUNNERS)
    assert list(await store.runners()) == RUNNERS[1:]


@pytest.mark.parametrize("place", FILES, indirect=True)
async def test_commands_read_it_too(place):
    store = await open_place(place)
    await store.installation()
    assert list(take(place).runners) == []
    await store.save_runners(RUNNERS)
    await store.aclose()
    assert list(take(place).runners) == RUNNERS


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
