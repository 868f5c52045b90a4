"""Folders of pushes: a killed service's do not stay, and none that somebody else made ends a start."""

import os
import subprocess
import sys
import threading

import pytest

from executors.push.folder import clear_away_leftovers, push_folder
from executors.push.program import ProgramPush


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_push_left_behind_is_cleared_away_and_nothing_else(tmp_path):
    code = (
        "import os, tempfile\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "from executors.push.folder import push_folder\n"
        "with push_folder() as folder:\n"
        "    (folder / 'job.json').write_text('{}')\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(names(tmp_path)) == 1
    (
        tmp_path / f"paas-runner-push-{os.getpid()}-abc"
    ).mkdir()  # of a service that had our number, as in a container
    (tmp_path / "other-1-abc").mkdir()
    with push_folder() as folder:
        ProgramPush()
        assert names(tmp_path) == ["other-1-abc", folder.name]
    assert names(tmp_path) == ["other-1-abc"]


@pytest.mark.parametrize(
    "name", ["paas-runner-push-99999999999999999999-x", "paas-runner-push-", "paas-runner-push-\n"]
)
def test_no_name_of_a_folder_prevents_a_start(tmp_path, name):
    (tmp_path / name).mkdir()
    ProgramPush()


def test_links_and_files_are_no_folders_of_ours(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "paas-runner-push-link").symlink_to(tmp_path / "kept")
    (tmp_path / "paas-runner-push-file").write_text("")
    clear_away_leftovers()
    assert len(names(tmp_path)) == 3


def test_a_folder_for_temporary_files_that_cannot_be_read_prevents_no_start(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    ProgramPush()


def test_two_services_clear_away_the_same_folders_and_take_no_pushs_away(tmp_path):
    done = threading.Event()

    def leave_and_clear_away():
        while not done.is_set():
            for number in range(20):
                (tmp_path / f"paas-runner-push-{number}").mkdir(exist_ok=True)
            clear_away_leftovers()

    other = threading.Thread(target=leave_and_clear_away)
    other.start()
    try:
        for _ in range(100):
            clear_away_leftovers()
            with push_folder() as folder:
                (folder / "job.json").write_text("{}")
    finally:
        done.set()
        other.join()
