"""The program as a process: arguments, signals, exit codes, and its own violent death."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from paas_runner.inner.cli import main
from paas_runner.pipelines.states import JobState
from tests.support.hosts import script
from tests.support.inner_program import Machine, machine_in
from tests.support.processes import alive, children, exists, is_pending, until


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine_in(tmp_path) as machine:
        yield machine


@pytest.mark.parametrize(("line", "code", "state"), [("true", 0, "success"), ("exit 42", 1, "failed")])
async def test_the_exit_code_says_whether_the_job_succeeded(
    machine: Machine, line: str, code: int, state: str
) -> None:
    async with machine.running(script(line)) as (job, process):
        assert await process.wait() == code
    assert job.status == state
    assert machine.leftovers() == []


@pytest.mark.long
@pytest.mark.parametrize(
    "line",
    [
        "head -c 400000000 /dev/zero | tr '\\0' x",
        "head -c 400000000 /dev/zero",
        "head -c 400000000 /dev/urandom",
        "yes $'section_start:1:a\\r\\e[0K\\e[31;1m' | head -c 400000000",
    ],
)
async def test_however_much_a_script_writes_it_takes_no_more_memory(machine: Machine, line: str) -> None:
    """400 MB, more than twice what the program may have."""
    small = attrs.evolve(machine, program=("prlimit", "--data=180000000", *machine.program))
    async with small.running(script(f"{line} || true")) as (job, process):
        assert await process.wait() == 0
    assert job.status is JobState.SUCCESS
    assert b"Job's log exceeded limit of 4194304 bytes." in job.trace[-300:]


async def test_no_process_shows_a_secret_among_its_arguments(machine: Machine) -> None:
    """What a script sees of the processes above it has nothing that had to be masked in the trace."""
    show = "tr '\\0' ' ' < /proc/$process/cmdline; echo"
    climb = "process=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$process/status)"
    above = f"process=$$; for _ in 1 2 3; do {show}; {climb}; done"
    async with machine.running(script(above)) as (job, process):
        assert await process.wait() == 0
    shown = job.trace.decode()
    assert "keeper.py" in shown
    assert "exec-fetched-job" in shown
    assert "[MASKED]" not in shown
    assert job.token.reveal() not in shown


@pytest.mark.parametrize(("number", "word"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupt")])
async def test_a_signal_ends_the_job_in_good_order(
    machine: Machine, number: signal.Signals, word: str
) -> None:
    mark = f"61.01{number.value}"
    lines = ("trap 'echo got-it; exit 0' TERM", "echo ready", f"sleep {mark}")
    spec = script(*lines, after_script=("echo after",))
    async with machine.running(spec) as (job, process):
        await until(lambda: b"\nready" in job.trace)
        process.send_signal(number)
        assert await process.wait() == 1
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    assert b"\ngot-it" in job.trace
    assert f"ERROR: Job failed (system failure): aborted: {word}".encode() in job.trace
    assert b"\nafter" not in job.trace
    assert not alive(mark)
    assert machine.leftovers() == []


async def test_a_second_signal_ends_the_program_at_once(machine: Machine) -> None:
    """A program that had waited for the script's end instead would have ended with 1."""
    first = machine.folder / "first"
    lines = (f"trap 'echo > {first}' TERM", "echo ready", "while :; do sleep 61.02 || true; done")
    async with machine.running(script(*lines)) as (job, process):
        await until(lambda: b"\nready" in job.trace and alive("61.02"))
        process.send_signal(signal.SIGTERM)
        await until(first.exists)  # the first has got as far as to the script, which goes on
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 128 + signal.SIGTERM
    assert job.status is JobState.RUNNING
    assert not alive("61.02")
    assert machine.leftovers() == []


