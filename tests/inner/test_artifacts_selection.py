"""Which files `paths`, `exclude` and `untracked` mean, in a real folder."""

import os
import subprocess
from pathlib import Path

import pytest

from paas_runner.inner.entries import FileRules
from paas_runner.inner.files.folder import Folder
from paas_runner.inner.files.selection import Selection, select

TREE = (
    "readme.md",
    "build/app",
    "build/lib/a.o",
    "build/lib/b.o",
    "build/lib/b.c",
    "build/.hidden/c.o",
    "docs/a.txt",
    "docs/x[1].txt",
    ".cache/pip/wheel",
)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    for name in TREE:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def found(project: Path, *paths: str, exclude: tuple[str, ...] = ()) -> Selection:
    return select(Folder(project), FileRules(paths=paths, exclude=exclude))


def lines(selection: Selection) -> list[str]:
    return [("WARNING: " if note.is_warning else "") + note.text for note in selection.notes]


@pytest.mark.parametrize(
    ("path", "files"),
    [
        ("readme.md", "readme.md"),
        ("./readme.md", "readme.md"),
        ("build/lib/", "build/lib build/lib/a.o build/lib/b.c build/lib/b.o"),
        ("build/lib/*", "build/lib/a.o build/lib/b.c build/lib/b.o"),
        ("build/*.o", ""),
        ("build/**/*.o", "build/.hidden/c.o build/lib/a.o build/lib/b.o"),
        ("**/lib", "build/lib build/lib/a.o build/lib/b.c build/lib/b.o"),
        ("b*/l*/[ab].o", "build/lib/a.o build/lib/b.o"),
        ("build/lib/{a.o,b.c}", "build/lib/a.o build/lib/b.c"),
        ("{build/lib,docs}/a.*", "build/lib/a.o docs/a.txt"),
        ("docs/x\\[1\\].txt", "docs/x[1].txt"),
        ("docs/../readme.md", "readme.md"),
        (".cache/**", ".cache .cache/pip .cache/pip/wheel"),
        ("*.md", "readme.md"),
        ("readme.md/x", ""),
        ("nothing/*/here", ""),
    ],
)
def test_a_path_means_these_files(project: Path, path: str, files: str) -> None:
    assert found(project, path).files == tuple(files.split())


@pytest.mark.parametrize("path", [".", "./", "**", "**/*", "*", "{project}"])
def test_all_of_the_project(project: Path, path: str) -> None:
    selection = found(project, path.format(project=project) if path == "{project}" else path)
    assert set(TREE) <= set(selection.files)
    assert len(selection.files) == len(TREE) + 6
    assert lines(selection)[0].endswith("found 15 matching artifact files and directories")


def test_an_absolute_path_within_the_project_is_one_of_it(project: Path) -> None:
    assert found(project, f"{project}/build/lib/*.c").files == ("build/lib/b.c",)


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "/etc/*", "..", "build/../../x", ""])
def test_a_path_out_of_the_project_is_refused_with_a_warning(project: Path, path: str) -> None:
    (project.parent / "secret").write_text("s")
    selection = found(project, path, "readme.md")
    assert selection.files == ("readme.md",)
    assert lines(selection)[0] == f"WARNING: artifact path is not a subpath of project directory: {path}"


def test_what_is_found_is_reported_as_gitlab_runner_does(project: Path) -> None:
    relative = f"Ensure that the artifact path is relative to the working directory ({project})"
    assert lines(found(project, "build/lib/", "missing/", "a[")) == [
        "build/lib/: found 4 matching artifact files and directories",
        f"WARNING: missing/: no matching files. {relative}",
        "WARNING: a[: `a[` ends in the middle",
    ]


@pytest.mark.parametrize(
    ("rule", "files"),
    [
        ("build/lib/*.o", "build/lib build/lib/b.c"),
        ("build/lib/**", ""),
        ("build/lib/**/*", "build/lib"),
        ("build/lib/", "build/lib/a.o build/lib/b.c build/lib/b.o"),  # the directory alone
        ("**/a.*", "build/lib build/lib/b.c build/lib/b.o"),
        ("*.o", "build/lib build/lib/a.o build/lib/b.c build/lib/b.o"),
    ],
)
def test_an_exclude_rule_takes_away(project: Path, rule: str, files: str) -> None:
    assert found(project, "build/lib", exclude=(rule,)).files == tuple(files.split())


