"""The copy of the working tree, and what is known of its commit."""

import os
from pathlib import Path

import pytest

from paas_runner.errors import RunnerError
from paas_runner.exec.checkout import check_out
from paas_runner.exec.facts import NOTHING, facts_of
from paas_runner.exec.kept import Kept
from tests.support.git_server import ENVIRONMENT, git


@pytest.fixture(autouse=True)
def _settings(monkeypatch):
    for key, value in ENVIRONMENT.items():
        monkeypatch.setenv(key, value)


def copied(project, target, **variables):
    check_out(facts_of(project.root), target, variables)
    return {str(path.relative_to(target)) for path in target.rglob("*") if ".git" not in path.parts}


def test_it_has_changes_new_files_links_and_rights_and_nothing_that_is_ignored_or_removed(project, tmp_path):
    project.write("bin/tool", "#!/bin/sh\n")
    (project.root / "bin/tool").chmod(0o755)
    (project.root / "link").symlink_to("nowhere")
    project.write(".paas-runner/exec/cache/x", "")
    git(project.root, "add", "bin")
    (project.root / "README").unlink()
    before = git(project.root, "status", "--porcelain")
    found = copied(project, tmp_path / "copy")
    assert found == {".gitignore", "bin", "bin/tool", "link", "new.txt"}
    assert os.access(tmp_path / "copy/bin/tool", os.X_OK)
    assert (tmp_path / "copy/link").readlink() == Path("nowhere")
    assert git(project.root, "status", "--porcelain") == before
    assert git(tmp_path / "copy", "status", "--porcelain").split("\n")[0].strip() == "D README"
    assert git(tmp_path / "copy", "rev-parse", "HEAD") == git(project.root, "rev-parse", "HEAD")
    assert (
        git(tmp_path / "copy", "config", "remote.origin.url") == "https://gitlab.example.org/group/words.git"
    )


def test_its_history_is_as_deep_as_the_job_wants(project, tmp_path):
    for number in range(3):
        git(project.root, "commit", "-q", "--allow-empty", "-m", str(number))
    copied(project, tmp_path / "shallow", GIT_DEPTH="2")
    copied(project, tmp_path / "whole", GIT_DEPTH="0")
    counted = [git(tmp_path / name, "rev-list", "--count", "HEAD") for name in ("shallow", "whole")]
    assert counted == ["2", "4"]


@pytest.mark.parametrize("strategy", ["none", "normal", "recursive"])
def test_submodules_come_as_the_job_wants_them(project, tmp_path, strategy):
    for name, inner in (("leaf", ()), ("branch", ("leaf",))):
        module = tmp_path / name
        module.mkdir()
        git(module, "init", "-q", "-b", "main")
        (module / "file").write_text(name)
        for each in inner:
            add = ("submodule", "--quiet", "add", str(tmp_path / each))
            git(module, "-c", "protocol.file.allow=always", *add)
        git(module, "add", ".")
        git(module, "commit", "-q", "-m", name)
    allowed = ("-c", "protocol.file.allow=always")
    git(project.root, *allowed, "submodule", "--quiet", "add", str(tmp_path / "branch"))
    git(project.root, *allowed, "submodule", "--quiet", "update", "--init", "--recursive")
    found = copied(project, tmp_path / "copy", GIT_SUBMODULE_STRATEGY=strategy)
    wanted = {"none": [], "normal": ["branch/file"], "recursive": ["branch/file", "branch/leaf/file"]}
    assert sorted(name for name in found if name.endswith("file")) == wanted[strategy]
    assert "branch" in found


