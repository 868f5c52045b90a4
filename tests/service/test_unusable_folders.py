"""A state folder that cannot be used at the start, of the real program: the documented code, and words."""

import asyncio
import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from paas_runner.store.sqlite import SqliteStore

pytestmark = pytest.mark.process
PROGRAM = Path(sys.executable).parent / "heptapod-paas-runner"
CONFIG = """
state_file = "{folder}/state.json"

[[runners]]
  name = "alone"
  url = "http://127.0.0.1:9"
  token = "abcdefghijk"
  executor = "clever-docker"
  cc_api_url = "http://127.0.0.1:9"
  cc_orga_id = "orga_1"
  cc_token = "canary"
"""
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2  # linux/prctl.h, linux/capability.h
READ_ONLY = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"'


@pytest.fixture
def state(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


def ran(state, *, largest_file=None, through=()):
    """Exit code and words of a service that should not have started."""
    config = state.parent / "config.toml"
    config.touch(mode=0o600)
    config.write_text(CONFIG.format(folder=state))

    def bounds():
        heed_modes()
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    done = subprocess.run(
        [*through, PROGRAM, config],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        preexec_fn=None if through else bounds,
    )
    words = done.stdout + done.stderr
    assert "Traceback" not in words
    return done.returncode, words


def heed_modes():
    """What is started from here on may not pass over the modes of files, not even as root."""
    for capability in CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


@pytest.mark.parametrize("largest_file", [0, 8, 4096, 16_384])
def test_a_disk_that_is_full_at_the_start_ends_with_74_and_names_the_file(state, largest_file):
    code, words = ran(state, largest_file=largest_file)
    assert code == 74, words
    assert str(state) in words
    assert "Make room, then start again" in words


def test_and_once_there_is_room_the_next_start_finds_nothing_half_made(state):
    for largest_file in (0, 4096):
        ran(state, largest_file=largest_file)
    assert not (state / "state.db").exists()
    code, words = ran(state, largest_file=0)
    assert (code, "cannot be written" in words) == (74, True), words


def test_a_folder_that_may_not_be_written_ends_with_74_and_says_who_must_be_able_to(state):
    state.chmod(0o555)
    code, words = ran(state)
    assert (code, "state.db.lock: cannot be opened: Permission denied" in words) == (74, True), words
    assert "The service must be able to write there" in words


def test_a_file_system_that_is_read_only_ends_with_74(state):
    mounted = ["unshare", "--mount", "sh", "-ec", READ_ONLY, state]
    if subprocess.run([*mounted, "true"], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    code, words = ran(state, through=mounted)
    assert (code, "state.db.lock: cannot be opened: Read-only file system" in words) == (74, True), words


async def test_a_second_service_on_the_same_state_ends_with_75_and_names_the_first(state):
    store = await SqliteStore.open(state / "state.db")
    code, words = await asyncio.to_thread(ran, state)
    await store.aclose()
    assert code == 75, words
    assert f"another paas-runner works on this state (process {os.getpid()})" in words


def test_a_folder_that_is_none_ends_with_74(state):
    state.rmdir()
    code, words = ran(state)
    assert code == 74
    assert "state.db.lock: cannot be opened: No such file or directory" in words
    state.write_text("")
    code, words = ran(state)
    assert code == 74
    assert "Not a directory" in words
