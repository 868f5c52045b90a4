"""Files that tasks on this machine leave to those after them, and archives that are refused."""

import io
import os
import stat
import zipfile
from pathlib import Path

import attrs
import pytest
from paas_pipelines.definitions.automation import OutputDefinition
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.run import Task
from paas_pipelines.store.opening import FILES, opened
from paas_pipelines.tasks.files import FilesError, RunFiles
from paas_pipelines.tasks.place import order_of
from paas_pipelines.tasks.workspace import Workspaces

from tests.support.conducted import Disk
from tests.support.local_tasks import order, place, ran

OUTPUTS = {"x": OutputDefinition(default="", has_default=True)}


class Journal(Disk):
    def __init__(self) -> None:
        super().__init__()
        self.synchronised: list[Path] = []

    def grown(self, path: Path) -> None:
        self.synchronised.append(path)


@pytest.fixture
def where(tmp_path):
    (tmp_path / "base").mkdir()
    kept = RunFiles(tmp_path / "files", Journal())
    return place(tmp_path / "base", workspaces=Workspaces(tmp_path / "work"), kept=kept)


async def loaded(where, given, end, script):
    """What a task after it says that loads its files."""
    first = attrs.evolve(given.task, saved=end.saved)
    skipped = Task(name="skipped", definition=TaskDefinition(script=("true",)))
    last = Task(
        name="last",
        definition=TaskDefinition(script=script, depends_on=("task",), load=("task", "skipped")),
    )
    return await ran(where, order_of(attrs.evolve(given.run, tasks=(first, skipped, last)), last))


async def test_files_go_from_one_private_folder_to_the_next(where, tmp_path):
    script = (
        "mkdir -p out/deep; echo one > out/deep/a; echo two > plan; chmod 755 plan; ln -s ../plan out/link",
        "echo no > other",
        'ls "$PIPELINE_BASE"; pwd',
    )
    given = order(*script, save=("out/**", "pl?n"))
    done = await ran(where, given)
    assert not done.end.error
    assert done.lines != [str(tmp_path / "base")]
    assert done.end.saved.count == 5
    assert where.kept.path(given.run.run_id, "task") in where.kept._journal.synchronised
    after = await loaded(
        where, given, done.end, ("find . | sort; cat out/deep/a out/link", "stat -c %a plan")
    )
    assert after.lines == [
        *[".", "./out", "./out/deep", "./out/deep/a", "./out/link", "./plan"],
        "one",
        "two",
        "755",
    ]
    assert not list((tmp_path / "work").iterdir())
    assert not list((tmp_path / "base").iterdir())


