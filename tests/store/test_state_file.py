"""The state file is whole or absent, private, and taken in exactly once."""

import json
import os
import stat

import attrs
import pytest
import structlog

from paas_runner.job.tracked import JobKey, Phase
from paas_runner.store.sqlite_file import complaint
from paas_runner.store.state_file import StateFileError, read, take_in, write
from paas_runner.testing.memory_store import MemoryStore
from tests.support.records import NOW, job, job_in, payload

NAMES = {"abc123xyz": "abc123xy"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.json"


async def test_what_is_written_is_taken_in_and_the_file_removed(path):
    jobs = [job(2), job_in(Phase.RUNNING)]
    write(path, jobs, NAMES)
    store = MemoryStore()
    await take_in(path, store, NAMES, NOW)
    assert list(await store.jobs()) == [job_in(Phase.RUNNING), job(2)]
    assert not path.exists()


async def test_an_absent_file_leaves_the_store_as_the_truth(path):
    store = MemoryStore()
    await store.save(job(1))
    await take_in(path, store, NAMES, NOW)
    assert list(await store.jobs()) == [job(1)]


async def test_a_file_that_could_not_be_removed_in_time_is_not_taken_in_twice(path):
    write(path, [job(1)], NAMES)
    content = path.read_bytes()
    store = MemoryStore()
    await take_in(path, store, NAMES, NOW)
    await store.forget(job(1).key, ended=True)
    path.write_bytes(content)
    await take_in(path, store, NAMES, NOW)
    assert not await store.jobs()
    assert not path.exists()


async def test_a_file_takes_no_record_away(path):
    store = MemoryStore()
    await store.save(job(1))
    path.write_text(json.dumps({"launched": [], "pending": []}))
    await take_in(path, store, NAMES, NOW)
    assert list(await store.jobs()) == [job(1)]


@pytest.mark.parametrize(
    ("recorded", "found", "kept"),
    [
        (Phase.RUNNING, Phase.ACQUIRED, Phase.RUNNING),
        (Phase.PROVISIONING, Phase.LAUNCHED, Phase.LAUNCHED),
        (Phase.FAILING, Phase.RUNNING, Phase.FAILING),
    ],
)
async def test_of_a_job_in_both_the_record_that_is_further_on_counts(path, recorded, found, kept):
    store = MemoryStore()
    await store.save(job_in(recorded))
    write(path, [job_in(found)], NAMES)
    await take_in(path, store, NAMES, NOW)
    assert [each.phase for each in await store.jobs()] == [kept]


async def test_an_old_copy_does_not_bring_back_a_job_that_is_over(path):
    write(path, [job(1), job(2)], NAMES)
    store = MemoryStore()
    await store.save(job(1))
    await store.forget(job(1).key, ended=True)
    await take_in(path, store, NAMES, NOW)
    assert list(await store.jobs()) == [job(2)]


async def test_what_was_set_aside_can_be_put_back_at_a_stop(path):
    """A service with a record stops, its state file is replaced by one that appeared while it ran."""
    store = MemoryStore()
    await store.save(job(1))
    path.write_text(json.dumps({"launched": [], "pending": []}))
    write(path, await store.jobs(), NAMES)
    [aside] = path.parent.glob("state.json.*.aside")
    aside.replace(path)
    await take_in(path, store, NAMES, NOW)
    assert list(await store.jobs()) == [job(1)]


def test_the_file_says_whose_hosts_its_jobs_have(path):
    write(path, [job(1)], NAMES, installation="0123456789abcdef")
    assert read(path, NAMES, NOW).installation == "0123456789abcdef"
    path.write_text(json.dumps({"paas_runner": {"format": 1, "jobs": [], "installation": "no id/\n"}}))
    assert read(path, NAMES, NOW).installation is None
    path.write_text(json.dumps({"launched": [], "pending": []}))
    assert read(path, NAMES, NOW).installation is None


def test_the_file_is_private_even_if_an_older_one_was_not(path):
    path.with_name("state.json.new").write_text("left over")
    path.with_name("state.json.new").chmod(0o644)
    write(path, [job(1)], NAMES)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "\0\1\2",
        "[" * 100_000,
        "{}",
        '{"launched": []}',
        '{"launched": [], "pending": {}}',
        '{"launched": ["a"], "pending": []}',
        '{"launched": [], "pending": [{}]}',
        '{"launched": [], "pending": [], "paas_runner": {}}',
        '{"paas_runner": {"jobs": 3, "format": 1}}',
        '{"paas_runner": {"jobs": [{}], "format": 1}}',
        '{"paas_runner": {"jobs": [], "format": 9}}',
    ],
)
async def test_a_file_that_is_no_state_is_refused_and_left_alone(path, content):
    path.write_text(content)
    with pytest.raises(StateFileError, match=r"state\.json: is no state file"):
        await take_in(path, MemoryStore(), NAMES, NOW)
    assert path.read_text() == content


