"""The store on PostgreSQL: who may run its plans, and what it keeps when connection or server are lost."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from paas_plans.errors import StoreError, StoreInUseError
from paas_plans.ids import fresh_id
from paas_plans.stores.postgres import PostgresStore
from paas_plans.stores.postgres_session import Session, place_of
from paas_plans.stores.protocol import Filter
from paas_plans.stores.sql import SCHEMA

from paas_runner.database_url import DatabaseUrl
from tests.plans.documents import document, running
from tests.support.postgres.plugin import StartPostgres
from tests.support.postgres.server import PASSWORD

ROOT = Path(__file__).parents[2]
CUT_OFF = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'paas-plans%'
"""


@pytest.fixture
def address(database_of_this_process: tuple[DatabaseUrl, psycopg.Connection]) -> str:
    place, _ = database_of_this_process
    return place.url.reveal()


@pytest.fixture
def schema() -> str:
    """One that no other test has."""
    return f"plans_{fresh_id().hex}"


async def opened(address: str, schema: str, *, running_plans: bool = True) -> PostgresStore:
    store = PostgresStore(address, schema=schema)
    await store.open(running_plans=running_plans)
    return store


@pytest.fixture
async def store(address: str, schema: str) -> AsyncIterator[PostgresStore]:
    store = await opened(address, schema)
    yield store
    await store.close()


def cut_off(address: str) -> None:
    """As the server's administrator would."""
    with psycopg.connect(address, autocommit=True) as administrator:
        administrator.execute(CUT_OFF)


# --- who runs the plans -------------------------------------------------------------------------------------


async def test_a_second_workstream_is_told_who_runs_the_plans(
    store: PostgresStore, address: str, schema: str
):
    with pytest.raises(StoreInUseError, match="another process runs the plans"):
        await opened(address, schema)


async def test_each_schema_is_a_store_of_its_own(store: PostgresStore, address: str, schema: str):
    other = await opened(address, f"{schema}_2")
    await store.create(document())
    assert [one async for one in other.search(Filter())] == []
    await other.close()


async def test_who_only_reads_makes_no_store(address: str, schema: str):
    with pytest.raises(
        StoreError, match="no store is here, or an older one: a workstream has to open it first"
    ):
        await opened(address, schema, running_plans=False)


async def test_many_that_start_at_once_do_not_collide_and_one_of_them_runs_the_plans(
    address: str, schema: str
):
    stores = [PostgresStore(address, schema=schema) for _ in range(8)]
    results = await asyncio.gather(
        *(store.open(running_plans=True) for store in stores), return_exceptions=True
    )
    assert [type(result) for result in results if result is not None] == [StoreInUseError] * 7
    for store in stores:
        await store.close()


async def test_a_lost_connection_is_made_again(store: PostgresStore, address: str):
    plan = document()
    await store.create(plan)
    for turn in range(3):
        cut_off(address)
        changes = running(plan, {fresh_id(): str(turn)})
        await store.save(changes)
        assert (await store.read(plan.summary.id)).summary == changes.summary


async def test_what_is_cut_off_in_the_middle_is_an_error_that_names_the_server(
    store: PostgresStore, address: str
):
    plans = [document(states={fresh_id(): "x" * 1000 for _ in range(500)}) for _ in range(20)]
    creating = asyncio.gather(*map(store.create, plans), return_exceptions=True)
    await asyncio.sleep(0.05)
    cut_off(address)
    results = await creating
    for error in filter(None, results):
        assert isinstance(error, StoreError)
        assert str(error).startswith("PostgreSQL 127.0.0.1/test_")
    kept = {one.id async for one in store.search(Filter())}
    assert {plan.summary.id for plan, error in zip(plans, results, strict=True) if not error} <= kept
    for plan_id in kept:
        assert len((await store.read(plan_id)).states) == 500


