"""Signals of the real program (spec §9; P087, P088, P098–P103)."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.support.pipelines_server import start_server, until

pytestmark = pytest.mark.process

DEFINITIONS = """\
pipelines:
  quick:
    tasks:
      one: {script: [echo quick]}
  held:
    tasks:
      hold:
        script: ['echo started', 'until test -e go; do sleep 0.05; done', 'echo released']
  stubborn:
    tasks:
      hold:
        script: ["trap '' INT TERM; echo started $$; sleep 1000 & wait; sleep 1000"]
"""


@pytest.fixture
def server(tmp_path):
    with start_server(tmp_path, definitions=DEFINITIONS) as server:
        yield server


def started(server, pipeline):
    """A run whose task has begun."""
    job = server.schedule(pipeline)
    until(lambda: server.output(job, "hold").startswith("started"))
    return job


def restarted(server):
    return start_server(server.folder)


def test_sigint_waits_for_what_runs_and_cancels_what_waits_while_the_api_answers(server):
    """P098, P101, P102; the last words are on the disk (§8: saved at the end)."""
    running, waiting = started(server, "held"), server.schedule("held")
    server.signal(signal.SIGINT)
    until(lambda: "received SIGINT" in server.log)
    assert "running=1" in server.log
    refused = server.ask("/pipelines/schedule", {"pipeline": "quick"})
    assert (refused.status, refused.json) == (503, {"error": "Server is shutting down"})
    assert not any(each["schedulable"] for each in server.ask("/pipelines/").json["pipelines"])
    assert server.job(waiting)["canceled"]
    assert server.job(running)["tasks"][0]["status"] == "running"
    server.signal(signal.SIGINT)  # again changes nothing
    assert server.process.poll() is None
    (server.folder / "go").touch()
    assert server.wait() == 0
    with restarted(server) as again:
        job = again.job(running)
        assert (job["completed"], job["canceled"], job["errored"]) == (True, False, False)
        assert again.output(running, "hold") == "started\nreleased\n"
        assert again.job(waiting)["canceled"]


@pytest.mark.long
def test_sigterm_cancels_what_runs_and_ends_well(server):
    """P099."""
    running, waiting = started(server, "held"), server.schedule("held")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    with restarted(server) as again:
        job = again.job(running)
        assert (job["completed"], job["canceled"], job["lastError"]) == (True, True, "context canceled")
        assert job["tasks"][0]["status"] == "canceled"
        assert again.job(waiting)["canceled"]


@pytest.mark.long
def test_sigterm_after_sigint_turns_the_wait_into_cancellation(server):
    """P099."""
    running = started(server, "held")
    server.signal(signal.SIGINT)
    until(lambda: "received SIGINT" in server.log)
    assert server.job(running)["tasks"][0]["status"] == "running"
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    with restarted(server) as again:
        assert again.job(running)["canceled"]


@pytest.mark.long
def test_a_second_sigterm_ends_at_once_and_leaves_no_process(server):
    """P095: it was no complete shutdown."""
    job = started(server, "stubborn")
    pid = int(server.output(job, "hold").split()[1])
    server.signal(signal.SIGTERM)
    until(lambda: "received SIGTERM" in server.log)
    server.signal(signal.SIGTERM)
    assert server.wait() == 1
    assert "ended at once" in server.log
    until(lambda: not Path(f"/proc/{pid}").exists())
    with restarted(server) as again:
        assert again.job(job)["canceled"]


def names(server):
    return [each["pipeline"] for each in server.ask("/pipelines/").json["pipelines"]]


def test_sigusr1_reads_the_definitions_again(server):
    """P100, P103: what has been scheduled keeps its tasks."""
    running = started(server, "held")
    definitions = server.folder / "pipelines.yml"
    definitions.write_text(DEFINITIONS.replace("echo released", "echo changed").replace("quick:", "fast:"))
    server.signal(signal.SIGUSR1)
    until(lambda: names(server) == ["fast", "held", "stubborn"])
    later = server.schedule("held")
    (server.folder / "go").touch()
    server.ended(later)
    assert server.output(running, "hold") == "started\nreleased\n"
    assert server.output(later, "hold") == "started\nchanged\n"
    server.signal(signal.SIGUSR1)  # nothing has changed
    until(lambda: server.log.count("received SIGUSR1") == 2)
    assert server.log.count("definitions changed") == 1


@pytest.mark.long
def test_a_wrong_reload_is_told_and_the_old_definitions_stay(server):
    """P014."""
    (server.folder / "pipelines.yml").write_text("pipelines: {broken: {concurrency: -1}}\n")
    server.signal(signal.SIGUSR1)
    until(lambda: "error loading pipeline definitions" in server.log)
    assert "concurrency must be greater than 0" in server.log
    assert names(server) == ["held", "quick", "stubborn"]
    assert server.ended(server.schedule("quick"))["completed"]


@pytest.mark.long
def test_watching_sees_files_that_change_come_and_go(tmp_path):
    """P087, P088; also one of the same size whose date was set back."""
    with start_server(tmp_path, "--watch", "--poll-interval=100ms", definitions=DEFINITIONS) as server:
        first = tmp_path / "pipelines.yml"
        before = first.stat()
        first.write_text(DEFINITIONS.replace("quick:", "swift:"))
        os.utime(first, ns=(before.st_atime_ns, before.st_mtime_ns))
        until(lambda: "swift" in names(server))
        (tmp_path / "sub").mkdir()
        second = tmp_path / "sub" / "pipelines.yaml"
        second.write_text("pipelines: {more: {}}\n")
        until(lambda: "more" in names(server))
        second.write_text("pipelines: [\n")
        until(lambda: "error loading pipeline definitions" in server.log)
        second.unlink()
        until(lambda: "more" not in names(server))
        assert server.log.count("level=error") == 1


@pytest.mark.long
def test_a_file_that_is_being_written_is_not_read_and_what_waits_for_it_stays(tmp_path):
    """As editors do it: emptied, gone for a moment, half there."""
    with start_server(tmp_path, "--watch", "--poll-interval=20ms", definitions=DEFINITIONS) as server:
        server.schedule("held")
        waiting = server.schedule("held")
        file = tmp_path / "pipelines.yml"
        file.write_text("pipelines:\n")
        time.sleep(0.1)
        file.unlink()
        time.sleep(0.1)
        file.write_text(DEFINITIONS.replace("quick:", "swift:"))
        until(lambda: "swift" in names(server))
        assert not server.job(waiting)["canceled"]


@pytest.mark.long
def test_without_watching_nothing_is_read_by_itself(server):
    (server.folder / "pipelines.yml").write_text("pipelines: {}\n")
    for _ in range(5):
        server.ask("/pipelines/")
    assert len(names(server)) == 3
    assert not re.search("definitions changed", server.log)
