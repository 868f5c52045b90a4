"""What `paas-runner check` says of a database that several processes share."""

import asyncio
from datetime import UTC, datetime

import attrs
import pytest

from paas_runner.check.machine import check_state
from paas_runner.check.shared_store import check_members, check_server
from paas_runner.config import load
from paas_runner.database_url import database_url
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import installed
from paas_runner.job.lease import Lease, Member, Mode, Tenancy
from paas_runner.secret import Secret
from paas_runner.store import StoreError
from paas_runner.store.opening import open_store
from paas_runner.store.snapshot import take
from tests.config.test_load import RUNNER
from tests.support.missing_packages import take_away
from tests.support.postgres.server import PASSWORD
from tests.support.records import job
from tests.support.stores import close_store, tending

KEY = "zz1111111"


@pytest.fixture
def config(tmp_path):
    def config(top=""):
        path = tmp_path / "config.toml"
        path.touch(mode=0o600)
        path.write_text(top + RUNNER)
        return load(path, environ={}, executors=installed())

    return config


def told(results):
    return [(str(result.grade), result.text) for result in results]


def member(name, *serves, mode=Mode.STANDBY, left=9.0):
    return Member(
        holder=f"holder of {name}",
        name=name,
        version="1.2",
        mode=mode,
        serves=frozenset(serves),
        seconds_left=left,
    )


def tenancy(*members, held_by=""):
    lease = Lease(runner=KEY, holder=f"holder of {held_by}", seconds_left=9.0)
    return Tenancy(leases={KEY: lease}, members={each.holder: each for each in members})


def test_those_who_work_on_it_are_told(config):
    key = config().runners[0].short_token
    found = tenancy(member("right", key), member("left", key), member("dead", left=-1.0), held_by="left")
    assert told(check_members(config(), found)) == [
        ("fine", "works on it: left (1.2, runners: 1), right (1.2, runners: 0)")
    ]
    assert told(check_members(config(), Tenancy())) == [("fine", "no process works on it at this moment")]


def test_a_runner_that_is_not_in_every_configuration_is_told(config):
    key = config().runners[0].short_token
    _, one, other = told(check_members(config(), tenancy(member("left", key), member("right", "zzz"))))
    assert one == (
        "warning",
        (
            "the runner one is not in every configuration, only in this configuration, that of left: "
            "where that process ends nobody goes on with its jobs"
        ),
    )
    assert "the runner zzz is not in every configuration, only in that of right" in other[1]


def test_two_processes_with_one_name_are_told(config):
    here = config('state_store = "postgresql://db/paas"\nstate_store_member = "left"\n')
    found = tenancy(member("left", here.runners[0].short_token))
    assert told(check_members(here, found, runs_here=True))[1:] == []
    assert told(check_members(here, found))[1:] == [
        ("warning", "another process is called left, too: nobody could tell the two apart")
    ]


def test_different_modes_and_too_few_places_to_spread_are_told(config):
    here = config('state_store = "postgresql://db/paas"\nstate_store_mode = "spread"\nconcurrent = 1\n')
    key = here.runners[0].short_token
    members = member("left", key, mode=Mode.SPREAD), member("right", key)
    assert told(check_members(here, tenancy(*members)))[1:] == [
        ("warning", "`state_store_mode` is spread here, standby at right"),
        (
            "fine",
            (
                "spread over 2 processes, but whole [[runners]] are divided, and there is one: "
                "the others stand by"
            ),
        ),
        ("warning", "spread over 2 processes, but `concurrent` is 1: some get no job"),
    ]


def test_a_database_is_not_asked_offline(config):
    here = config('state_store = "postgresql://paas:canary@db/paas"\n')
    [*_, last] = check_state(here, datetime.now(UTC), offline=True).results
    assert (last.subject, last.grade) == ("state_store", Grade.SKIPPED)
    assert last.text == "postgresql://paas@db/paas: not asked, as wanted"


def test_without_the_packages_one_line_says_so(monkeypatch):
    take_away(monkeypatch, "psycopg", "paas_runner.store.postgres")
    [result] = check_server(database_url("postgresql://db/paas"))
    assert result.grade is Grade.FAULT
    assert result.text == (
        "`state_store` needs more packages (psycopg): in a checkout of PaaS Runner, pip install '.[postgres]'"
    )


# --- on a server -------------------------------------------------------------------------------------------