async def test_nothing_is_saved_while_another_has_the_lock_nor_once_it_has_run_the_plans(
    store: PostgresStore, address: str, schema: str
):
    plan = document()
    await store.create(plan)
    cut_off(address)
    other = await opened(address, schema)
    stale = running(plan, {fresh_id(): "{}"})
    with pytest.raises(StoreInUseError, match="runs the plans of this store"):
        await store.save(stale)
    await other.close()
    for _ in range(2):
        with pytest.raises(
            StoreInUseError, match="others ran its plans while it was lost: start this workstream again"
        ):
            await store.save(stale)
    await store.close()
    again = await opened(address, schema)
    assert await again.read(plan.summary.id) == plan
    await again.close()


async def test_the_next_process_may_run_the_plans_as_soon_as_a_store_is_closed(address: str, schema: str):
    for _ in range(20):
        await (await opened(address, schema)).close()


async def test_others_may_create_and_stop_plans_while_one_runs_them(
    store: PostgresStore, address: str, schema: str
):
    other = await opened(address, schema, running_plans=False)
    plan = document()
    await other.create(plan)
    await store.save(running(plan, {}))
    await other.ask_to_stop(plan.summary.id)
    assert await store.asked_to_stop() == {plan.summary.id}
    await other.close()


# --- schemas ------------------------------------------------------------------------------------------------


def session(address: str, schema: str, *more: str, runs_plans: bool = True) -> Session:
    steps = (*SCHEMA, *more)
    return Session(place=place_of(address), schema=schema, runs_plans=runs_plans, steps=steps)


async def rows(of: Session, text: str) -> list[tuple[object, ...]]:
    async with of.transaction() as db:
        return await (await db.execute(text.encode())).fetchall()


SECOND, WRONG = (
    "ALTER TABLE plans ADD COLUMN color TEXT; CREATE TABLE more (id TEXT)",
    "CREATE TABLE more (id TEXT)",
)


async def test_an_older_schema_is_brought_up_to_date_in_one_transaction(address: str, schema: str):
    store = await opened(address, schema)
    plan = document()
    await store.create(plan)
    await store.close()
    broken = session(address, schema, SECOND, WRONG)
    with pytest.raises(StoreError, match='relation "more" already exists'):
        await rows(broken, "SELECT 1")
    store = await opened(address, schema)  # still of the first version
    assert await store.read(plan.summary.id) == plan
    await store.close()
    newer = session(address, schema, SECOND)
    assert await rows(newer, "SELECT color FROM plans") == [(None,)]
    await newer.close()
    reading = session(address, schema, SECOND, runs_plans=False)
    assert await rows(reading, "SELECT version FROM about") == [(2,)]
    await reading.close()
    with pytest.raises(StoreError, match=r"schema is version 2, .*this one knows 1: use the newer one"):
        await opened(address, schema)


async def test_an_older_schema_is_not_changed_by_who_only_reads(
    store: PostgresStore, address: str, schema: str
):
    reading = session(address, schema, SECOND, runs_plans=False)
    with pytest.raises(StoreError, match="an older one: a workstream has to open it first"):
        await rows(reading, "SELECT 1")
    await reading.close()


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:{}@127.0.0.1:1/nothing",
        "postgresql://me:{}@[::1/nothing",
        "host=127.0.0.1 port=1 password={}",
        "host=127.0.0.1 password={} nonsense",
        "postgresql://me:{}@no-such-host.invalid/nothing?connect_timeout=2",
        "plans.db {}",
    ],
)
async def test_an_address_is_refused_without_its_password(address: str):
    with pytest.raises(StoreError) as caught:
        await PostgresStore(address.format(PASSWORD)).open(running_plans=True)
    assert PASSWORD not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_no_password_is_in_any_error_or_repr(address: str, schema: str):
    wrong = address.replace("postgres:", "nobody_such:")
    store = PostgresStore(wrong, schema=schema)
    with pytest.raises(StoreError, match="authentication failed") as caught:
        await store.open(running_plans=True)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(session(address, schema))