def test_a_folder_that_is_missing_is_a_clear_error(path):
    with pytest.raises(StateFileError, match="cannot be written: No such file"):
        write(path.parent / "missing" / "state.json", [], NAMES)


def test_the_document_is_plain_json_whatever_a_payload_contains(path):
    strange = attrs.evolve(job(1), payload=payload(1, job_info={"name": "half a pair: \ud83d, été"}))
    write(path, [strange], NAMES)
    assert json.loads(path.read_bytes().decode("ascii"))["paas_runner"]["format"] == 1
    assert read(path, NAMES, NOW).jobs == [strange]


def test_a_file_that_appeared_meanwhile_is_set_aside_and_not_overwritten(path):
    path.write_text("the other program's")
    write(path, [job(1)], NAMES)
    [aside] = path.parent.glob("state.json.*.aside")
    assert aside.read_text() == "the other program's"
    assert read(path, NAMES, NOW).jobs == [job(1)]


def test_a_file_of_another_user_is_refused(path, monkeypatch):
    write(path, [job(1)], NAMES)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(StateFileError, match=r"state\.json: belongs to another user .* Give it to"):
        read(path, NAMES, NOW)
    assert path.exists()


@pytest.mark.parametrize(
    ("owner", "us", "refused"), [(5, 5, False), (5, 0, False), (0, 5, True), (6, 5, True)]
)
def test_files_are_taken_from_oneself_and_root_takes_all(path, owner, us, refused):
    assert bool(complaint(path, owner=owner, us=us)) is refused


def test_something_that_is_no_file_is_a_clear_error(path):
    path.mkdir()
    with pytest.raises(StateFileError, match="cannot be read: Is a directory"):
        read(path, NAMES, NOW)


STRANGE = {
    "runner_name": "abc123xy",
    "job_id": 8,
    "token": "token-canary",
    "paas_resource": {"app_id": "app_8"},
}


async def test_what_makes_no_sense_is_kept_in_a_file_of_its_own_that_can_be_taken_in_later(path):
    handle = {"runner_name": "abc123xy", "job_id": 7, "token": "t", "paas_resource": "hpd-job-7"}
    path.write_text(json.dumps({"launched": [STRANGE, handle], "pending": []}))
    store = MemoryStore()
    with structlog.testing.capture_logs() as logs:
        await take_in(path, store, NAMES, NOW)
    assert [known.key for known in await store.jobs()] == [JobKey("abc123xyz", 7)]
    [aside] = path.parent.glob("state.json.*.aside")
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert json.loads(aside.read_text())["launched"] == [STRANGE]
    [said] = [each for each in logs if each["event"] == "handles_set_aside"]
    assert said["set_aside"] == str(aside)
    assert "app_8" in said["about"][0]
    assert "canary" not in repr(logs)
    assert not path.exists()


async def test_what_makes_no_sense_is_not_lost_where_it_cannot_be_kept(path, monkeypatch):
    path.write_text(json.dumps({"launched": [STRANGE], "pending": []}))
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StateFileError, match="No space left on device"):
        await take_in(path, MemoryStore(), NAMES, NOW)
    assert json.loads(path.read_text())["launched"] == [STRANGE]


async def test_jobs_of_the_other_program_are_taken_in_and_its_possible_hosts_are_named(path):
    handle = {"runner_name": "abc123xy", "job_id": 7, "token": "t"}
    path.write_text(json.dumps({"launched": [], "pending": [[handle, {"id": 7, "token": "t"}]]}))
    store = MemoryStore()
    with structlog.testing.capture_logs() as logs:
        await take_in(path, store, NAMES, NOW)
    assert [known.key for known in await store.jobs()] == [JobKey("abc123xyz", 7)]
    assert [entry["hosts"] for entry in logs if "hosts" in entry] == [["hpd-job-abc123xy-7"]]
    assert not path.exists()
