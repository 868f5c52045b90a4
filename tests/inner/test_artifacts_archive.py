"""Archives: what goes in comes out the same, and nothing comes out anywhere else."""

import codecs
import contextlib
import gzip
import io
import os
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.inner.entries import FileRules
from paas_runner.inner.files.archive import ArchiveError, Format, write_archive
from paas_runner.inner.files.folder import Folder, OutsideError
from paas_runner.inner.files.selection import select
from paas_runner.inner.files.unpack import unpack
from tests.support.often import often

NOBODY = 65534
SECRET = "kept away from every job"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text(SECRET)
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def archive(kind: Format, project: Path, *files: str) -> io.BytesIO:
    target = io.BytesIO()
    write_archive(target, kind, Folder(project), files)
    return target


def zipped(*entries: tuple[str, str], mode: int = stat.S_IFREG | 0o644) -> io.BytesIO:
    """An archive that another program has made."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as opened:
        for name, content in entries:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = (stat.S_IFLNK | 0o777 if content.startswith("-> ") else mode) << 16
            opened.writestr(entry, content.removeprefix("-> "))
    return target


def outside(project: Path) -> list[str]:
    return sorted(str(path) for path in project.parent.rglob("*") if project not in path.parents)


NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20
).filter(lambda name: name not in (".", ".."))
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    st.tuples(
        st.sampled_from(["file", "directory", "link"]),
        st.binary(max_size=300),
        st.sampled_from([0o644, 0o755, 0o600, 0o444, 0o777]),
        st.integers(0, 2**31 - 1),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_a_tree_comes_out_of_a_zip_as_it_went_in(tree: dict[str, tuple[str, bytes, int, int]]) -> None:
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        grow(Path(one), tree)
        target = io.BytesIO()
        selection = select(Folder(Path(one)), FileRules(paths=("**",)))
        write_archive(target, Format.ZIP, Folder(Path(one)), selection.files)
        unpack(target, Folder(Path(other)))
        assert seen(Path(other)) == seen(Path(one))


def grow(root: Path, tree: dict[str, tuple[str, bytes, int, int]]) -> None:
    for name, (kind, content, mode, seconds) in tree.items():
        path = root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "file":
                path.write_bytes(content)
                path.chmod(mode)
            elif kind == "link":
                path.symlink_to(content.hex() or "x")
            else:
                path.mkdir()
            os.utime(path, (seconds, seconds), follow_symlinks=False)
        except OSError:  # a name that is too long, or has been taken
            continue


def seen(root: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for path in root.rglob("*"):
        status = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        found[str(path.relative_to(root))] = (status.st_mode, int(status.st_mtime), content)
    return found


def test_other_programs_read_our_zip(project: Path) -> None:
    (project / "bin").mkdir()
    (project / "bin/run").write_text("#!/bin/sh\n")
    (project / "bin/run").chmod(0o750)
    (project / "café.txt").write_text("é")
    made = archive(Format.ZIP, project, "bin", "bin/run", "café.txt")
    with zipfile.ZipFile(made) as opened:
        assert opened.testzip() is None
        assert [entry.filename for entry in opened.infolist()] == ["bin/", "bin/run", "café.txt"]
        assert opened.getinfo("bin/run").external_attr >> 16 == stat.S_IFREG | 0o750
        assert opened.getinfo("bin/run").compress_type == zipfile.ZIP_DEFLATED


def test_we_read_what_other_programs_have_zipped(project: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        opened.writestr("a/b.txt", "b")
        entry = zipfile.ZipInfo("dos.txt", (2020, 5, 4, 3, 2, 2))
        entry.create_system, entry.external_attr = 0, 0x20
        opened.writestr(entry, "d")
        opened.writestr(zipfile.ZipInfo("never.txt", (1980, 0, 0, 0, 0, 0)), "n")
    assert unpack(buffer, Folder(project)) is False
    assert (project / "a/b.txt").read_text() == "b"
    assert stat.S_IMODE((project / "dos.txt").stat().st_mode) == 0o644
    assert (project / "dos.txt").stat().st_mtime == 1588561322


def test_names_in_other_encodings_come_out_byte_for_byte(project: Path) -> None:
    raw = zipped(("cafX", "c")).getvalue().replace(b"cafX", b"caf\xe9")
    unpack(io.BytesIO(raw), Folder(project))
    assert [os.fsencode(path.name) for path in project.iterdir()] == [b"caf\xe9"]


def test_a_file_replaces_what_was_there(project: Path) -> None:
    (project / "a").write_text("old")
    (project / "a").chmod(0o400)
    (project / "b").symlink_to(project.parent / "outside" / "secret")
    unpack(zipped(("a", "new"), ("b", "new")), Folder(project))
    assert ((project / "a").read_text(), (project / "b").read_text()) == ("new", "new")
    assert (project.parent / "outside" / "secret").read_text() == SECRET


def test_files_come_out_through_a_link_within_the_project(project: Path) -> None:
    (project / "real").mkdir()
    (project / "link").symlink_to("real")
    unpack(zipped(("link/", ""), ("link/a", "x"), mode=stat.S_IFREG | 0o755), Folder(project))
    assert (project / "real/a").read_text() == "x"


@pytest.mark.parametrize("target", ["a-run", "run-42"])
def test_a_file_is_archived_through_a_link_and_comes_out_whatever_the_names(
    tmp_path: Path, project: Path, target: str
) -> None:
    (project / "build" / target).mkdir(parents=True)
    (project / "build" / target / "report").write_text("ok")
    (project / "build" / "latest").symlink_to(target)
    wanted = FileRules(paths=("build", "build/latest/report"))
    made = archive(Format.ZIP, project, *select(Folder(project), wanted).files)
    other = tmp_path / "other"
    other.mkdir()
    unpack(made, Folder(other))
    assert (other / "build/latest").is_symlink()
    assert (other / "build/latest/report").read_text() == "ok"


def test_an_entry_that_cannot_be_written_is_named(project: Path) -> None:
    (project / "full").write_text("a file")
    with pytest.raises(ArchiveError, match="`full/x` of the archive cannot be unpacked: Not a directory"):
        unpack(zipped(("full/x", "x")), Folder(project))


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o000])
def test_directories_come_out_with_the_modes_that_they_had(mode: int) -> None:
    made = zipped(("d/e/", ""), ("d/", ""), mode=stat.S_IFDIR | mode)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as base:
        with without_roots_rights(Path(base)):
            unpack(made, Folder(Path(base)))
            assert stat.S_IMODE(Path(base, "d").stat().st_mode) == mode or mode == 0
        Path(base, "d").chmod(0o700)


@contextlib.contextmanager
def without_roots_rights(folder: Path) -> Iterator[None]:
    """As the user who this is, if it is not root; the folder is then this user's."""
    if os.geteuid() != 0:
        yield
        return
    codecs.lookup("cp437")  # what zipfile loads later may lie where that user may not read
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_link_to_anywhere_is_only_a_link(project: Path) -> None:
    unpack(zipped(("bin/python", "-> /usr/bin/python3")), Folder(project))
    assert str((project / "bin/python").readlink()) == "/usr/bin/python3"


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..", "a/..", "//x", "./../x"])
def test_a_name_that_leads_out_is_refused_before_anything_is_written(project: Path, name: str) -> None:
    before = outside(project)
    with pytest.raises(ArchiveError, match="outside of the project, nothing was unpacked"):
        unpack(zipped(("good", "g"), (name, "bad")), Folder(project))
    assert (outside(project), list(project.iterdir())) == (before, [])