async def test_the_folders_of_tasks_are_absolute_where_the_data_folder_is_not(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    where = attrs.evolve(where, workspaces=Workspaces(Path("work")))
    given = order("case $PWD$PIPELINE_OUTPUT in /*/work/*/work/*) :;; *) exit 1;; esac; touch a", save=("a",))
    given = attrs.evolve(
        given, task=attrs.evolve(given.task, definition=attrs.evolve(given.task.definition, outputs=OUTPUTS))
    )
    assert not (await ran(where, given)).end.exit_code


@pytest.mark.parametrize(
    ("script", "save", "error"),
    [
        ("true", "plan", 'save: nothing matches "plan"'),
        ("ln -s /etc/passwd plan", "plan", 'save: the link "plan" leads out of the working directory'),
        ("ln -s ../../x plan", "plan", 'save: the link "plan" leads out of the working directory'),
        ("ln -s a/../../x plan", "plan", 'save: the link "plan" leads out of the working directory'),
        ("mkfifo plan", "plan", "save: plan: neither a file nor a directory"),
        ("true", "../*", "save: artifact path is not a subpath of project directory: ../*"),
        ("ln -s / root", "root/etc/passwd", 'save: nothing matches "root/etc/passwd"'),
        ("truncate -s 105M plan", "plan", "save: the files are more than 100 MiB"),
    ],
)
async def test_what_cannot_be_saved_fails_the_task(where, tmp_path, script, save, error):
    given = order(script, save=(save,))
    end = (await ran(where, given)).end
    assert error in end.error
    assert end.saved is None
    assert not list(where.kept.folder.glob("*/*"))


def zipped(*entries: tuple[str, bytes, int]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return content.getvalue()


FILE, LINK = stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777
HOSTILE = {
    "absolute": lambda: zipped(("/etc/passwd", b"", FILE)),
    "above": lambda: zipped(("a/../../b", b"", FILE)),
    "backslash": lambda: zipped(("..\\b", b"", FILE)),
    "link out": lambda: zipped(("a", b"/etc", LINK)),
    "link above": lambda: zipped(("a/b", b"../..", LINK)),
    "behind a link": lambda: zipped(("a", b"b", LINK), ("a/c", b"", FILE)),
    "links over links": lambda: zipped(("s/d/l", b"../..", LINK), ("m", b"s/d/l/..", LINK)),
    "device": lambda: zipped(("a", b"", stat.S_IFBLK | 0o644)),
    "fifo": lambda: zipped(("a", b"", stat.S_IFIFO | 0o644)),
    "bomb": lambda: zipped(*((str(number), b"\0" * 400_000, FILE) for number in range(4))),
    "many": lambda: zipped(*((str(number), b"", FILE) for number in range(10_001))),
    "nothing": lambda: b"",
    "no zip": lambda: b"PK\5\6 and then nothing",
    "long list": lambda: zipped(("a", b"", FILE))[:-22] + b"PK\5\6" + b"\0" * 8 + b"\xff" * 10,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_archive_is_not_taken(tmp_path, content):
    kept = RunFiles(tmp_path / "files", Journal(), most_task_bytes=1_000_000)
    with pytest.raises(FilesError):
        kept.take("run", "task", content())
    assert not list(kept.folder.glob("*/*"))


def test_an_archive_whose_list_lies_about_sizes_is_not_unpacked_beyond_them(tmp_path):
    kept = RunFiles(tmp_path / "files", Journal())
    content = zipped(("a", b"x" * 1_000_000, FILE))
    lying = content.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    given = order("true")
    saved = kept.take(given.run.run_id, "task", lying)
    run = attrs.evolve(given.run, tasks=(attrs.evolve(given.task, saved=saved),))
    with pytest.raises(FilesError, match='load: the files of "task"'):
        kept.load(run, ["task"], tmp_path)


async def test_files_that_were_changed_on_the_disk_are_not_loaded(where):
    given = order("echo a > plan", save=("plan",))
    end = (await ran(where, given)).end
    where.kept.path(given.run.run_id, "task").write_bytes(zipped(("plan", b"b", FILE)))
    after = await loaded(where, given, end, ("cat plan",))
    assert after.end.error == 'load: the files of "task": they were changed on the disk'


def test_all_files_of_a_run_have_a_bound(tmp_path):
    kept = RunFiles(tmp_path / "files", Journal(), most_run_bytes=3_000)
    kept.take("run", "one", zipped(("a", os.urandom(2_000), FILE)))
    kept.take("run", "one", zipped(("a", os.urandom(2_500), FILE)))
    kept.take("other", "one", zipped(("a", os.urandom(2_500), FILE)))
    with pytest.raises(FilesError, match="the files of a run are more than 0 MiB"):
        kept.take("run", "two", zipped(("a", os.urandom(1_000), FILE)))


def test_what_a_crash_has_left_is_swept(tmp_path):
    kept = RunFiles(tmp_path / "files", Journal())
    given = order("true", run_id="known")
    saved = kept.take("known", "task", zipped(("a", b"", FILE)))
    kept.take("known", "other", zipped(("a", b"", FILE)))
    kept.take("unknown", "task", zipped(("a", b"", FILE)))
    kept.path("known", "task").with_suffix(".part").write_bytes(b"")
    kept.sweep([attrs.evolve(given.run, tasks=(attrs.evolve(given.task, saved=saved),))])
    assert list(kept.folder.glob("**/*.*")) == [kept.path("known", "task")]


async def test_the_files_of_a_run_go_with_it(tmp_path):
    async with opened(tmp_path, most_log_bytes=1000) as store:
        kept = RunFiles(tmp_path / FILES, store.journal)
        run = order("true").run
        kept.take(run.run_id, "task", zipped(("a", b"", FILE)))
        store.runs.save(run)
        store.runs.remove(run.run_id)
        await store.journal.flushed()
        assert not list(kept.folder.iterdir())
