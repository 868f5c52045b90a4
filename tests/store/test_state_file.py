"""The state file is whole or absent, private, and taken in exactly once."""

import json
import stat

import pytest

from paas_runner.job.tracked import Phase
from paas_runner.store.state_file import StateFileError, read, take_in, write
from tests.job.records import job, job_in
from tests.memory_store import MemoryStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


async def test_what_is_written_is_taken_in_and_the_file_removed(path):
    jobs = [job(2), job_in(Phase.RUNNING)]
    write(path, jobs)
    store = MemoryStore()
    await take_in(path, store)
    assert list(await store.jobs()) == [job_in(Phase.RUNNING), job(2)]
    assert not path.exists()


async def test_an_absent_file_leaves_the_store_as_the_truth(path):
    store = MemoryStore()
    await store.save(job(1))
    await take_in(path, store)
    assert list(await store.jobs()) == [job(1)]


async def test_a_file_that_could_not_be_removed_in_time_is_not_taken_in_twice(path):
    write(path, [job(1)])
    content = path.read_bytes()
    store = MemoryStore()
    await take_in(path, store)
    await store.forget(job(1).key)
    path.write_bytes(content)
    await take_in(path, store)
    assert not await store.jobs()
    assert not path.exists()


def test_the_file_is_private_even_if_an_older_one_was_not(path):
    path.with_name("state.json.new").write_text("left over")
    path.with_name("state.json.new").chmod(0o644)
    write(path, [job(1)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"jobs": 3, "format": 1}',
        '{"jobs": [{}], "format": 1}',
        '{"jobs": [], "format": 9}',
    ],
)
async def test_a_file_that_is_no_state_is_refused_and_left_alone(path, content):
    path.write_text(content)
    with pytest.raises(StateFileError, match=r"state\.json: is no state file"):
        await take_in(path, MemoryStore())
    assert path.read_text() == content


def test_a_folder_that_is_missing_is_a_clear_error(path):
    with pytest.raises(StateFileError, match="cannot be written: No such file"):
        write(path.parent / "missing" / "state.json", [])


def test_the_document_is_plain_json(path):
    write(path, [job(1)])
    assert json.loads(path.read_text())["format"] == 1
    assert read(path).jobs == [job(1)]
