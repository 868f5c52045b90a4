"""What `paas-runner check` says of the state: without leaving anything, and beside a running service."""

import fcntl
import os
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paas_runner.check.machine import check_modes, check_state
from paas_runner.config import load
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import installed
from paas_runner.job.known_runner import KnownRunner, short_token
from paas_runner.store.sqlite import SqliteStore

NOBODY = 65534


async def test_a_state_that_was_never_used_is_fine_and_stays_so(world):
    checked = await world.checked(offline=True)
    assert set(checked.grades("state")) == {Grade.FINE}
    assert "the first start makes it" in checked.all_told
    assert world.files == ["config.toml"]


@pytest.mark.parametrize(
    ("folder", "words", "advice"),
    [
        ("missing", "No such file or directory", "make it, and give it"),
        ("config.toml", "Not a directory", "make it writable"),
        ("/proc", "cannot be written", "make it writable"),
    ],
)
async def test_a_folder_that_cannot_be_written_is_a_fault(world, folder, words, advice):
    world.write(top=f'state_file = "{folder}/state.json"\n')
    checked = await world.checked(offline=True)
    assert checked.faults == [("", "state")]
    [fault] = checked.of("state", Grade.FAULT)
    assert words in fault.text
    assert advice in fault.advice


def test_a_folder_of_another_user_ends_in_words(world):
    """As when `sudo -u` was forgotten: nothing in there can even be looked for."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="locked-") as folder:  # all can reach it
        world.write(top=f'state_file = "{folder}/state.json"\n')
        config = load(world.config, environ={}, executors=installed())
        with locked_out_of(Path(folder)):
            [state] = check_state(config, datetime.now(UTC)).results
            modes = check_modes(config)
    assert state.grade is Grade.FAULT
    assert "cannot be written: Permission denied" in state.text
    assert "run this as the service's user (sudo -u " in state.advice
    assert modes


@contextmanager
def locked_out_of(folder):
    """As a user who may not enter it; root becomes nobody for that."""
    folder.chmod(0)
    if root := os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o700)


async def test_a_service_on_the_same_state_is_no_error_but_said(world):
    store = await SqliteStore.open(world.state_file.with_suffix(".db"))
    try:
        await store.installation()
        checked = await world.checked(offline=True)
        again = await world.checked(offline=True)
    finally:
        await store.aclose()
    assert not checked.faults
    assert not checked.warnings
    assert "which is no obstacle" in checked.all_told
    assert "which is no obstacle" in again.all_told
    assert "which is no obstacle" not in (await world.checked(offline=True)).all_told


async def test_checks_at_once_do_not_take_each_other_for_a_service(world):
    path = world.state_file.with_suffix(".db.lock")
    path.touch(mode=0o600)
    with path.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)  # as another check holds it for a moment
        checked = await world.checked(offline=True)
    assert "which is no obstacle" not in checked.all_told


async def test_a_store_that_is_damaged_is_a_fault_and_left_as_it_is(world):
    path = world.state_file.with_suffix(".db")
    path.touch(mode=0o600)
    path.write_bytes(b"no database")
    checked = await world.checked(offline=True)
    assert checked.faults == [("", "state")]
    assert "It is left as it is" in checked.all_told
    assert path.read_bytes() == b"no database"


async def test_a_state_file_that_waits_for_the_next_start_is_looked_at(world):
    world.state_file.touch(mode=0o600)
    world.state_file.write_text("{")
    checked = await world.checked(offline=True)
    assert checked.faults == [("", "state")]
    assert "is no state file that can be understood" in checked.all_told
    world.state_file.write_text('{"paas_runner": {"format": 1, "jobs": []}}')
    checked = await world.checked(offline=True)
    assert not checked.faults
    assert "is taken in at the next start: jobs: 0" in checked.all_told
    assert world.state_file.exists()


@pytest.mark.parametrize(
    ("name", "mode", "words"),
    [
        ("config.toml", 0o644, "has secrets in it, and other users may open"),
        ("config.toml", 0o602, "anybody may change"),
        ("paas-runner-state.db-wal", 0o640, "has jobs' tokens in it, and mode 0640"),
        (".", 0o777, "anybody may replace files in"),
    ],
)
async def test_what_others_may_read_or_change_is_a_warning(world, name, mode, words):
    path = world.folder / name
    if not path.exists():
        path.touch()
    path.chmod(mode)
    checked = await world.checked(offline=True)
    assert checked.warnings
    assert words in checked.all_told
    path.chmod(0o700)


async def test_a_private_key_that_others_may_open_is_a_warning(world):
    key = world.folder / "key.pem"
    key.write_text("-")
    key.chmod(0o644)
    world.write(world.runner(more='tls-key-file = "key.pem"'))
    assert ("", "files") in (await world.checked(offline=True)).warnings


async def test_a_paused_runner_is_mentioned(world):
    store = await SqliteStore.open(world.state_file.with_suffix(".db"))
    await store.installation()
    key = short_token(world.sandbox.runner_token.reveal())
    here = world.sandbox.coordinator_url
    await store.save_runners([KnownRunner(key=key, url=here, name="one", tokens=(key,), paused=True)])
    await store.aclose()
    checked = await world.checked(offline=True)
    assert checked.warnings == [("", "state")]
    assert "the runner one is paused" in checked.all_told


async def test_the_installation_is_the_one_that_the_next_start_would_take(world):
    """What the provider lists as ours is told with it."""
    kept, state = world.state_file.with_suffix(".installation"), world.state_file.with_suffix(".db")

    def found():
        config = load(world.config, environ={}, executors=installed())
        return check_state(config, datetime.now(UTC)).installation

    assert not found()
    kept.write_text("id-in-its-file\n")
    assert found() == "id-in-its-file"
    state.write_bytes(b"noise")
    assert found() == "id-in-its-file"
    state.unlink()
    store = await SqliteStore.open(state)
    await store.installation(otherwise="id-in-the-store")
    await store.aclose()
    assert found() == "id-in-the-store"
    world.write(top='installation_id = "id-of-the-file"\n')
    assert found() == "id-of-the-file"
