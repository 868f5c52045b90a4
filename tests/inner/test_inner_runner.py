"""The inner runner against the coordinator, with real shells."""

import asyncio
import contextlib
import json
import re
import tempfile
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from paas_runner.inner import InnerRunnerError
from paas_runner.inner.shell import ProcessShell
from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.reports import checksum
from paas_runner.pipelines.spec import ImageSpec, ServiceSpec
from paas_runner.pipelines.states import JobState
from tests.support.hosts import RUNNER_TOML, Hosts, hosts, script
from tests.support.live_records import LiveJob
from tests.support.processes import alive, until


@pytest.fixture(autouse=True)
def private_temporary_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def text(job: LiveJob) -> str:
    return job.trace.decode()


def listed(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@contextlib.asynccontextmanager
async def running(world: Hosts, job_json: str) -> AsyncIterator["asyncio.Task[int]"]:
    task = asyncio.create_task(world.inner().run(RUNNER_TOML, job_json))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_good_job_succeeds_and_its_trace_arrives_whole() -> None:
    world = hosts()
    job = await world.ran(script("echo hello", "cd /", "X=1", 'echo "$PWD $X"'))
    assert job.status is JobState.SUCCESS
    assert "Running with paas-runner-inner" in text(job)
    assert "  on demo abcdefghi\n" in text(job)
    assert "\x1b[32;1m$ echo hello\x1b[0;m\nhello\n" in text(job)
    assert "/ 1\n" in text(job)
    assert "The job's payload names no repository: there are no sources to fetch" in text(job)
    assert text(job).endswith("\x1b[32;1mJob succeeded\x1b[0;m\n")
    assert job.count(LedgerKind.CHECKSUM_MISMATCH) == 0
    (final,) = world.wire.final_puts()
    assert "failure_reason" not in final
    assert "exit_code" not in final
    assert final["output"] == {"checksum": checksum(job.trace), "bytesize": job.trace_bytes}


@pytest.mark.parametrize(
    ("line", "code"), [("exit 42", 42), ("exit 300", 44), ("false", 1), ("kill -9 $$", 137)]
)
async def test_a_scripts_exit_code_is_the_jobs(line: str, code: int) -> None:
    job = await hosts().ran(script(line, "echo never"))
    assert (job.status, job.failure_reason, job.exit_code) == ("failed", "script_failure", code)
    assert f"ERROR: Job failed: exit code {code}" in text(job)
    assert "\nnever\n" not in text(job)


async def test_a_failure_inside_a_pipe_fails_the_job() -> None:
    assert (await hosts().ran(script("false | cat"))).exit_code == 1


@pytest.mark.parametrize("helper", ["tee build.log", "sed -u 's/^/[x] /'", "sleep 0.3; cat"])
async def test_the_end_of_the_log_is_not_lost_to_a_helper_that_the_script_writes_through(helper: str) -> None:
    job = await hosts().ran(script(f"exec > >({helper}) 2>&1", "seq 1 20000", "echo LASTLINE; false"))
    assert (job.status, job.exit_code) == ("failed", 1)
    lines = text(job).replace("[x] ", "").splitlines()
    assert [line for line in lines if line.isdecimal()] == [str(number) for number in range(1, 20_001)]
    assert "LASTLINE" in lines


async def test_a_variable_that_is_too_long_for_a_program_is_there_for_the_shell_alone() -> None:
    long = Variable(key="LONG", value="x" * 140_000, public=True)
    spec = script("echo ${#LONG}", "ls", after_script=("echo after ${#LONG}",), variables=(long,))
    job = await hosts().ran(spec)
    assert "\n140000\n" in text(job)
    assert "Argument list too long" in text(job)
    assert "\nafter 140000\n" in text(job)
    assert (job.failure_reason, job.exit_code) == ("script_failure", 126)


async def test_many_variables_that_are_too_long_together_are_there_for_the_shell() -> None:
    many = tuple(Variable(key=f"V{number}", value=str(number) * 50_000) for number in range(60))
    job = await hosts().ran(script('echo "${#V7} ${#V31}"', variables=many))
    assert "\n50000 100000\n" in text(job)
    assert job.status is JobState.SUCCESS


async def test_the_executor_that_is_named_is_the_one_that_runs_the_scripts() -> None:
    """The configuration is for containers, and this machine's own shell was given."""
    trace = text(await hosts().ran(script("true")))
    assert 'Preparing the "shell" executor' in trace
    assert "Using Shell (bash) executor..." in trace


async def test_sections_stand_around_each_stage() -> None:
    job = await hosts().ran(script("true", after_script=("true",)))
    marks = re.findall(r"section_(start|end):\d{10}:(\w+)\r\x1b\[0K", text(job))
    stages = [
        *("prepare_executor", "prepare_script", "get_sources"),
        *("step_script", "after_script", "cleanup_file_variables"),
    ]
    assert marks == [(kind, stage) for stage in stages for kind in ("start", "end")]


async def test_a_multi_line_command_is_shown_collapsed_and_run_whole() -> None:
    job = await hosts().ran(script("echo one\necho 'it''s two'"))
    assert "$ echo one # collapsed multi-line command" in text(job)
    assert "one\nits two\n" in text(job)


async def test_stdin_is_empty_so_that_no_command_eats_the_script() -> None:
    job = await hosts().ran(script("cat", "echo after"))
    assert "\nafter\n" in text(job)


async def test_after_script_runs_in_a_new_shell_and_knows_the_status() -> None:
    after = ('echo "status=$CI_JOB_STATUS x=[$X]"', "exit 9")
    job = await hosts().ran(script("X=1", "touch made", "exit 3", after_script=(*after[:1], "ls", after[1])))
    assert "status=failed x=[]\n" in text(job)
    assert "\nmade\n" in text(job)
    assert "WARNING: after_script failed" in text(job)
    assert job.exit_code == 3


async def test_the_runner_adds_its_own_variables() -> None:
    spec = script(
        'echo "$CI_SERVER $CI_JOB_STATUS $CI_JOB_TIMEOUT"', 'test "$PWD" = "$CI_PROJECT_DIR"', "env"
    )
    job = await hosts().ran(spec)
    assert "yes running 3600\n" in text(job)
    assert job.status is JobState.SUCCESS
    assert "CI_PROJECT_DIR=" in text(job)


async def test_nothing_of_our_own_environment_reaches_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", "tweet-tweet")
    assert "tweet" not in text(await hosts().ran(script("env")))


async def test_variables_are_expanded_once_and_raw_ones_not_at_all() -> None:
    variables = (
        Variable(key="A", value="a$B${C}$UNKNOWN"),
        Variable(key="B", value="b$C"),
        Variable(key="C", value="c"),
        Variable(key="R", value="$C", raw=True),
    )
    job = await hosts().ran(script('echo "$A|$R"', variables=variables))
    assert "ab$Cc|$C\n" in text(job)


async def test_a_file_variable_is_a_file() -> None:
    key = Variable(key="KEY", value="line 1\nline $X\n", file=True)
    variables = (key, Variable(key="X", value="2"), Variable(key="OPTION", value="--key=$KEY"))
    job = await hosts().ran(script('cat "$KEY"', 'test "$OPTION" = "--key=$KEY"', variables=variables))
    assert "line 1\nline 2\n" in text(job)
    assert job.status is JobState.SUCCESS


async def test_the_sections_environment_is_weaker_than_the_jobs() -> None:
    world = hosts()
    job, job_json = world.handed_out(script('echo "$A $B"', variables=(Variable(key="A", value="job"),)))
    section = RUNNER_TOML + 'environment = ["A=runner", "B=runner"]\n'
    await world.inner().run(section, job_json)
    assert "job runner\n" in text(job)


async def test_a_masked_value_never_shows_even_when_written_in_pieces() -> None:
    world = hosts(variables=(Variable(key="PW", value="open-sesame", masked=True),))
    job = await world.ran(script('echo "<$PW>"', "printf open-; sleep 0.1; echo sesame", "echo open-source"))
    assert "open-sesame" not in text(job)
    assert "<[MASKED]>\n" in text(job)
    assert "\n[MASKED]\n" in text(job)
    assert "\nopen-source\n" in text(job)
    assert job.count(LedgerKind.CHECKSUM_MISMATCH) == 0


async def test_the_job_token_is_masked() -> None:
    job = await hosts().ran(script('echo "<$CI_JOB_TOKEN>"'))
    assert job.token.reveal() not in text(job)


async def test_images_are_named_as_not_started() -> None:
    spec = script("true", image=ImageSpec(name="python:3.12"), services=(ServiceSpec(name="redis"),))
    job = await hosts().ran(spec)
    for name in ("python:3.12", "redis"):
        assert f"The script runs on the host itself; image {name} is not started" in text(job)


async def test_output_that_is_no_utf8_is_replaced() -> None:
    job = await hosts().ran(script(r"printf '\377\n'"))
    assert "\ufffd\n" in text(job)


async def test_output_over_the_limit_is_cut_but_the_job_goes_on() -> None:
    world = hosts()
    job, job_json = world.handed_out(script("head -c 5000 /dev/zero | tr '\\0' x", "exit 4"))
    await world.inner().run(RUNNER_TOML + "output_limit = 2\n", job_json)
    assert "Job's log exceeded limit of 2048 bytes." in text(job)
    assert (job.exit_code, job.count(LedgerKind.CHECKSUM_MISMATCH)) == (4, 0)


async def test_a_job_over_its_time_is_killed_without_after_script() -> None:
    spec = script("sleep 9.71 & sleep 9.72", after_script=("echo bye",), timeout=timedelta(seconds=1))
    world = hosts()
    job, job_json = world.handed_out(spec)
    payload = json.loads(job_json)
    payload["runner_info"]["timeout"] = 1
    await world.inner().run(RUNNER_TOML, json.dumps(payload))
    assert (job.status, job.failure_reason, job.exit_code) == ("failed", "job_execution_timeout", None)
    assert "ERROR: Job failed: execution took longer than 1s seconds" in text(job)
    assert "bye" not in text(job)
    assert not alive("9.71")
    assert not alive("9.72")


async def test_a_script_that_ignores_sigterm_is_killed_after_the_grace() -> None:
    world = hosts()
    job, job_json = world.handed_out(script("trap '' TERM", "echo ready", "while true; do sleep 0.05; done"))
    async with running(world, job_json) as task:
        await until(lambda: b"\nready" in job.trace)
        world.coordinator.cancel(job.job_id)
        await until(task.done)
    assert job.status is JobState.CANCELED


async def test_a_graceful_cancel_ends_the_script_and_runs_after_script() -> None:
    world = hosts()
    spec = script("echo ready", "sleep 9.73", after_script=('echo "after $CI_JOB_STATUS"',))
    job, job_json = world.handed_out(spec)
    async with running(world, job_json) as task:
        await until(lambda: b"\nready" in job.trace)
        world.coordinator.cancel(job.job_id)
        assert job.status == "canceling"
        await until(task.done)
    assert job.status == "canceled"
    assert "after canceled\n" in text(job)
    assert "ERROR: Job failed: canceled" in text(job)
    assert not alive("9.73")
    (last,) = world.wire.final_puts()
    assert (last["state"], last["failure_reason"]) == ("failed", "unknown_failure")


async def test_a_hard_cancel_ends_everything_in_silence() -> None:
    world = hosts()
    spec = script("echo ready", "while echo tick; do sleep 0.02; done", after_script=("echo after",))
    job, job_json = world.handed_out(spec, features=frozenset())
    async with running(world, job_json) as task:
        await until(lambda: b"\nready" in job.trace)
        world.coordinator.cancel(job.job_id)
        assert await task == 1
    assert job.count(LedgerKind.REFUSED) == 1
    assert "after" not in text(job)
    assert world.wire.final_puts() == []


async def test_a_silent_job_is_kept_alive_and_learns_that_it_was_canceled() -> None:
    world = hosts()
    job, job_json = world.handed_out(script("sleep 9.74"))
    async with running(world, job_json) as task:
        await until(lambda: job.count(LedgerKind.PUT) >= 2)
        await until(lambda: world.wire.puts()[-1]["output"]["bytesize"] == job.trace_bytes)  # both grow
        assert world.wire.puts()[-1]["state"] == "running"
        world.coordinator.cancel(job.job_id, force=True)
        await until(task.done)
    assert not alive("9.74")


async def test_no_process_or_directory_survives_the_death_of_the_host(
    private_temporary_directory: Path,
) -> None:
    world = hosts()
    lines = (
        "trap '' TERM",
        "(trap '' TERM; sleep 9.75) &",
        "nohup sleep 9.76 >/dev/null 2>&1 &",
        "echo up",
        "sleep 9.77",
    )
    job, job_json = world.handed_out(script(*lines))
    async with running(world, job_json):
        await until(lambda: b"\nup" in job.trace and all(alive(f"9.7{n}") for n in (5, 6, 7)))
        assert len(listed(private_temporary_directory)) == 1
    assert not any(alive(f"9.7{n}") for n in (5, 6, 7))
    assert listed(private_temporary_directory) == []
    assert job.status is JobState.RUNNING
    assert world.wire.final_puts() == []


async def test_what_a_step_leaves_in_the_background_does_not_keep_the_job() -> None:
    job = await hosts().ran(script("sleep 978.78 &", "echo done"))
    assert job.status is JobState.SUCCESS
    assert not alive("978.78")


async def test_the_trace_continues_where_another_program_has_written() -> None:
    """Bytes that were there before shift ours: as many of them are skipped (spec §4.2)."""
    world = hosts()
    job, job_json = world.handed_out(script("echo hello"))
    before = b"provisioning took a while\n"
    world.coordinator.append_trace(job.job_id, 0, before)
    await world.inner().run(RUNNER_TOML, job_json)
    patches = world.wire.patches()
    assert patches[0].headers["Content-Range"].startswith("0-")
    assert patches[1].headers["Content-Range"].startswith(f"{len(before)}-")
    assert job.trace.startswith(before)
    assert text(job).endswith("Job succeeded\x1b[0;m\n")
    assert job.status is JobState.SUCCESS


async def test_ranges_count_bytes_and_include_the_last() -> None:
    world = hosts()
    await world.ran(script("echo häh"))
    start = 0
    for request in world.wire.patches():
        assert request.headers["Content-Range"] == f"{start}-{start + len(request.content) - 1}"
        start += len(request.content)


async def test_an_unreachable_coordinator_loses_nothing() -> None:
    world = hosts()
    world.wire.answers = [
        httpx.ConnectError(""),
        httpx.Response(503),
        httpx.Response(429, headers={"Retry-After": "0"}),
        httpx.ReadTimeout(""),
    ]
    job = await world.ran(script("echo hello"))
    assert job.status is JobState.SUCCESS
    assert job.count(LedgerKind.CHECKSUM_MISMATCH) == 0


async def test_the_coordinators_pace_replaces_our_own() -> None:
    world = hosts(trace_interval_seconds=60)
    job, job_json = world.handed_out(script("for i in 1 2 3 4 5; do echo $i; sleep 0.05; done"))
    await world.inner().run(RUNNER_TOML, job_json)
    assert len(world.wire.patches()) == 2
    assert job.status is JobState.SUCCESS


async def test_a_file_that_cannot_be_written_is_a_system_failure() -> None:
    key = Variable(key="K" * 300, value="x", file=True)
    job = await hosts().ran(script("true", variables=(key,)))
    assert (job.status, job.failure_reason) == ("failed", "runner_system_failure")
    assert "ERROR: Job failed (system failure): " in text(job)


@pytest.mark.parametrize(
    ("runner_toml", "job_json", "words"),
    [
        ("[[runners]", "{}", "no TOML"),
        ("", "{}", "exactly one"),
        (RUNNER_TOML * 2, "{}", "exactly one"),
        ('[[runners]]\ntoken = "t"\nurl = "ftp://x"', "{}", "needs `url`"),
        (RUNNER_TOML, "{", "not JSON"),
        (RUNNER_TOML, "{}", "`id` is no positive number"),
    ],
)
async def test_files_that_make_no_job_are_refused(runner_toml: str, job_json: str, words: str) -> None:
    with pytest.raises(InnerRunnerError, match=re.escape(words)):
        await hosts().inner().run(runner_toml, job_json)


async def test_without_bash_sh_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    job = await hosts().ran(script('echo "[$BASH_VERSION]"', "false | cat", "exit 3"))
    assert "[]\n" in text(job)
    assert job.status is JobState.FAILED


async def test_what_a_script_writes_to_gitlab_env_the_next_one_has() -> None:
    lines = ('echo "LATER=a b" >> "$GITLAB_ENV"', "echo nonsense >> $GITLAB_ENV")
    job = await hosts().ran(script(*lines, after_script=('echo "<$LATER>"',)))
    assert "\n<a b>\n" in text(job)


async def test_an_empty_command_is_an_empty_line() -> None:
    job = await hosts().ran(script("", "echo a\n", "  echo b  "))
    assert "$ echo a\x1b[0;m\na\n" in text(job)
    assert "$ echo b\x1b[0;m\nb\n" in text(job)
    assert "collapsed" not in text(job)


async def test_a_debug_trace_is_shown_and_announced() -> None:
    world = hosts()
    await world.ran(script("X=1; echo $X", variables=(Variable(key="CI_DEBUG_TRACE", value="true"),)))
    assert {request.url.params["debug_trace"] for request in world.wire.patches()} == {"true"}
    other = hosts()
    job = await other.ran(script("true"))
    assert {request.url.params["debug_trace"] for request in other.wire.patches()} == {"false"}
    assert "+ true" not in text(job)


async def test_a_secret_in_a_debug_trace_is_masked() -> None:
    world = hosts(variables=(Variable(key="PW", value="open-sesame", masked=True),))
    job = await world.ran(
        script('test "$PW" = x || true', variables=(Variable(key="CI_DEBUG_TRACE", value="1"),))
    )
    assert "+ test '[MASKED]' = x" in text(job) or "+ test [MASKED] = x" in text(job)
    assert "open-sesame" not in text(job)


async def test_tokens_are_masked_by_their_form_and_as_the_coordinator_says() -> None:
    job = await hosts().ran(script("printf 'glp'; printf 'at-%s\\n' abcdef", "echo glcbt-0123456"))
    assert "glpat-[MASKED]\n" in text(job)
    assert "glcbt-[MASKED]\n" in text(job)


async def test_credentials_that_come_with_a_job_are_masked() -> None:
    world = hosts()
    job, job_json = world.handed_out(script("echo registry-pw; echo dependency-token; echo in-the-url"))
    payload = json.loads(job_json)
    payload["credentials"] = [{"type": "registry", "url": "r", "username": "u", "password": "registry-pw"}]
    payload["dependencies"] = [{"id": 1, "name": "d", "token": "dependency-token"}]
    payload["git_info"]["repo_url"] = "http://u:in-the-url@unreachable.test/p.git"
    payload["variables"].append({"key": "GIT_STRATEGY", "value": "none"})
    await world.inner().run(RUNNER_TOML, json.dumps(payload))
    assert job.status is JobState.SUCCESS
    for secret in ("registry-pw", "dependency-token", "in-the-url"):
        assert secret not in text(job)


async def test_features_are_announced_as_they_are() -> None:
    world = hosts()
    await world.ran(script("true"))
    (final,) = world.wire.final_puts()
    features = final["info"]["features"]
    assert features["cancel_gracefully"] is True
    assert features["artifacts"] is True
    assert "vault_secrets" not in features


async def test_a_folder_that_cannot_be_made_is_reported_to_the_hosts_owner(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    shell = ProcessShell(builds_dir=str(tmp_path / "file"))
    _, job_json = hosts().handed_out(script("true"))
    with pytest.raises(InnerRunnerError, match="no folder could be made for the job"):
        await hosts().inner(shell=lambda section: shell).run(RUNNER_TOML, job_json)


TENFOLD = {f"V{number}": "$R" * 100 for number in range(100)}


@pytest.mark.parametrize(
    ("values", "more"),
    [
        (TENFOLD, {}),
        ({"CI_PROJECT_PATH": "a/" * 5000}, {}),
        ({}, {"artifacts": [{"paths": ["$R" * 100] * 100, "artifact_type": "archive"}]}),
        ({}, {"steps": [{"name": "release", "script": ["$R" * 1000] * 10}]}),
    ],
    ids=["variables", "project", "paths", "lines"],
)
async def test_a_job_that_stands_for_too_much_text_fails_in_words(
    values: dict[str, str], more: dict[str, Any]
) -> None:
    world = hosts()
    long = Variable(key="R", value="x" * 10_000, raw=True)
    chosen = (long, *(Variable(key=key, value=value) for key, value in values.items()))
    job, job_json = world.handed_out(script("echo never", variables=chosen))
    assert await world.inner().run(RUNNER_TOML, json.dumps({**json.loads(job_json), **more})) == 1
    assert job.status == "failed"
    assert "characters" in text(job)
    assert "\nnever\n" not in text(job)
