"""The store read by another process than the service."""

import sqlite3

import pytest

from paas_runner.store import StoreError
from paas_runner.store.snapshot import take
from paas_runner.store.sqlite import SqliteStore
from tests.job.records import job


async def test_what_the_service_has_written_is_seen_while_it_has_the_store_open(tmp_path):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path)
    await store.installation()
    await store.save(job(1))
    await store.forget(job(2).key, ended=True)
    snapshot = take(path)
    assert snapshot.installation == await store.installation()
    assert list(snapshot.jobs) == [job(1)]
    assert snapshot.ended == {job(2).key}
    await store.save(job(3))
    assert len(take(path).jobs) == 2
    await store.aclose()


async def test_reading_leaves_nothing_behind(tmp_path):
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.installation()
    await store.aclose()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    take(tmp_path / "s.db")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(StoreError, match=r"s\.db: there is no store"):
        take(tmp_path / "s.db")
    assert not list(tmp_path.iterdir())


async def test_a_store_without_an_installation_never_served(tmp_path):
    await (await SqliteStore.open(tmp_path / "s.db")).aclose()
    with pytest.raises(StoreError, match="there is no store"):
        take(tmp_path / "s.db")


@pytest.mark.parametrize("content", ["no database " * 100, ""])
def test_a_file_that_is_no_store_is_left_alone(tmp_path, content):
    path = tmp_path / "s.db"
    path.write_text(content)
    with pytest.raises(StoreError, match=r"s\.db"):
        take(path)
    assert path.read_text() == content


def test_a_database_of_somebody_elses_is_no_store(tmp_path):
    path = tmp_path / "s.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE wishes (name TEXT)")
    db.close()
    with pytest.raises(StoreError, match=r"s\.db"):
        take(path)