def test_a_repository_without_a_commit_and_a_folder_without_a_repository_are_copied_too(tmp_path, project):
    for name in ("empty", "plain"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_text(name)
    git(tmp_path / "empty", "init", "-q", "-b", "trunk")
    for name in ("empty", "plain"):
        facts = facts_of(tmp_path / name)
        check_out(facts, tmp_path / f"{name}-copy", {})
        assert (tmp_path / f"{name}-copy/file").read_text() == name
        assert facts.variables["CI_COMMIT_SHA"] == NOTHING
        assert facts.variables["CI_PROJECT_PATH"] == f"local/{name}"
    assert facts_of(tmp_path / "empty").variables["CI_COMMIT_BRANCH"] == "trunk"


def test_a_job_that_wants_no_sources_gets_none(project, tmp_path):
    assert copied(project, tmp_path / "copy", GIT_STRATEGY="none") == set()


REMOTES = {
    "git@gitlab.example.org:group/words.git": ("https://gitlab.example.org", "group/words"),
    "https://ann:secret@gitlab.example.org:8443/a/b/c.git": ("https://gitlab.example.org:8443", "a/b/c"),
    "ssh://git@gitlab.example.org:2222/group/words": ("https://gitlab.example.org", "group/words"),
    "/srv/git/words.git": ("https://localhost", "local/words"),
}


@pytest.mark.parametrize("remote", REMOTES)
def test_the_project_is_that_of_the_remote_without_credentials(project, remote):
    git(project.root, "remote", "set-url", "origin", remote)
    variables = facts_of(project.root).variables
    url, path = REMOTES[remote]
    assert (variables["CI_SERVER_URL"], variables["CI_PROJECT_PATH"]) == (url, path)
    assert variables["CI_REPOSITORY_URL"] == f"{url}/{path}.git"
    assert "secret" not in str(variables)


def test_a_commit_has_gitlabs_variables_and_a_tag_is_no_branch(project):
    found = facts_of(project.root).variables
    assert (found["CI_COMMIT_TITLE"], found["CI_COMMIT_DESCRIPTION"]) == ("The title", "The body")
    assert found["CI_COMMIT_AUTHOR"] == "Ann <ann@example.test>"
    git(project.root, "tag", "v1.0")
    git(project.root, "checkout", "-q", "--detach", "HEAD")
    found = facts_of(project.root).variables
    assert (found["CI_COMMIT_TAG"], found["CI_COMMIT_REF_SLUG"]) == ("v1.0", "v1-0")
    assert "CI_COMMIT_BRANCH" not in found


def test_a_repository_that_git_refuses_is_not_taken_for_a_plain_folder(project, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(RunnerError, match="dubious ownership"):
        facts_of(project.root)


def test_copies_have_the_same_path_in_each_run_and_one_beside_another_its_own(tmp_path):
    kept = Kept(tmp_path / ".paas-runner/exec")
    with kept.builds() as first, kept.builds() as second:
        assert first != second
        assert first.stat().st_mode & 0o777 == 0o700
    with kept.builds() as again:
        assert again == first
        (again / "file").write_text("")
    assert not first.exists()
    assert (tmp_path / ".paas-runner/.gitignore").read_text() == "*\n"


def test_what_somebody_has_left_is_removed(tmp_path):
    kept = Kept(tmp_path)
    left = tmp_path / "builds/7/below"
    left.mkdir(parents=True)
    with kept.builds():
        assert not left.exists()


@pytest.mark.parametrize("instead", ["file", "link"])
def test_what_was_in_a_folder_that_is_none_any_more_is_not_looked_for_behind_it(project, tmp_path, instead):
    """Behind a link to elsewhere a copy would be written there, too."""
    project.write("folder/inner", "old\n")
    git(project.root, "add", "folder")
    git(project.root, "commit", "-q", "-m", "folder")
    (project.root / "folder/inner").unlink()
    (project.root / "folder").rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "inner").write_text("not of the tree\n")
    if instead == "link":
        (project.root / "folder").symlink_to(elsewhere)
    else:
        project.write("folder", "a file\n")
    assert copied(project, tmp_path / "copy") == {".gitignore", "README", "folder", "new.txt"}
    assert (tmp_path / "copy/folder").is_symlink() is (instead == "link")
    assert " D folder/inner" in git(tmp_path / "copy", "status", "--porcelain")


def test_called_by_a_hook_of_git_it_leaves_the_repository_as_it_is(project, tmp_path, monkeypatch):
    def all_of_it():
        told = [git(project.root, *words.split()) for words in ("status --porcelain -b", "config --list")]
        return told, (project.root / ".git/HEAD").read_text()

    before = all_of_it()
    with monkeypatch.context() as hook:
        hook.setenv("GIT_DIR", str(project.root / ".git"))
        hook.setenv("GIT_INDEX_FILE", str(project.root / ".git/index"))
        copied(project, tmp_path / "copy")
    assert all_of_it() == before
    assert git(tmp_path / "copy", "status", "--porcelain").split("\n")[0].strip() == "M README"


def test_a_repository_may_have_long_ids(tmp_path):
    root = tmp_path / "long"
    root.mkdir()
    git(root, "init", "-q", "-b", "main", "--object-format=sha256")
    git(root, "commit", "-q", "--allow-empty", "-m", "one")
    check_out(facts_of(root), tmp_path / "copy", {})
    assert git(tmp_path / "copy", "rev-parse", "HEAD") == git(root, "rev-parse", "HEAD")
