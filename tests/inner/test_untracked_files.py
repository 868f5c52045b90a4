"""What git knows nothing of, as git itself says it."""

from pathlib import Path

import pytest

from paas_runner.inner.entries import FileRules
from paas_runner.inner.files.folder import Folder
from paas_runner.inner.files.selection import found
from paas_runner.inner.process import launched
from tests.support.git_server import git
from tests.support.kept_files import Log, written

UNTRACKED = FileRules(untracked=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = written(tmp_path / "p", {"known": "1", ".gitignore": "*.o\n"})
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "c")
    return written(folder, {"new": "2", "ignored.o": "3", "deep/with space\nand more": "4"})


async def test_new_files_and_ignored_ones_are_untracked(project: Path) -> None:
    log = Log()
    selection = await found(Folder(project), UNTRACKED, log.narrator, launched)
    assert selection.files == ("deep/with space\nand more", "ignored.o", "new")
    assert log.lines == ["untracked: found 3 files"]


async def test_what_git_complains_of_is_no_file(project: Path) -> None:
    git(project, "config", "core.fsyncMethod", "unheard-of")
    selection = await found(Folder(project), UNTRACKED, Log().narrator, launched)
    assert selection.files == ("deep/with space\nand more", "ignored.o", "new")


async def test_git_runs_no_program_that_the_job_has_named(project: Path) -> None:
    git(project, "config", "core.fsmonitor", "touch ran; false")
    await found(Folder(project), UNTRACKED, Log().narrator, launched)
    assert not (project / "ran").exists()


async def test_nothing_is_fetched_for_a_list(project: Path) -> None:
    """A sparse index whose tree is missing makes git ask the remote for it, by a program if it says so."""
    git(project, "config", "user.name", "x")
    (project / "d").mkdir()
    (project / "d/f").touch()
    git(project, "add", "d")
    git(project, "commit", "-q", "-m", "d")
    git(project, "sparse-checkout", "set", "--cone", "--sparse-index", "nothing")
    tree = git(project, "rev-parse", "HEAD:d")
    (project / ".git/objects" / tree[:2] / tree[2:]).unlink()
    for key, value in {
        "extensions.partialClone": "origin",
        "core.repositoryFormatVersion": "1",
        "protocol.ext.allow": "always",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::sh -c touch% {project}/ran",
    }.items():
        git(project, "config", key, value)
    written(project / "d", {"new": "looked for in the missing tree"})
    await found(Folder(project), UNTRACKED, Log().narrator, launched)
    assert not (project / "ran").exists()


async def test_without_a_repository_nothing_is_known(tmp_path: Path) -> None:
    log = Log()
    selection = await found(Folder(tmp_path), UNTRACKED, log.narrator, launched)
    assert selection.files == ()
    assert log.lines == ["WARNING: untracked: git could not list the files"]
