"""`paas-runner check` as an operator runs it, against a sandbox on loopback sockets."""

import asyncio
import json
import sys
import tomllib
from pathlib import Path

import pytest

from paas_runner.demo.service_process import ServiceProcess
from paas_runner.secret import Secret

pytestmark = pytest.mark.process
COMMAND = Path(sys.executable).parent / "paas-runner"


async def check(world, *options, command="check"):
    """Exit code, answer and messages."""
    process = await asyncio.create_subprocess_exec(
        COMMAND,
        command,
        world.config,
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    answer, messages = await asyncio.wait_for(process.communicate(), 60)
    told = answer.decode() + messages.decode()
    assert "Traceback" not in told
    assert not [secret for secret in world.secrets if secret in told]
    assert "canary" not in told
    assert "\x1b" not in told
    return process.returncode, answer.decode(), messages.decode()


async def test_a_configuration_that_works_ends_with_0_and_a_line_for_each_thing(world):
    code, answer, messages = await check(world)
    assert (code, messages) == (0, "")
    *lines, summary = answer.splitlines()
    assert {line[0] for line in lines} == {"✓"}
    assert summary == f"faults: 0, warnings: 0, fine: {len(lines)}"


async def test_what_would_not_work_ends_with_1_and_is_told_to_programs_too(world):
    world.write(world.runner(token=Secret("glrt-unknown-token-canary")))
    code, answer, messages = await check(world, "--json")
    assert (code, messages) == (1, "")
    document = json.loads(answer)
    assert document["verdict"] == "fault"
    [fault] = [each for each in document["results"] if each["grade"] == "fault"]
    assert (fault["runner"], fault["subject"]) == ("one", "token")
    assert fault["advice"]


async def test_a_wrong_configuration_ends_with_78_and_the_words_of_run(world):
    world.write(world.runner(more="cc_zon = 1"), top='concurrent = "many"\n')
    _, _, said_by_run = await check(world, command="run")
    code, answer, _ = await check(world)
    assert code == 78
    *lines, summary = answer.splitlines()
    assert [line.removeprefix("✗ configuration  ") for line in lines] == said_by_run.splitlines()
    assert len(lines) == 2
    assert summary == "faults: 2, warnings: 0, fine: 0"
    code, answer, _ = await check(world, "--json")
    assert code == 78
    assert [each["text"] for each in json.loads(answer)["results"]] == said_by_run.splitlines()
    code, answer, _ = await check(world, "--show")
    assert code == 78
    assert answer.splitlines()[:-1] == lines


async def test_warnings_are_those_of_run_and_end_with_0(world):
    world.write(top="job_progress_interval = 7\n")
    code, answer, _ = await check(world, "--offline")
    assert code == 0
    assert "config.toml:1: job_progress_interval: accepted, but its name is" in answer
    assert answer.splitlines()[-1].startswith("faults: 0, warnings: 1")


async def test_it_may_run_beside_the_service(world):
    log = []
    service = ServiceProcess(world.config, log.append)
    await service.start()
    try:
        async with asyncio.timeout(60):
            while not [event for event in log if event["event"] == "started"]:
                await asyncio.sleep(0.02)
        code, answer, _ = await check(world)
    finally:
        assert await service.terminate() == 0
    assert code == 0, answer
    assert "the service runs with it (process" in answer


async def test_the_effective_configuration_is_shown_as_toml_or_json(world):
    code, answer, _ = await check(world, "--show")
    assert code == 0
    assert tomllib.loads(answer)["runners"][0]["cc_token"] == "…(hidden)"
    assert "# at most 50 jobs at once, of each of XS, S, M, L, XL, 2XL, 3XL" in answer
    code, answer, _ = await check(world, "--show", "--json", "--offline")
    assert code == 0
    assert "could not be found out" in json.loads(answer)["meaning"]["runners[0]"]


async def test_without_git_and_without_a_sane_state_everything_wrong_is_said_at_once(world, monkeypatch):
    pushed_by_git = world.runner(more='paas_push = "program"')
    world.write(pushed_by_git, top='state_file = "missing/state.json"\n')
    monkeypatch.setenv("PATH", "/nonexistent")
    code, answer, _ = await check(world)
    assert code == 1
    assert "cannot be used on this machine: the program `git` was not found on PATH" in answer
    assert "missing cannot be written: No such file or directory" in answer
    assert "✓ one: token" in answer


async def test_git_is_missed_only_where_it_pushes(world, monkeypatch):
    world.write()
    monkeypatch.setenv("PATH", "/nonexistent")
    code, answer, _ = await check(world)
    assert (code, "`git`" in answer) == (0, False)


async def test_wrong_arguments_end_with_2(world):
    code, _, messages = await check(world, "--no-such-option")
    assert code == 2
    assert "usage" in messages