def test_an_exclude_rule_is_reported_with_its_number(project: Path) -> None:
    selection = found(project, "build/", exclude=("**/*.o", "../x"))
    assert "**/*.o: excluded 3 files" in lines(selection)
    assert "WARNING: artifact path is not a subpath of project directory: ../x" in lines(selection)


def test_a_link_is_taken_as_a_link_and_not_walked(project: Path) -> None:
    (project / "current").symlink_to("build")
    (project / "etc").symlink_to("/etc")
    (project / "broken").symlink_to("nowhere")
    assert found(project, "current", "etc/", "broken").files == ("broken", "current", "etc")
    assert not any(path.startswith(("current/", "etc/")) for path in found(project, "**").files)


def test_a_path_may_lead_over_a_link_within_the_project_but_not_out_of_it(project: Path) -> None:
    (project / "current").symlink_to("build")
    (project / "etc").symlink_to("/etc")
    (project / "up").symlink_to("..")
    assert found(project, "current/app").files == ("current/app",)
    assert found(project, "current/*/a.o").files == ("current/lib/a.o",)
    assert found(project, "etc/passwd", "etc/*", "up/*", "up/project/readme.md").files == ()


def test_links_in_a_circle_are_no_trouble(project: Path) -> None:
    (project / "a").symlink_to("b")
    (project / "b").symlink_to("a")
    (project / "self").symlink_to(".")
    assert found(project, "a/x", "**/a", "self/self/readme.md").files == ("a", "self/self/readme.md")


def test_what_is_no_file_is_left_out_with_a_warning(project: Path) -> None:
    os.mkfifo(project / "pipe")
    selection = found(project, "pipe")
    assert selection.files == ()
    assert lines(selection)[0] == "WARNING: pipe: neither a file nor a directory, it is left out"


def test_a_name_that_is_no_text_is_left_out_with_a_warning(project: Path) -> None:
    Path(os.fsdecode(os.fsencode(project) + b"/docs/caf\xe9")).write_text("x")
    selection = found(project, "docs/")
    assert len(selection.files) == 3
    assert "the name is not UTF-8" in lines(selection)[0]


def test_a_part_of_the_repository_itself_is_warned_of(project: Path) -> None:
    (project / ".git").mkdir()
    assert "WARNING: Part of .git directory is on the list of files to archive" in lines(
        found(project, ".git")
    )


def test_untracked_files_are_those_that_git_names(project: Path) -> None:
    wanted = FileRules(untracked=True, exclude=("docs/*",))
    selection = select(Folder(project), wanted, ["docs/a.txt", "build/app", "gone", "../out"])
    assert selection.files == ("build/app",)
    assert lines(selection) == ["untracked: found 1 files", "docs/*: excluded 1 files"]


@pytest.mark.parametrize(
    ("listed", "words"), [(None, "git could not list"), ([], "no files"), (["gone"], "no files")]
)
def test_nothing_untracked_is_a_warning(project: Path, listed: list[str] | None, words: str) -> None:
    selection = select(Folder(project), FileRules(untracked=True), listed)
    assert selection.files == ()
    assert words in lines(selection)[0]


def test_the_newest_of_the_files_is_known(project: Path) -> None:
    os.utime(project / "docs", (5, 5))
    os.utime(project / "docs/a.txt", (7, 7))
    os.utime(project / "docs/x[1].txt", (6, 6))
    assert found(project, "docs").newest == 7
    assert found(project, "missing").newest == 0


def test_a_folder_as_deep_as_paths_can_be_is_walked(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 1500)
    subprocess.run(["mkdir", "-p", tmp_path / deep], check=True)
    try:
        assert len(found(tmp_path, "d").files) == 1500
        assert len(found(tmp_path, "**/d").files) == 1500
    finally:
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)
