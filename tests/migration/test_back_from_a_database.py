"""The way back to heptapod-paas-runner from a store on PostgreSQL goes by the state file."""

import asyncio

import pytest

from paas_runner.executor.contract import installed
from paas_runner.migration.kept import BEFORE
from paas_runner.migration.migration import (
    InUseError,
    NothingKeptError,
    gone_back,
    refuse_while_in_use,
    way_back,
)
from paas_runner.store.copying import StateFile, copy, source, target
from paas_runner.store.opening import open_store
from tests.config.test_load import RUNNER
from tests.support.records import job
from tests.support.stores import close_store, open_to_write


@pytest.fixture
def config(tmp_path, database):
    path = tmp_path / "config.toml"
    ours = f'state_store = "{database.url.reveal()}"\n{RUNNER}'
    for place, text in ((path, ours), (path.with_name(f"{path.name}.{BEFORE}"), RUNNER)):
        place.touch(mode=0o600)
        place.write_text(text)
    return path


def way(config):
    return way_back(config, environ={}, executors=installed())


async def one_job(database):
    store = await open_to_write(database)
    await store.installation()
    await store.save(job(1))
    await close_store(store)


def test_jobs_in_the_database_are_in_the_way_until_they_are_in_a_state_file(config, database, tmp_path):
    asyncio.run(one_job(database))
    with pytest.raises(NothingKeptError, match=r"1 jobs are tracked, .* by `paas-runner store copy`"):
        way(config)
    file = StateFile(path=tmp_path / "paas-runner-state.json", names={})
    with source(database) as old, target(file) as new:
        copy(old, new, lambda *_: None)
    gone_back(way(config))
    assert config.read_text() == RUNNER


def test_without_a_store_there_is_nothing_in_the_way(config):
    assert "begins without jobs" in way(config).state


async def test_a_service_elsewhere_is_to_be_stopped_first(config, database, tmp_path):
    store = await open_to_write(database)
    with pytest.raises(InUseError, match=r"paas-runner works on it \(one\): stop it there first"):
        await asyncio.to_thread(refuse_while_in_use, config, database, tmp_path / "paas-runner-state.db")
    await close_store(store)
    await asyncio.to_thread(refuse_while_in_use, config, database, tmp_path / "paas-runner-state.db")
    await (await open_store(database)).aclose()
