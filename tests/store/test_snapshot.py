"""The store read by another process than the service."""

import os
import sqlite3
from datetime import timedelta

import attrs
import pytest

from paas_runner.job.cost import Charge
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.store import StoreError
from paas_runner.store.snapshot import accounts, take
from paas_runner.store.sqlite import SqliteStore
from tests.support.records import NOW, job, job_in
from tests.support.stores import FILES, open_to_write, place_of

HOUR = timedelta(hours=1)


@pytest.fixture
def place(request, tmp_path):
    return place_of(request, tmp_path)


def charge(job_id, *, since, until, host="app_1", tenant="", runner="abc123xyz"):
    key = JobKey(runner, job_id)
    return Charge(key=key, tenant=tenant, host=host, flavor="M", since=since, until=until, price=None)


@pytest.mark.parametrize("place", FILES, indirect=True)
async def test_what_the_service_has_written_is_seen_while_it_has_the_store_open(place):
    store = await open_to_write(place)
    await store.installation()
    await store.save(job(1))
    await store.forget(job(2).key, ended=True)
    snapshot = take(place)
    assert snapshot.installation == await store.installation()
    assert list(snapshot.jobs) == [job(1)]
    assert snapshot.ended == {job(2).key}
    await store.save(job(3))
    assert len(take(place).jobs) == 2
    await store.aclose()


@pytest.mark.parametrize("place", FILES, indirect=True)
async def test_those_who_paid_for_hosts_that_are_gone_are_known_by_runner(place):
    store = await open_to_write(place)
    await store.installation()
    for number, (runner, tenant) in enumerate(
        [("one", "acme"), ("one", "bolt"), ("one", "acme"), ("two", "")]
    ):
        gone = charge(number, since=NOW, until=NOW + HOUR, tenant=tenant, runner=runner)
        await store.charge(gone, keep_from=NOW)
    assert take(place).tenants == {"one": {"acme", "bolt"}, "two": {""}}
    assert await store.tenants("one") == {"acme", "bolt"}
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


@pytest.mark.parametrize("place", FILES, indirect=True)
async def test_a_store_without_an_installation_never_served(place):
    await (await open_to_write(place)).aclose()
    with pytest.raises(StoreError, match="there is no store"):
        take(place)


@pytest.mark.parametrize("content", ["no database " * 100, ""])
def test_a_file_that_is_no_store_is_left_alone(tmp_path, content):
    path = tmp_path / "s.db"
    path.write_text(content)
    with pytest.raises(StoreError, match=r"s\.db"):
        take(path)
    assert path.read_text() == content


def test_a_database_of_another_program_is_no_store(tmp_path):
    path = tmp_path / "s.db"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE wishes (name TEXT)")
    db.close()
    with pytest.raises(StoreError, match=r"s\.db"):
        take(path)


@pytest.mark.parametrize("place", FILES, indirect=True)
async def test_the_accounts_have_the_charges_of_their_time_and_the_records_that_are_not_among_them(place):
    store = await open_to_write(place)
    before = charge(1, since=NOW - 3 * HOUR, until=NOW - 2 * HOUR)
    early = charge(2, since=NOW - 3 * HOUR, until=NOW + HOUR / 2)
    late = charge(3, since=NOW + HOUR / 2, until=NOW + 3 * HOUR)
    after = charge(4, since=NOW + HOUR, until=NOW + 3 * HOUR)
    for each in (before, early, late, after):
        await store.charge(each, keep_from=NOW - 9 * HOUR)
    charged = attrs.evolve(job_in(Phase.DECOMMISSIONING), key=before.key)
    running = attrs.evolve(job_in(Phase.RUNNING), key=JobKey("abc123xyz", 5))
    for record in (charged, running):
        await store.save(record)
    found = accounts(place, NOW, NOW + HOUR)
    assert list(found.charges) == [early, late]
    assert list(found.jobs) == [running]
    await store.aclose()


async def test_a_store_that_the_service_did_not_bring_up_to_date_yet_has_records_and_no_ledger(tmp_path):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path)
    await store.save(job(1))
    await store.aclose()
    db = sqlite3.connect(path)
    db.executescript("DROP TABLE charge; PRAGMA user_version = 1")
    db.close()
    found = accounts(path, NOW, NOW + HOUR)
    assert (list(found.charges), list(found.jobs)) == ([], [job(1)])


async def test_a_store_of_a_newer_version_is_not_read(tmp_path):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path)
    await store.installation()
    await store.aclose()
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for read in (take, lambda path: accounts(path, NOW, NOW + HOUR)):
        with pytest.raises(StoreError, match="newer version"):
            read(path)


@pytest.mark.parametrize("damage", ["until = 'yesterday'", "until = x'00'", "until = 42", "price = 'much'"])
async def test_a_charge_that_cannot_be_understood_is_a_damaged_store(tmp_path, damage):
    path = tmp_path / "s.db"
    store = await SqliteStore.open(path)
    await store.charge(charge(1, since=NOW, until=NOW + HOUR), keep_from=NOW)
    await store.aclose()
    db = sqlite3.connect(path)
    db.execute(f"UPDATE charge SET {damage}")
    db.commit()
    db.close()
    with pytest.raises(StoreError, match=r"s\.db"):
        accounts(path, NOW, NOW + HOUR)


async def test_a_store_that_this_user_may_not_read_is_a_clear_error(tmp_path, monkeypatch):
    path = tmp_path / "s.db"
    await (await SqliteStore.open(path)).aclose()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(StoreError, match="run the command as the service's user"):
        accounts(path, NOW, NOW + HOUR)
