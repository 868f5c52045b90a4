"""`paas-runner migrate` between heptapod-paas-runner 1.1.1 itself and us, and back, with jobs that go on."""

import asyncio
import json
import sys

import pytest

from paas_runner.errors import Exit
from tests.peer.test_peer_takes_over import NOTHING, all_went_well

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
]

UNKNOWN = "an_option_of_long_ago = true"


async def migrate(world, *more):
    command = ["migrate", str(world.config), "--from", "heptapod-paas-runner", "--json", *more]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "paas_runner", *command, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await process.communicate()
    return process.returncode, json.loads(told) if told else None


async def test_a_file_that_we_would_refuse_and_jobs_that_run_come_here_and_go_back(shared):
    shared.configure_for_both(runner=UNKNOWN)
    theirs = shared.config.read_text()
    async with shared.peer():
        jobs = shared.submit_gated(2)
        await shared.until(lambda: shared.peer_told.count("Successfully launched") == 2)
        assert (await migrate(shared))[0] == Exit.IN_USE
        assert shared.config.read_text() == theirs
    code, told = await migrate(shared)
    assert code == Exit.OK
    assert [change["key"] for change in told["changes"]] == ["runners[0].an_option_of_long_ago"]
    assert {each["fate"] for each in told["jobs"]} == {"followed to its end, then its host is removed"}
    async with shared.service():
        jobs += shared.submit_gated(1)
        await shared.until(lambda: len(shared.phases("running")) == 1)
        assert (await migrate(shared, "--back"))[0] == Exit.IN_USE
    code, told = await migrate(shared, "--back")
    assert code == Exit.OK
    assert "it has the jobs of meanwhile" in told["state"]
    assert shared.config.read_text() == theirs
    async with shared.peer():
        await shared.until(lambda: not shared.state_file.exists())
        shared.open_gate()
        await shared.settled(jobs)
        await shared.until(lambda: not shared.alive)
        await asyncio.sleep(1)  # only then does 1.1.1 take the host from its list
    all_went_well(shared, jobs)
    assert shared.state == NOTHING