@pytest.mark.parametrize(
    "entries",
    [
        (("out", "-> ../outside"), ("out/x", "bad")),
        (("out", "-> ../outside"), ("out/d/", "")),
        (("out", "-> ../outside"), ("out/deep/er/x", "bad")),
        (("a/up", "-> .."), ("a/up/up", "-> .."), ("up/outside/x", "bad")),
        (("self", "-> ."), ("self/self/out", "-> ../outside"), ("out/x", "bad")),
        (("out", "-> ../outside/secret"), ("out/", "")),
    ],
)
def test_a_link_in_the_archive_leads_nothing_out(project: Path, entries: tuple[tuple[str, str], ...]) -> None:
    before = outside(project)
    with pytest.raises((OSError, ArchiveError)):
        unpack(zipped(*entries), Folder(project))
    assert outside(project) == before
    assert (project.parent / "outside/secret").read_text() == SECRET


def test_a_link_that_was_there_leads_nothing_out(project: Path) -> None:
    (project / "out").symlink_to("../outside")
    with pytest.raises(OutsideError):
        unpack(zipped(("out/x", "bad")), Folder(project))


PARTS = st.sampled_from(["..", ".", "a", "b", "l", "", "outside", "secret"])
ENTRIES = st.lists(
    st.tuples(
        st.lists(PARTS, min_size=1, max_size=4).map("/".join).filter(bool),
        st.one_of(
            st.just("content"),
            st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: "-> " + "/".join(parts)),
        ),
    ),
    max_size=6,
)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@settings(max_examples=often(300), deadline=None)
@given(ENTRIES)
def test_no_archive_writes_anywhere_else(entries: list[tuple[str, str]]) -> None:
    with tempfile.TemporaryDirectory() as base:
        project = Path(base, "deep", "project")
        project.mkdir(parents=True)
        (project.parent / "outside").mkdir()
        (project.parent / "outside/secret").write_text(SECRET)
        before = outside(project)
        try:
            unpack(zipped(*entries, mode=stat.S_IFREG | 0o755), Folder(project))  # one can look into it
        except (OSError, ArchiveError) as error:
            assert str(error)  # noqa: PT017 - either way is right
        assert outside(project) == before
        assert (project.parent / "outside/secret").read_text() == SECRET


