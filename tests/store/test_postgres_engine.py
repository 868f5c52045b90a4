"""The engine on PostgreSQL: one transaction for all that waits, one bad request alone, errors in words."""

import asyncio
import subprocess
import sys

import attrs
import pytest

from paas_runner.database_url import database_url
from paas_runner.errors import Exit
from paas_runner.job.tracked import JobKey
from paas_runner.store import StoreError, StoreUnreachableError
from paas_runner.store.opening import open_store
from paas_runner.store.postgres import database as database_engine
from paas_runner.store.postgres.jobs import gone
from paas_runner.store.postgres.texts import columns_of
from paas_runner.store.snapshot import accounts, past_jobs, take
from tests.support.postgres.server import PASSWORD
from tests.support.records import job
from tests.support.stores import ALWAYS, close_store, open_to_write


@pytest.fixture
async def store(database):
    opened = await open_to_write(database)
    yield opened
    await close_store(opened)


@pytest.fixture
def sql(postgres, database):
    name = database.title.rpartition("/")[2]
    return lambda *statements: postgres.sql(*statements, database=name)


async def test_what_waits_at_the_same_time_is_one_transaction(store, sql):
    await asyncio.gather(*(store.save(job(number)) for number in range(1, 201)))
    assert len(await store.jobs()) == 200
    [[transactions]] = sql("SELECT count(DISTINCT xmin::text) FROM paas_runner.job")
    assert transactions <= 2


async def test_large_records_go_a_few_at_a_time_and_none_before_an_earlier_one_of_its_job(
    store, sql, monkeypatch
):
    monkeypatch.setattr(database_engine, "MOST_CHARACTERS", 50_000)
    large = [attrs.evolve(job(number), trouble="x" * 20_000) for number in range(1, 8)]
    small = [job(number) for number in range(1, 8)]
    await asyncio.gather(*(store.save(record) for record in [*large, *small]))
    assert list(await store.jobs()) == small
    await asyncio.gather(*(store.save(record) for record in large))
    [[transactions]] = sql("SELECT count(DISTINCT xmin::text) FROM paas_runner.job")
    assert transactions >= 3


HUGE = attrs.evolve(job(1), key=JobKey("abc123xyz", 2**63))
NOTHING, HALF = job(2, "nul\0"), job(3, "half \ud83d")


@pytest.mark.parametrize("bad", [HUGE, NOTHING, HALF])
async def test_a_record_that_no_server_takes_fails_alone(store, bad):
    writes = [store.save(record) for record in (job(1), bad, job(4))]
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert isinstance(results[1], Exception)
    assert (results[0], results[2]) == (None, None)
    assert [kept.key.job_id for kept in await store.jobs()] == [1, 4]


async def test_of_one_job_what_is_asked_for_last_is_written_last(store):
    records = [attrs.evolve(job(1), trouble=str(number)) for number in range(20)]
    await asyncio.gather(*(store.save(record) for record in records))
    assert list(await store.jobs()) == [records[-1]]
    await asyncio.gather(store.save(records[0]), store.forget(job(1).key, ended=True))
    assert list(await store.jobs()) == []
    await asyncio.gather(store.save(records[0]), store.forget(job(1).key, ended=True), store.add(records[1]))
    assert list(await store.jobs()) == [records[1]]


