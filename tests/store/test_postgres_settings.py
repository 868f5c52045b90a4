"""What the operator of a server has set for everybody on it changes nothing for a service."""

import asyncio
import contextlib

import attrs
import pytest

from paas_runner.job.cost import Charge
from paas_runner.store import StoreError
from paas_runner.store.opening import open_store
from paas_runner.store.protocol import StoreUnreachableError
from paas_runner.store.snapshot import accounts
from tests.store.test_store import charge
from tests.support.records import NOW, job
from tests.support.stores import ALWAYS, tending

A = "abc123xyz"

STRANGE = {
    "DateStyle": "'German, DMY'",
    "default_transaction_isolation": "serializable",
    "search_path": "nowhere",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "idle_session_timeout": "20",
    "standard_conforming_strings": "off",
    "TimeZone": "'Asia/Kolkata'",
}


@pytest.fixture
def strange(database, postgres):
    name = database.title.rpartition("/")[2]
    postgres.sql(*(f"ALTER DATABASE {name} SET {setting} TO {value}" for setting, value in STRANGE.items()))
    return database


async def opened(url):
    """Until its settings are made those of the server hold, and a millisecond may be too little for that."""
    for _ in range(20):
        with contextlib.suppress(StoreUnreachableError):
            return await open_store(url)
    return await open_store(url)


async def test_two_processes_work_under_whatever_has_been_set(strange):
    one, other = [await opened(strange) for _ in range(2)]
    await one.tend(tending(take=frozenset({A})))

    async def renew(store):
        for _ in range(20):
            await store.tend(tending())

    async def write(number):
        for _ in range(3):
            await one.save(job(number))

    writes = [write(number) for number in range(1, 11)]
    arrivals = [other.add(job(number)) for number in range(11, 21)]
    await asyncio.gather(renew(one), renew(other), *writes, *arrivals)
    assert await one.charge(charge(1), keep_from=NOW)
    await asyncio.sleep(0.05)
    assert len(await one.jobs()) == 20
    charges = None
    while charges is None:
        with contextlib.suppress(StoreUnreachableError):
            charges = accounts(strange, *ALWAYS).charges
    [found] = charges
    assert isinstance(found, Charge)
    for store in (one, other):
        await store.leave()
        await store.aclose()


@pytest.fixture
def encoded(postgres):
    """A database of its own with an encoding."""

    def make(encoding):
        locale = "TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
        postgres.sql(f"CREATE DATABASE encoded ENCODING '{encoding}' {locale}")
        return postgres.url("encoded")

    yield make
    postgres.sql("DROP DATABASE IF EXISTS encoded WITH (FORCE)")


@pytest.mark.long
async def test_a_database_that_cannot_take_every_text_is_refused_in_words(encoded):
    with pytest.raises(StoreError, match="encoding LATIN1, which cannot take every name"):
        await open_store(encoded("LATIN1"))


@pytest.mark.long
async def test_a_database_without_any_encoding_takes_every_text(encoded):
    place = encoded("SQL_ASCII")
    store = await open_store(place)
    await store.tend(tending(take=frozenset({A}), name="bücher 日本 🙈"))
    record = attrs.evolve(job(1), tenant="acmé 🙈", trouble="日本 🙈")
    await store.save(record)
    await store.charge(attrs.evolve(charge(1), job_name="🙈"), keep_from=NOW)
    assert list(await store.jobs()) == [record]
    assert [found.job_name for found in accounts(place, *ALWAYS).charges] == ["🙈"]
    await store.aclose()
