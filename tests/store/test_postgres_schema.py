"""The tables on the server: made once, brought up to date beside those who still work on the older ones."""

import asyncio

import pytest

from paas_runner.store import StoreError
from paas_runner.store.opening import open_store
from paas_runner.store.postgres import schema
from paas_runner.store.postgres.connecting import Server
from paas_runner.store.postgres.database import Database
from paas_runner.store.postgres.schema import MIGRATIONS, Migration, upgrade
from paas_runner.store.postgres.store import PostgresStore
from paas_runner.store.snapshot import take
from tests.support.records import job
from tests.support.stores import close_store, open_to_write, tending

ADDED = Migration(
    sql="ALTER TABLE job ADD COLUMN zone text NOT NULL DEFAULT ''; CREATE TABLE zone (name text PRIMARY KEY);"
)
BREAKING = Migration(sql="ALTER TABLE job DROP COLUMN phase", oldest_reader=len(MIGRATIONS) + 1)


async def open_as(place, *later):
    """As a version with more migrations than ours."""
    server = Server.at(place.url)

    async def prepare(connection):
        await upgrade(connection, (*MIGRATIONS, *later))

    return PostgresStore(await Database.open(server, prepare), server)


async def test_of_many_processes_that_come_at_once_one_makes_the_tables(database):
    stores = await asyncio.gather(*(open_store(database) for _ in range(6)))
    assert len({await store.installation() for store in stores}) == 1
    for store in stores:
        await store.aclose()


async def test_of_many_that_bring_them_up_to_date_at_once_one_does(database):
    await (await open_store(database)).aclose()
    for store in await asyncio.gather(*(open_as(database, ADDED) for _ in range(6))):
        await store.aclose()


async def test_an_older_version_goes_on_working_beside_a_newer_one_and_may_start_again(database):
    older = await open_to_write(database)
    await older.save(job(1))
    newer = await open_as(database, ADDED)
    await newer.tend(tending(take=frozenset({"newer"})))
    await older.save(job(2))
    await newer.save(job(3, "newer"))
    await close_store(older)
    older = await open_to_write(database)
    await older.save(job(4))
    await older.installation()
    assert [kept.key.job_id for kept in await newer.jobs()] == [1, 2, 3, 4]
    assert len(take(database).jobs) == 4
    for store in (older, newer):
        await close_store(store)


async def test_only_one_that_cannot_work_on_them_refuses_newer_tables(database):
    newer = await open_as(database, BREAKING)
    await newer.installation()
    with pytest.raises(StoreError, match=r"newer version of this program .*; install that"):
        await open_store(database)
    with pytest.raises(StoreError, match="newer version of this program"):
        take(database)
    again = await open_as(database, BREAKING, ADDED)
    for store in (newer, again):
        await store.aclose()


async def test_a_migration_that_fails_leaves_nothing_of_it(database):
    store = await open_to_write(database)
    await store.save(job(1))
    with pytest.raises(StoreError, match="nonsense"):
        await open_as(database, ADDED, Migration(sql="CREATE TABLE half (name text); SELECT nonsense"))
    [[tables]] = await store._database.read(
        "SELECT count(*) FROM pg_tables WHERE schemaname = 'paas_runner' AND tablename IN ('zone', 'half')"
    )
    assert tables == 0
    await close_store(store)


async def test_a_schema_of_the_same_name_that_is_not_ours_is_left_alone(postgres, database):
    name = database.title.rpartition("/")[2]
    postgres.sql("CREATE SCHEMA paas_runner", "CREATE TABLE paas_runner.job (wish text)", database=name)
    with pytest.raises(StoreError, match='relation "job" already exists'):
        await open_store(database)
    assert postgres.sql(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'paas_runner'", database=name
    ) == [("job",)]


def test_migrations_of_today_ask_nobody_to_be_upgraded_first():
    assert {migration.oldest_reader for migration in schema.MIGRATIONS} == {1}