async def test_a_caller_that_went_away_leaves_whole_transactions_and_the_others_answered(store):
    tasks = [asyncio.create_task(store.save(job(number))) for number in range(1, 21)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert results[1::2] == [None] * 10
    await store.save(job(99))
    assert len(await store.jobs()) == 21


async def test_closing_finishes_what_was_asked_for(database):
    store = await open_to_write(database)
    writes = [asyncio.create_task(store.save(job(number))) for number in range(1, 51)]
    await asyncio.sleep(0)
    await asyncio.gather(store.aclose(), store.aclose())
    assert await asyncio.gather(*writes) == [None] * 50
    with pytest.raises(StoreError, match="is closed already"):
        await store.jobs()


async def test_a_commit_is_on_the_disk_whatever_the_database_usually_does(store, postgres, database, sql):
    name = database.title.rpartition("/")[2]
    postgres.sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    again = await open_store(database)
    [[mode]] = await again._database.read("SHOW synchronous_commit")
    assert mode == "on"
    await again.aclose()


async def test_nothing_is_compiled_or_scanned_where_an_index_serves(store, sql):
    """A forget among thousands of jobs, by a plan that was made while there was one."""
    await store.save(job(2))
    sql("ANALYZE")
    row = gone(job(1).key, 1, ended=True, entries=None)
    explained = f"EXPLAIN ANALYZE {store._jobs.sql}"
    plan = await store._database.read(explained, *store._jobs.fixed, *columns_of([row]))
    text = "\n".join(line for (line,) in plan)
    assert "JIT" not in text
    assert "Seq Scan" not in text


async def test_the_tables_are_in_a_schema_of_their_own_and_nobody_elses_are_touched(postgres, database, sql):
    sql(
        "CREATE TABLE job (wish text)",
        "INSERT INTO job VALUES ('peace')",
        "CREATE TABLE version (number int)",
    )
    store = await open_to_write(database)
    await store.save(job(1))
    await close_store(store)
    assert sql("SELECT * FROM public.job") == [("peace",)]
    assert sql("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'lease'") == [("paas_runner",)]


async def test_what_is_remembered_of_jobs_that_are_gone_is_bounded_and_nothing_is_deleted(
    database, monkeypatch, sql
):
    monkeypatch.setattr("paas_runner.store.postgres.jobs.REMEMBERED_JOBS", 3)
    monkeypatch.setattr("paas_runner.store.postgres.jobs.REMEMBERED_HISTORIES", 2)
    store = await open_to_write(database)
    for number in range(1, 8):
        await store.forget(job(number).key, ended=True, history=job(number).history)
    assert {key.job_id for key in await store.ended()} == {5, 6, 7}
    assert [past.key.job_id for past in past_jobs(database, most=9)] == [7, 6]
    [[deleted]] = sql("SELECT sum(n_tup_del) FROM pg_stat_user_tables WHERE relname IN ('ended', 'history')")
    assert not deleted
    await close_store(store)


async def test_a_history_that_is_written_twice_is_remembered_once(store, database):
    for _ in range(2):
        await store.forget(job(1).key, ended=True, history=job(1).history)
    assert len(past_jobs(database, most=9)) == 1


async def test_a_damaged_record_is_named_without_its_content(store, database, sql):
    await store.installation()
    await store.save(job(1))
    sql("UPDATE paas_runner.job SET record = replace(record, '\"timeout\":', '\"timeoot\":')")
    for read in (store.jobs, lambda: asyncio.to_thread(take, database)):
        with pytest.raises(StoreError, match="abc123xyz/1 is damaged") as caught:
            await read()
        assert "job-token" not in str(caught.value)


# --- beside the service ------------------------------------------------------------------------------------


async def test_commands_read_one_moment_and_cannot_write(store, database):
    from paas_runner.store.moment import at_one_moment

    await store.installation()
    await store.save(job(1))
    with at_one_moment(database) as moment:
        assert list(moment.jobs()) == [job(1)]
        await store.save(job(2))
        assert list(moment.jobs()) == [job(1)]
        with pytest.raises(Exception, match="read-only"):
            moment._connection.execute("DELETE FROM job")
    assert len(take(database).jobs) == 2


def test_a_store_that_is_not_there_is_not_made(database, sql):
    for read in (take, lambda place: accounts(place, *ALWAYS)):
        with pytest.raises(StoreError, match="there is no store; has the service ever run"):
            read(database)
    assert sql("SELECT to_regnamespace('paas_runner')") == [(None,)]


# --- without its library ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made_missing", "wanted"),
    [("sys.modules['psycopg'] = None", "'.[postgres]'"), ("os.environ['PSYCOPG_IMPL'] = 'c'", "libpq5")],
)
def test_what_has_to_be_installed_is_said(made_missing, wanted):
    code = (
        f"import asyncio, os, sys; {made_missing}\n"
        "from paas_runner.database_url import database_url\n"
        "from paas_runner.store.opening import MissingStorePackagesError, open_store\n"
        "try: asyncio.run(open_store(database_url('postgresql://u@h/d')))\n"
        "except MissingStorePackagesError as error: print(error); sys.exit(error.exit_code)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, text=True, capture_output=True)
    assert done.returncode == Exit.CONFIG, done.stderr
    assert "`state_store`" in done.stdout
    assert wanted in done.stdout


# --- in words ----------------------------------------------------------------------------------------------


async def refusal(place):
    with pytest.raises(StoreError) as caught:
        await open_store(place)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code is Exit.STATE
    return caught.value


async def test_what_hinders_a_connection_is_said_in_words_and_never_with_a_password(postgres):
    wrong = await refusal(postgres.url(password="wrong-" + PASSWORD[:4]))
    assert "password authentication failed" in str(wrong)
    assert "wrong-" not in str(wrong)
    assert 'database "nowhere" does not exist' in str(await refusal(postgres.url("nowhere")))
    nobody = attrs.evolve(postgres, port=9).url()
    assert "Connection refused" in str(await refusal(nobody))
    assert isinstance(await refusal(nobody), StoreUnreachableError)
    assert str(nobody.url.reveal()).partition("@")[2].partition("/")[0] in str(await refusal(nobody))
    assert "failed to resolve host" in str(await refusal(database_url("postgresql://nowhere.invalid/x")))
    assert "cannot be understood" in str(await refusal(postgres.url(query="?passwort=geheim")))


async def test_too_many_connections_are_said_to_be(postgres, database, sql):
    name = database.title.rpartition("/")[2]
    sql(
        "CREATE ROLE guest LOGIN PASSWORD 'guest' CONNECTION LIMIT 0",
        f"GRANT CREATE ON DATABASE {name} TO guest",
    )
    try:
        refused = await refusal(postgres.url(name, user="guest", password="guest"))
        assert "too many connections" in str(refused)
        assert isinstance(refused, StoreUnreachableError)
    finally:
        sql("DROP OWNED BY guest", "DROP ROLE guest")


async def test_a_user_without_rights_is_told_which_he_needs_and_an_administrator_can_make_the_schema(
    postgres, database, sql
):
    name = database.title.rpartition("/")[2]
    sql("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    place = postgres.url(name, user="plain", password="plain")
    try:
        refused = await refusal(place)
        assert "permission denied" in str(refused)
        assert "The user has to own the tables" in str(refused)
        sql("CREATE SCHEMA paas_runner AUTHORIZATION plain")
        store = await open_to_write(place)
        await store.save(job(1))
        await close_store(store)
    finally:
        sql("DROP OWNED BY plain", "DROP ROLE plain")