def test_a_database_is_looked_at_before_and_after_the_first_start(config, database, postgres):
    here = attrs.evolve(config(), state_store=database)
    results = check_state(here, datetime.now(UTC)).results
    assert Grade.FAULT not in {result.grade for result in results}
    texts = [result.text for result in results]
    assert any(text.startswith(f"{database}: PostgreSQL 1") for text in texts)
    assert {"the next start makes its tables", "the database has no records yet"} <= {*texts}
    assert any("fsync or full_page_writes is off" in text for text in texts)

    async def start():
        store = await open_store(database)
        await store.installation()
        await store.leases.system_id("s_0123456789ab")
        await store.leases.tend(tending())
        found = await asyncio.to_thread(check_state, here, datetime.now(UTC))
        await close_store(store)
        return found

    checked = asyncio.run(start())
    texts = [result.text for result in checked.results]
    assert {"its tables have schema 1", "works on it: one (1.0, runners: 0)"} <= {*texts}
    assert f"{database}: tracked jobs: 0" in texts
    assert len(checked.installation) == 16
    assert checked.system_id == "s_0123456789ab", "coordinators are asked as by the service"
    assert not any(PASSWORD in text for text in texts)


def test_what_the_user_may_not_do_is_a_fault(database, postgres):
    postgres.sql("DROP ROLE IF EXISTS guest", f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}'")
    guest = postgres.url(str(database).rpartition("/")[2], user="guest")
    assert "guest may neither make its tables nor bring them up to date" in dict(
        map(reversed, told(check_server(guest)))
    )
    asyncio.run(prepare(database))
    [refused] = check_server(guest)
    assert "permission denied for schema paas_runner. The user has to own the tables" in refused.text
    with pytest.raises(StoreError, match="permission denied for schema paas_runner"):
        asyncio.run(prepare(guest))
    with pytest.raises(StoreError, match="permission denied for schema paas_runner"):
        take(guest)
    name = str(database).rpartition("/")[2]
    postgres.sql("GRANT USAGE ON SCHEMA paas_runner TO guest", database=name)
    postgres.sql("GRANT SELECT ON ALL TABLES IN SCHEMA paas_runner TO guest", database=name)
    [fault] = [text for grade, text in told(check_server(guest)) if grade == "fault"]
    assert fault.startswith("guest may not use its tables as is needed: charge: DELETE, charge: INSERT, ")
    assert "SELECT" not in fault
    postgres.sql("DROP OWNED BY guest", database=name)
    postgres.sql("DROP ROLE guest")


async def prepare(database):
    await (await open_store(database)).aclose()


def test_where_no_host_takes_records_one_that_does_not_is_told_of(database, postgres):
    asyncio.run(prepare(database))
    name = str(database).rpartition("/")[2]
    postgres.sql(f"CREATE ROLE replica SUPERUSER LOGIN PASSWORD '{PASSWORD}'")
    postgres.sql("ALTER ROLE replica SET default_transaction_read_only = on")
    try:
        alone = postgres.url(name, user="replica")
        both = database_url(alone.url.reveal().replace("@", "@127.0.0.1:1,", 1))
        for place in (alone, both):
            assert "it takes no records: it is a replica, or read-only" in [
                text for _, text in told(check_server(place))
            ]
    finally:
        postgres.sql("DROP ROLE replica")


def test_of_a_server_that_lets_nobody_in_it_is_said_what_to_look_at(database):
    [refused] = check_server(database.with_password(Secret("another-password")))
    assert "password authentication failed" in refused.text
    assert "`state_store_password`" in refused.advice


def test_a_database_that_takes_no_records_or_is_newer_is_a_fault(database, postgres):
    asyncio.run(prepare(database))
    name = str(database).rpartition("/")[2]
    postgres.sql("UPDATE paas_runner.version SET number = 8", database=name)
    assert ("fine", "its tables have schema 8, newer than ours (1), with which we can work") in told(
        check_server(database)
    )
    postgres.sql("UPDATE paas_runner.version SET oldest_reader = 8", database=name)
    postgres.sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    faults = [text for grade, text in told(check_server(database)) if grade == "fault"]
    assert faults == [
        "it takes no records: it is a replica, or read-only",
        "its tables are of a newer version of this program (schema 8), beside which this one cannot work",
    ]


def test_a_database_that_cannot_be_reached_is_a_fault_without_its_password(postgres):
    [result] = check_server(postgres.url("nowhere"))
    assert result.grade is Grade.FAULT
    assert 'database "nowhere" does not exist' in result.text
    assert PASSWORD not in result.text


def test_jobs_that_were_left_in_the_file_of_before_are_a_fault(config, database):
    here = attrs.evolve(config(), state_store=database)

    async def fill():
        store = await open_store(here.store_path)
        await store.installation()
        await store.save(job(7))
        await store.aclose()
        store = await open_store(database)
        await store.installation()
        await store.aclose()

    asyncio.run(fill())
    [left] = [text for grade, text in told(check_state(here, datetime.now(UTC)).results) if grade == "fault"]
    assert left.startswith(f"{here.store_path}: jobs are tracked in it (1, abc123xyz/7 for one) ")
