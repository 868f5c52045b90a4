"""How a call ends before its job: by a person, by its reader, by death; nothing of the job is left."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

SLOW = """\
slow:
  script:
    - echo $$ > {pid}
    - echo begun
    - sleep 300
  after_script: [echo after]
"""


@pytest.fixture
def slow(project, tmp_path):
    """A call whose job has begun, and the id of the process that it waits for."""
    project.write(".gitlab-ci.yml", SLOW.format(pid=tmp_path / "pid"))
    started = []

    def start(*, reader=subprocess.PIPE):
        command = [sys.executable, "-m", "paas_runner", "exec", "slow"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TOKEN": "a-secret-token"}
        process = subprocess.Popen(
            [*command, "--secret", "TOKEN"], stdout=reader, stderr=subprocess.STDOUT, env=environment
        )
        started.append(process)
        until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip())
        return process, int((tmp_path / "pid").read_text())

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


def until(met, seconds=60):
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def builds(project):
    return list((project.root / ".paas-runner/exec/builds").iterdir())


def test_one_interrupt_cancels_the_job_whose_after_script_runs(project, slow):
    process, pid = slow()
    process.send_signal(signal.SIGINT)
    answer, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"\nafter\n" in answer
    assert b"job slow: canceled" in answer
    assert not is_alive(pid)
    assert builds(project) == []


def test_two_interrupts_end_it(project, slow):
    process, pid = slow()
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not is_alive(pid)
    assert builds(project) == []


def test_after_kill_9_nothing_of_the_job_runs_and_the_next_call_removes_its_copy(project, slow, called):
    process, pid = slow()
    process.kill()
    process.wait()
    until(lambda: not is_alive(pid))
    [left] = builds(project)
    assert left.stat().st_mode & 0o077 == 0
    project.write(".gitlab-ci.yml", "quick: {script: [echo]}\n")
    assert called("quick")[0] == 0
    assert builds(project) == []


def test_no_secret_is_in_the_arguments_of_any_process(slow):
    process, _ = slow()
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes())
        except OSError:
            continue
    assert any(b"paas_runner.exec.inner_process" in each for each in found)
    assert not any(b"a-secret-token" in each for each in found)
    process.send_signal(signal.SIGINT)


def test_a_job_ends_when_nobody_reads_its_log(project, slow):
    reading, writing = os.pipe()
    process, pid = slow(reader=writing)
    os.close(reading)
    os.close(writing)
    process.send_signal(signal.SIGINT)  # which makes it write
    assert process.wait(timeout=30) in (1, 130)
    assert not is_alive(pid)
    assert builds(project) == []
