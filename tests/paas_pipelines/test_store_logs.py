"""Logs are prunner's files, raw; writing them is cheap and never fails a task (P110)."""

import resource
import shutil
import stat
import time
from pathlib import Path

import pytest
import structlog
from paas_pipelines.store.logs import FULL, LogFiles, Stream


@pytest.fixture
def logs(tmp_path):
    return LogFiles(tmp_path / "logs", most_bytes=1000)


def test_each_stream_is_a_file_below_its_run(logs, tmp_path):
    with logs.output("run-1", "build") as output:
        output.stdout(b"out\n")
        output.stderr(b"err \xff\n")
        output.stdout(b"more\n")
        assert logs.read("run-1", "build", Stream.STDOUT) == b"out\nmore\n"
    folder = tmp_path / "logs" / "run-1"
    assert (folder / "build-stdout.log").read_bytes() == b"out\nmore\n"
    assert (folder / "build-stderr.log").read_bytes() == b"err \xff\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_part_is_read_from_anywhere(logs):
    with logs.output("r", "t") as output:
        output.stdout("añb".encode())
    assert logs.read("r", "t", Stream.STDOUT, start=2) == b"\xb1b"
    assert logs.read("r", "t", Stream.STDOUT, start=1, most=1) == b"\xc3"
    assert logs.read("r", "t", Stream.STDOUT, start=99) == b""
    assert logs.size("r", "t", Stream.STDOUT) == 4


def test_of_what_has_written_nothing_there_is_nothing(logs, tmp_path):
    assert (logs.size("r", "t", Stream.STDERR), logs.read("r", "t", Stream.STDERR)) == (0, b"")
    with logs.output("r", "t") as output:
        output.stdout(b"")
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("run", "task"), [("..", "t"), ("r", "../../t"), ("a/b", "t"), ("r", "a\0"), ("", "t")]
)
def test_names_lead_nowhere_else(logs, tmp_path, run, task):
    (tmp_path / "t-stdout.log").write_text("not a log")
    assert (logs.size(run, task, Stream.STDOUT), logs.read(run, task, Stream.STDOUT)) == (0, b"")
    with pytest.raises(ValueError, match="no name of a file"):
        logs.output(run, task)


def test_a_link_is_not_followed(logs, tmp_path):
    """A task may write into its own folder, as the server's user; it gets no further by us."""
    (tmp_path / "logs" / "r").mkdir(parents=True)
    (tmp_path / "logs" / "r" / "t-stdout.log").symlink_to(tmp_path / "target")
    with structlog.testing.capture_logs() as told, logs.output("r", "t") as output:
        output.stdout(b"x")
    assert ([event["event"] for event in told], (tmp_path / "target").exists()) == (
        ["log_not_written"],
        False,
    )


def test_after_a_restart_it_goes_on_where_it_stood_and_the_limit_counts_what_is_there(logs, tmp_path):
    with logs.output("r", "t") as output:
        output.stdout(b"a" * 990)
    again = LogFiles(tmp_path / "logs", most_bytes=1000)
    with again.output("r", "t") as output:
        output.stdout(b"b" * 5)
        output.stdout(b"c" * 10)
        output.stdout(b"d")
    assert again.read("r", "t", Stream.STDOUT) == b"a" * 990 + b"b" * 5 + b"c" * 5 + FULL
    with LogFiles(tmp_path / "logs", most_bytes=1000).output("r", "t") as output:
        output.stdout(b"e")
    assert again.read("r", "t", Stream.STDOUT).endswith(FULL)


def test_who_follows_is_told_of_each_piece_and_of_nothing_else(logs):
    heard = []
    logs.grown.subscribe(lambda: heard.append(logs.size("r", "t", Stream.STDOUT)))
    with logs.output("r", "t") as output:
        output.stdout(b"one")
        output.stdout(b"")
        output.stdout(b"two")
    assert heard == [3, 6]


def test_what_is_removed_is_gone_also_while_its_task_writes(logs, tmp_path):
    with logs.output("r", "t") as output:
        output.stdout(b"one")
        shutil.rmtree(logs.folder("r"), ignore_errors=True)
        output.stdout(b"two")
        shutil.rmtree(logs.folder("r"), ignore_errors=True)
    assert list((tmp_path / "logs").iterdir()) == []


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_are_open_while_the_task_runs_and_no_longer(logs):
    before = open_descriptors()
    with logs.output("r", "t") as output:
        for _ in range(10):
            output.stdout(b"x")
            output.stderr(b"x")
        assert open_descriptors() == before + 2
    output.close()
    assert open_descriptors() == before


def test_a_full_disk_drops_what_it_does_not_take_and_says_so_once(tmp_path):
    logs = LogFiles(tmp_path / "logs", most_bytes=10_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with structlog.testing.capture_logs() as told, logs.output("r", "t") as output:
        output.stdout(b"before ")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
        try:
            output.stdout(b"123456789")
            output.stdout(b"gone")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        output.stdout(b" after")
    assert logs.read("r", "t", Stream.STDOUT) == b"before 123 after"
    assert [(event["event"], event["run"], event["task"]) for event in told] == [
        ("log_not_written", "r", "t")
    ]


def test_where_no_file_can_be_made_the_task_goes_on(tmp_path):
    (tmp_path / "logs").write_text("a file in the way")
    with (
        structlog.testing.capture_logs() as told,
        LogFiles(tmp_path / "logs", most_bytes=1).output("r", "t") as out,
    ):
        out.stdout(b"x")
        out.stderr(b"y")
    assert [event["reason"] for event in told] == ["Not a directory"]


def test_twenty_thousand_small_pieces_take_well_below_a_second_of_a_core(tmp_path):
    logs = LogFiles(tmp_path / "logs", most_bytes=10_000_000)
    start = time.process_time()
    with logs.output("r", "t") as output:
        for _ in range(20_000):
            output.stdout(b"a line of a log\n")
    assert time.process_time() - start < 3
    assert Path(logs.path("r", "t", Stream.STDOUT)).stat().st_size == 20_000 * 16
