"""Who sets `state_store` and forgets the records of before is told, before any job is lost by it."""

import pytest

from paas_runner.store import state_file
from paas_runner.store.copying import StateFile, copy, source, target
from paas_runner.store.left_behind import LeftBehindError, left_behind, refuse_left_behind
from paas_runner.store.sqlite import SqliteStore
from paas_runner.testing.memory_store import MemoryStore
from tests.support.records import NOW, job


@pytest.fixture
async def before(tmp_path):
    """The file in which two jobs are tracked."""
    store = await SqliteStore.open(tmp_path / "s.db")
    await store.installation()
    for number in (1, 2):
        await store.save(job(number))
    await store.aclose()
    return tmp_path / "s.db"


async def test_jobs_of_which_the_new_store_does_not_know_are_in_the_way(before, tmp_path):
    new = MemoryStore()
    await new.save(job(1))
    with pytest.raises(LeftBehindError) as refused:
        await refuse_left_behind(before, new, tmp_path / "s.json")
    assert str(refused.value) == (
        f"{before}: jobs are tracked in it (1, {job(2).key} for one) of which `state_store` does not "
        "know: nobody would care for them. Take all records along: "
        f"`paas-runner store copy CONFIG --from {before} --to config`; "
        "into a database in which jobs are recorded already only these jobs, by the state file: "
        f"`paas-runner store copy --from {before} --to {tmp_path}/s.json`; or move the file away"
    )


async def test_what_it_advises_is_what_helps(before, tmp_path):
    with source(before) as old, target(StateFile(path=tmp_path / "s.json", names={})) as new:
        copy(old, new, lambda *_: None)
    store = MemoryStore()
    await state_file.take_in(tmp_path / "s.json", store, {}, NOW)
    await refuse_left_behind(before, store, tmp_path / "s.json")
    assert {each.key for each in await store.jobs()} == {job(1).key, job(2).key}


async def test_jobs_that_are_tracked_there_or_over_and_no_file_are_in_nobodys_way(before, tmp_path):
    new = MemoryStore()
    await new.save(job(1))
    await new.forget(job(2).key, ended=True)
    await refuse_left_behind(before, new, tmp_path / "s.json")
    await refuse_left_behind(tmp_path / "absent.db", MemoryStore(), tmp_path / "s.json")
    assert not (tmp_path / "absent.db").exists()


async def test_a_file_in_which_no_service_ever_was_has_none(tmp_path):
    await (await SqliteStore.open(tmp_path / "s.db")).aclose()
    assert left_behind(tmp_path / "s.db", frozenset()) == []