async def test_a_server_that_takes_no_writes_is_an_error(store: PostgresStore, address: str, schema: str):
    separator = "&" if "?" in address else "?"
    reading = await opened(
        f"{address}{separator}options=-c%20default_transaction_read_only%3Don", schema, running_plans=False
    )
    with pytest.raises(StoreError, match="read-only transaction"):
        await reading.create(document())
    await store.create(document())
    await reading.close()


async def test_values_that_cannot_be_stored_fail_their_caller_alone(store: PostgresStore):
    good, bad, other = document(), document(states={fresh_id(): "\x00"}), document()
    results = await asyncio.gather(*map(store.create, (good, bad, other)), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), psycopg.DataError, type(None)]
    assert [await store.exists(plan.summary.id) for plan in (good, bad, other)] == [True, False, True]


def test_without_psycopg_it_is_told_what_to_install():
    code = "import sys; sys.modules['psycopg'] = None; import paas_plans; import paas_plans.stores.postgres"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plans")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert "needs psycopg: pip install 'psycopg[binary]'" in done.stderr


# --- killed -------------------------------------------------------------------------------------------------


@pytest.mark.long
async def test_a_killed_server_loses_nothing_that_was_acknowledged(
    start_postgres: StartPostgres, schema: str
):
    server = start_postgres()
    store = await opened(server.url().url.reveal(), schema)
    plan, thing = document(), fresh_id()
    await store.create(plan)
    for turn in range(3):
        await store.save(running(plan, {thing: str(turn)}))
        server.send(signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(StoreError, match=r"refused|closed the connection"):
                await store.save(running(plan, {thing: "lost"}))
        server.ready()
        assert (await store.read(plan.summary.id)).states == {thing: str(turn)}
    await store.save(running(plan, {thing: "end"}))
    await store.close()


WRITES = """
import asyncio, os
from paas_plans.ids import fresh_id
from paas_plans.stores.postgres import PostgresStore
from tests.plans.documents import document, running
async def main():
    store = PostgresStore(os.environ["ADDRESS"], schema=os.environ["SCHEMA"])
    await store.open(running_plans=True)
    async def lives():
        plan = document()
        await store.create(plan)
        one, two = fresh_id(), fresh_id()
        for turn in range(1, 1000000):
            await store.save(running(plan, {one: str(turn), two: str(turn)}))
            os.write(1, f"{plan.summary.id} {one} {two} {turn}\\n".encode())
    await asyncio.gather(*(lives() for _ in range(8)))
asyncio.run(main())
"""


def writing(environment: dict[str, str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", WRITES]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


@pytest.mark.long
async def test_a_killed_writer_loses_nothing_that_was_acknowledged(address: str, schema: str):
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plans'}",
        "ADDRESS": address,
        "SCHEMA": schema,
    }
    for _ in range(5):
        with writing(environment) as writer:
            assert writer.stdout
            told = [writer.stdout.readline() for _ in range(200)]
            writer.kill()
            told += writer.stdout.readlines()
        last = {line.split()[0]: line.split()[1:] for line in told if line.endswith("\n")}
        assert last
        for _ in range(100):  # the server ends the session in its own time
            try:
                store = await opened(address, schema)
                break
            except StoreInUseError:
                await asyncio.sleep(0.05)
        kept = {str(one.id): one.id async for one in store.search(Filter())}
        for plan, (one, two, turn) in last.items():
            states = {str(key): int(state) for key, state in (await store.read(kept[plan])).states.items()}
            assert states[one] == states[two] >= int(turn)
        await store.close()


@pytest.mark.long
async def test_a_server_that_hangs_does_not_hold_up_the_end_of_a_process(
    start_postgres: StartPostgres, schema: str
):
    server = start_postgres()
    store = await opened(server.url().url.reveal(), schema)
    plan = document()
    await store.create(plan)
    server.send(signal.SIGSTOP)
    try:
        saving = asyncio.create_task(store.save(running(plan, {fresh_id(): "1"})))
        await asyncio.sleep(0)
        async with asyncio.timeout(40):
            await store.close()
            with pytest.raises(StoreError):
                await saving
    finally:
        server.send(signal.SIGCONT)
