"""The folder of a host: private, repeatable, and never another place than it seems."""

import os
import stat
import tempfile
from pathlib import Path

import pytest
from paas_executor_slurm.checks import examine, file_system, folder_result
from paas_executor_slurm.folder import HostFolder

from paas_runner.executor.checks import Grade

FILES = {"runner.toml": b"a", "job.json": b"b"}


@pytest.fixture
def folder(tmp_path):
    made = HostFolder(tmp_path / "installation" / "hpd-job-x-1")
    made.make()
    return made


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_files_are_the_users_alone_whatever_the_umask_is(folder):
    before = os.umask(0)
    try:
        HostFolder(folder.path.parent / "other").make()
        folder.hand_over(FILES, "7")
    finally:
        os.umask(before)
    assert {mode(folder.path.parent), mode(folder.path.parent / "other")} == {0o700}
    assert {mode(folder.path / name) for name in FILES} == {0o600}


def test_a_job_is_handed_over_any_number_of_times_to_one_slurm_job(folder):
    assert folder.hand_over(FILES, "7")
    assert folder.hand_over(FILES, "7")
    assert not folder.hand_over({"job.json": b"c"}, "8")
    assert (folder.path / "job.json").read_bytes() == b"b"
    assert folder.launched()


def test_a_link_in_place_of_log_or_folder_is_not_followed(folder, tmp_path):
    (tmp_path / "secret").write_text("token")
    (folder.path / "output-7.log").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        folder.log("7")
    folder.remove()
    (tmp_path / "elsewhere").mkdir()
    folder.path.symlink_to(tmp_path / "elsewhere")
    folder.remove()
    assert (tmp_path / "secret").exists()
    assert (tmp_path / "elsewhere").exists()
    assert not folder.path.is_symlink()


@pytest.fixture
def mortal():
    """A shared folder, and a user to whom modes mean something."""
    with tempfile.TemporaryDirectory() as shared:
        if os.geteuid() == 0:
            os.chown(shared, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(shared)
        finally:
            os.seteuid(os.getuid())


def test_what_a_job_has_locked_goes_too(mortal):
    folder = HostFolder(mortal / "installation" / "host")
    folder.make()
    module = folder.path / "tmp/cache/module"
    module.mkdir(parents=True)
    (module / "file").touch()
    (folder.path / "tmp/link").symlink_to("/")
    module.chmod(0o500)
    module.parent.chmod(0)
    folder.remove()
    assert not folder.path.exists()


def test_the_end_of_a_log_is_read_and_an_absent_one_is_empty(folder):
    (folder.path / "output-7.log").write_text("x" * 100_000 + "\nlast")
    assert folder.log("7").endswith("\nlast")
    assert folder.log("8") == ""
    folder.remove()
    folder.remove()
    assert (folder.log("7"), folder.launched()) == ("", False)


def test_check_wants_a_private_folder_and_says_where_nodes_may_not_see_it(tmp_path):
    tmp_path.chmod(0o755)
    assert folder_result(tmp_path).grade is Grade.FAULT
    tmp_path.chmod(0o700)
    assert folder_result(tmp_path).grade in (Grade.WARNING, Grade.FINE)
    assert folder_result(tmp_path / "absent").grade is Grade.FAULT


def test_the_file_system_is_that_of_the_innermost_mount():
    mounts = "/dev/sda / ext4 rw 0 0\nserver:/x /home nfs4 rw 0 0\n"
    assert file_system(Path("/home/ci/runner"), mounts) == "nfs4"
    assert file_system(Path("/srv"), mounts) == "ext4"


async def test_where_slurm_is_not_there_it_is_said_once_and_not_for_each_size(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    slurm, folder = await examine({"small": ["--mem=1"], "large": ["--mem=2"]}, tmp_path / "absent")
    assert (slurm.subject, slurm.grade) == ("Slurm", Grade.FAULT)
    assert folder.subject == "shared folder"