@settings(max_examples=often(300), deadline=None)
@given(st.data())
def test_a_damaged_archive_is_refused_in_words(data: st.DataObject) -> None:
    raw = bytearray(zipped(("a", "x" * 50), ("b/", ""), ("c", "-> a")).getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(raw)))
    with tempfile.TemporaryDirectory() as base:
        try:
            unpack(io.BytesIO(raw[:cut] if data.draw(st.booleans()) else raw), Folder(Path(base)))
        except (OSError, ArchiveError) as error:
            assert str(error)  # noqa: PT017 - either way is right


def test_what_is_no_archive_is_refused_in_words(project: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot be unpacked: File is not a zip file"):
        unpack(io.BytesIO(b"<html>"), Folder(project))


def test_a_device_in_an_archive_is_refused(project: Path) -> None:
    with pytest.raises(ArchiveError, match="`null` in the archive is no file"):
        unpack(zipped(("null", ""), mode=stat.S_IFCHR | 0o666), Folder(project))


def test_a_part_of_the_repository_in_an_archive_is_reported(project: Path) -> None:
    assert unpack(zipped((".git/hooks/x", "")), Folder(project)) is True


def swapped(project: Path) -> Iterator[None]:
    """What a script may do between our look and our reading."""
    (project / "d").mkdir()
    (project / "d/secret").write_text("harmless")
    yield
    (project / "d/secret").unlink()
    (project / "d").rmdir()
    (project / "d").symlink_to("../outside")


def test_a_directory_that_became_a_link_after_the_look_is_not_read(project: Path) -> None:
    swap = swapped(project)
    next(swap)
    files = select(Folder(project), FileRules(paths=("d",))).files
    next(swap, None)
    with pytest.raises(OutsideError):
        archive(Format.ZIP, project, *files[1:])


def test_a_project_that_became_a_link_has_all_its_files_outside(project: Path) -> None:
    (project / "secret").write_text("harmless")
    folder = Folder(project)
    (project / "secret").unlink()
    project.rmdir()
    project.symlink_to("outside")
    with pytest.raises(OutsideError):
        write_archive(io.BytesIO(), Format.ZIP, folder, ["secret"])
    assert select(folder, FileRules(paths=("secret", "*"))).files == ()


def test_gzip_holds_each_file_as_a_member_with_its_name(project: Path) -> None:
    (project / "r").mkdir()
    (project / "r/1.xml").write_text("<one/>")
    (project / "r/2.xml").write_text("<two/>")
    raw = archive(Format.GZIP, project, "r", "r/1.xml", "r/2.xml").getvalue()
    assert gzip.decompress(raw) == b"<one/><two/>"
    assert raw.count(b"1.xml\0") == raw.count(b"2.xml\0") == 1
    assert (
        subprocess.run(["gzip", "-dc"], input=raw, capture_output=True, check=True).stdout == b"<one/><two/>"
    )


def test_raw_is_exactly_one_file(project: Path) -> None:
    (project / "a").write_text("a")
    (project / "b").write_text("b")
    (project / "d").mkdir()
    assert archive(Format.RAW, project, "a").getvalue() == b"a"
    for files in (("a", "b"), ("d",), ()):
        with pytest.raises(ArchiveError, match="only one file can be sent as raw"):
            archive(Format.RAW, project, *files)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_could_only_be_unpacked_in_memory_is_refused(project: Path, method: int) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as made:
        made.writestr("few", bytes(1_000_000))
    with pytest.raises(ArchiveError, match="`few` in the archive is compressed by"):
        unpack(target, Folder(project))
    assert not [*project.iterdir()]


def test_a_tree_with_any_number_of_levels_is_removed(project: Path) -> None:
    current = os.open(project, os.O_RDONLY)
    for name in ("deep", *["d"] * 2500):
        os.mkdir(name, dir_fd=current)
        inner = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        os.close(current)
        current = inner
    os.close(current)
    (project / "other").mkdir()
    Folder(project).remove_tree("deep")
    assert [*project.iterdir()] == [project / "other"]


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFCHR])
def test_what_is_no_file_any_more_is_not_opened(project: Path, kind: int) -> None:
    if kind == stat.S_IFCHR and os.geteuid():
        pytest.skip("only root makes devices")
    os.mknod(project / "file", kind | 0o644, os.makedev(1, 5))
    with pytest.raises(OSError, match="is no file"), Folder(project).reading("file"):
        pass
