"""Pipelines out of a folder, and what of it their authors can reach."""

import os
from pathlib import Path

import pytest

from paas_runner.errors import RunnerError
from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.bounds import MOST_BYTES
from paas_runner.pipelines.repository_files import RepositoryFolder, load_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.yml").write_text("outside")
    root = tmp_path / "root"
    for name in ("a.yml", "ci/b.yml", "ci/c.yaml", "ci/deep/d.yml", "ci/other.txt", ".git/e.yml"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.yml", ["a.yml"]),
        ("ci/deep/d.yml", ["ci/deep/d.yml"]),
        ("nowhere.yml", []),
        ("a.yml/b.yml", []),
        ("a\0.yml", []),
        ("*.yml", ["a.yml"]),
        ("ci/*.yml", ["ci/b.yml"]),
        ("ci/*", ["ci/b.yml", "ci/c.yaml"]),
        ("ci/**.yml", ["ci/b.yml", "ci/deep/d.yml"]),
        ("ci/**/*.yml", ["ci/deep/d.yml"]),
        ("**/d*yml", ["ci/deep/d.yml"]),
        ("**", ["a.yml", "ci/b.yml", "ci/c.yaml", "ci/deep/d.yml"]),
    ],
)
def test_a_path_names_a_file_and_a_pattern_several(root: Path, path: str, found: list[str]) -> None:
    assert list(RepositoryFolder(root)(path)) == [(name, name) for name in found]


def test_a_pattern_is_held_against_paths_in_one_pass(root: Path) -> None:
    (root / ("a" * 200 + ".yml")).write_text("")
    assert list(RepositoryFolder(root)("*a" * 150 + "*b*.yml")) == []


@pytest.mark.parametrize(
    "path", ["../secret.yml", "ci/../../secret.yml", "link.yml", "ci/folder/secret.yml", "**"]
)
def test_nothing_outside_of_the_folder_is_read(root: Path, path: str) -> None:
    (root / "link.yml").symlink_to(root.parent / "secret.yml")
    (root / "ci/folder").symlink_to(root.parent)
    with pytest.raises(PipelineError):
        list(RepositoryFolder(root)(path))


def test_what_is_no_text_file_is_refused(root: Path) -> None:
    os.mkfifo(root / "pipe.yml")
    (root / "folder.yml").mkdir()
    (root / "large.yml").write_bytes(b"x" * (MOST_BYTES + 1))
    (root / "latin.yml").write_bytes(b"\xe4")
    for name, words in {
        "pipe.yml": "no regular file",
        "folder.yml": "Is a directory",
        "large.yml": "larger than",
        "latin.yml": "not UTF-8",
    }.items():
        with pytest.raises(PipelineError, match=words):
            list(RepositoryFolder(root)(name))


def test_the_folder_of_a_pipeline_is_where_its_includes_are(root: Path) -> None:
    (root / "ci/b.yml").write_text(".b: {script: b}")
    (root / ".gitlab-ci.yml").write_text("include: /ci/b.yml\nj: {extends: .b}")
    (spec,) = load_file(root / ".gitlab-ci.yml").jobs
    assert spec.script == ("b",)


def test_a_file_that_cannot_be_run_is_named_once_with_its_warnings(root: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        load_file(Path("nosuch.yml"))
    assert str(caught.value) == "nosuch.yml: No such file or directory"
    path = root / ".gitlab-ci.yml"
    path.write_text("include: {template: T.yml}\nj: {extends: .t}")
    with pytest.raises(RunnerError) as caught:
        load_file(path)
    missing = "the template `T.yml` is not read by the sandbox; what it brings is missing"
    assert str(caught.value).splitlines() == [
        f"{path}: line 2: job `j` extends `.t`, which does not exist",
        f"  warning: line 1: `include`: {missing}",
    ]