async def test_a_second_signal_ends_the_wait_for_an_absent_coordinator(machine: Machine) -> None:
    """The job's own time was over before: alone the program would wait for half an hour, then end with 69."""
    job, arguments = machine.arguments(script("echo ready; sleep 61.06"))
    payload = json.loads(Path(arguments[-1]).read_text())
    payload["runner_info"]["timeout"] = 2
    Path(arguments[-1]).write_text(json.dumps(payload))
    process = await asyncio.create_subprocess_exec(*arguments)
    await until(lambda: b"\nready" in job.trace)
    await machine.listener.stop()
    [program] = children(process.pid)  # which its guardian tells of signals
    await until(lambda: not alive("61.06") and not children(program))
    process.send_signal(signal.SIGTERM)
    await until(lambda: not any(is_pending(pid, signal.SIGTERM) for pid in (process.pid, program)))
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 128 + signal.SIGTERM


async def test_the_death_of_the_program_leaves_no_process_of_the_job(machine: Machine) -> None:
    lines = (
        "trap '' TERM HUP",
        "sleep 61.03 &",
        "setsid sh -c 'sleep 61.03; :' &",
        "(setsid nohup sh -c 'sleep 61.03 & wait' >/dev/null 2>&1 &)",
        "echo ready",
        "sleep 61.03",
    )
    async with machine.running(script(*lines)) as (job, process):
        await until(lambda: b"\nready" in job.trace and alive("61.03"))
        [program] = children(process.pid)
        keepers = children(program)
        assert keepers
        process.kill()
        assert await process.wait() == -signal.SIGKILL
        await until(lambda: not alive("61.03"))
        await until(lambda: not any(map(exists, keepers)))


async def test_the_death_of_the_program_ends_git_too(machine: Machine) -> None:
    toml = "pre_get_sources_script = 'exec -a git-stand-in sleep 61.04'\n"
    job, arguments = machine.arguments(script("true"), toml=toml)
    job_json = json.loads(Path(arguments[-1]).read_text())
    job_json["git_info"]["repo_url"] = "http://127.0.0.1:9/absent.git"
    Path(arguments[-1]).write_text(json.dumps(job_json))
    process = await asyncio.create_subprocess_exec(*arguments)
    await until(lambda: alive("61.04"))
    process.kill()
    await process.wait()
    await until(lambda: not alive("61.04"))
    assert job.status is JobState.RUNNING


async def test_an_executor_that_is_not_known_fails_the_job_with_words(machine: Machine) -> None:
    job, arguments = machine.arguments(script("echo never"))
    config = Path(arguments[-2])
    config.write_text(config.read_text().replace('"shell"', '"kubernetes"'))
    process = await asyncio.create_subprocess_exec(*arguments)
    assert await process.wait() == 1
    assert job.failure_reason == "runner_configuration_error"
    assert b'runner.toml has `executor = "kubernetes"`' in job.trace
    assert b"never" not in job.trace


async def test_a_job_that_was_canceled_meanwhile_is_not_begun_for_long(machine: Machine) -> None:
    async with machine.running(script("sleep 61.05")) as (job, process):
        machine.world.coordinator.cancel(job.job_id, force=True)
        assert await process.wait() == 1
    assert not alive("61.05")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "runner.toml cannot be read: "),
        ({"runner.toml": "[[runners]"}, "runner.toml is no TOML"),
        (
            {"runner.toml": '[[runners]]\nurl = "http://h"\ntoken = "t"', "job.json": "{"},
            "job.json: not JSON",
        ),
    ],
)
def test_files_that_make_no_job_are_complained_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], files: dict[str, str], words: str
) -> None:
    (tmp_path / "job.json").touch()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    paths = [str(tmp_path / name) for name in ("runner.toml", "job.json")]
    assert main(["exec-fetched-job", "--config", *paths]) == 78
    assert words in capsys.readouterr().err


def test_wrong_arguments_end_with_2_and_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["exec-fetched-job", "job.json"])
    with pytest.raises(SystemExit, match="0"):
        main(["exec-fetched-job", "--help"])
    printed = capsys.readouterr().out
    for words in ("--config CONFIG", "SIGTERM", "Exit codes:", "executor"):
        assert words in printed


def test_the_console_script_is_the_same_program() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "paas_runner.inner", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("paas-runner-inner ")
