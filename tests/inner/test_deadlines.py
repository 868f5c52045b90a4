"""Whatever hangs: nothing of a job is left after its timeout and the margin, without anyone's help."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path

import attrs
import httpx
import pytest

from paas_runner.inner import OverdueError, UnreportedError
from paas_runner.inner.cli import InnerExit
from paas_runner.inner.helper import AFTER_SUCCESS, BEFORE_SCRIPTS, NoHelper, Stage
from paas_runner.inner.job import Job
from paas_runner.inner.trace import Narrator
from paas_runner.job.lifetime import MARGIN, MARGIN_VARIABLE
from paas_runner.sandbox.scripted import ScriptedInnerRunner, ScriptedShell
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.hosts import RUNNER_TOML, hosts, script
from tests.support.inner_program import Machine, machine_in
from tests.support.processes import alive, children, until

TIMEOUT = timedelta(hours=1)


async def for_ever(*_: object) -> None:
    await asyncio.Event().wait()


@attrs.define
class Silent(httpx.AsyncBaseTransport):
    """A coordinator that answers nothing from some moment of the loop's time on, or refuses to be reached."""

    inner: httpx.AsyncBaseTransport
    since: float = 0.0
    refuses: bool = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if asyncio.get_running_loop().time() >= self.since:
            if self.refuses:
                raise httpx.ConnectError("refused")
            await for_ever()
        return await self.inner.handle_async_request(request)


class StuckEngine(ScriptedShell):
    """What is to be removed at the end never is."""

    @contextlib.asynccontextmanager
    async def prepared(self, job: Job, narrator: Narrator) -> AsyncIterator[None]:
        async with super().prepared(job, narrator):
            yield
        await for_ever()


@attrs.frozen
class StuckIn(NoHelper):
    """A stage (sources, a cache, an upload that trickles) that never ends."""

    stage: Stage

    def has(self, stage: Stage) -> bool:
        return stage is self.stage

    async def run(self, stage: Stage) -> None:
        await for_ever()


def seconds_of(*lines: str, margin: str = "", **settings: object) -> tuple[float, object, str]:
    """How long a job's program lives, how it ends, and the job's state at its coordinator then."""

    async def main() -> tuple[float, object, str]:
        world = hosts(clock=virtual_now)
        wire = settings.pop("wire", {})
        assert isinstance(wire, Mapping)
        transport = Silent(world.wire, **{"since": 10**9, **wire})
        inner = ScriptedInnerRunner(
            clock=virtual_now,
            transport=lambda _url: transport,
            environment={MARGIN_VARIABLE: margin},
            **settings,  # type: ignore[arg-type]
        )
        job, job_json = world.handed_out(script(*lines, timeout=TIMEOUT))
        ended: object
        try:
            ended = await inner.run(RUNNER_TOML, job_json)
        except (OverdueError, UnreportedError) as error:
            ended = type(error)
        return asyncio.get_running_loop().time(), ended, job.status

    return run_virtual(main())


END = (TIMEOUT + MARGIN).total_seconds()


@pytest.mark.parametrize("since", [0, 5, 3599, 3600])
@pytest.mark.parametrize("refuses", [False, True])
def test_a_coordinator_that_is_away_keeps_it_no_longer(since: float, refuses: bool) -> None:
    """Half an hour of tries for the report would be more than there is."""
    lived, ended, _ = seconds_of("sleep 9000", wire={"since": since, "refuses": refuses})
    assert TIMEOUT.total_seconds() < lived < 0.8 * MARGIN.total_seconds() + TIMEOUT.total_seconds() + 1
    assert ended in (OverdueError, UnreportedError)


def test_a_job_that_ended_early_has_half_an_hour_for_its_report_as_ever() -> None:
    lived, ended, _ = seconds_of("sleep 60", wire={"since": 30, "refuses": True})
    assert (round(lived), ended) == (60 + 1800, UnreportedError)


@pytest.mark.parametrize("stage", [*BEFORE_SCRIPTS, *AFTER_SUCCESS])
def test_a_stage_that_never_ends_is_over_with_the_jobs_time(stage: Stage) -> None:
    lived, ended, status = seconds_of("true", helper=lambda *_: StuckIn(stage))
    assert (lived, ended, status) == (pytest.approx(3600, abs=30), 1, "failed")


def test_an_engine_that_never_answers_is_left_to_itself() -> None:
    lived, ended, _ = seconds_of("true", shell=lambda _section: StuckEngine())
    assert (lived, ended) == (pytest.approx(END - 120), OverdueError)


def test_the_margin_is_what_the_hosts_environment_says() -> None:
    lived, ended, _ = seconds_of("true", margin="50", shell=lambda _section: StuckEngine())
    assert (lived, ended) == (pytest.approx(3600 + 40), OverdueError)


# --- the program as a process ------------------------------------------------------------------------------

pytestmark = pytest.mark.process


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    async with machine_in(tmp_path) as machine:
        yield machine


@contextlib.asynccontextmanager
async def hurried(machine: Machine, *lines: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The program with a job of three seconds, and two for its margin; it is gone at the end."""
    _, arguments = machine.arguments(script(*lines))
    payload = json.loads(Path(arguments[-1]).read_text())
    payload["runner_info"]["timeout"] = 3
    Path(arguments[-1]).write_text(json.dumps(payload))
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(machine.folder), MARGIN_VARIABLE: "2"}
    process = await asyncio.create_subprocess_exec(*arguments, env=environment, cwd=Path.cwd())
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def below(pid: int) -> set[int]:
    """All processes below one."""
    found = children(pid)
    return found.union(*map(below, found))


async def ended_in_time(process: asyncio.subprocess.Process) -> int:
    """The exit code of one whose script runs."""
    began = time.monotonic()
    code = await asyncio.wait_for(process.wait(), 20)
    assert time.monotonic() - began < 15  # its script would sleep on
    return code


@pytest.mark.long
async def test_an_inner_runner_that_does_nothing_any_more_is_killed_with_all_it_has(machine: Machine) -> None:
    async with hurried(machine, "sleep 63.01") as process:
        await until(lambda: alive("63.01"))
        [program] = children(process.pid)
        os.kill(program, signal.SIGSTOP)
        assert await ended_in_time(process) == InnerExit.OVERDUE
    assert not alive("63.01")


@pytest.mark.long
async def test_a_script_that_cannot_be_killed_does_not_keep_the_program(machine: Machine) -> None:
    """Its keeper is stopped: to the program that is the same."""
    async with hurried(machine, "trap '' TERM; sleep 63.02") as process:
        await until(lambda: alive("63.02"))
        [program] = children(process.pid)
        for keeper in children(program):
            os.kill(keeper, signal.SIGSTOP)
        assert await ended_in_time(process) == InnerExit.OVERDUE
        await until(lambda: not alive("63.02"))


@pytest.mark.long
async def test_a_coordinator_that_went_away_costs_the_report_and_no_more_time(machine: Machine) -> None:
    async with hurried(machine, "sleep 63.03") as process:
        await until(lambda: alive("63.03"))
        await machine.listener.stop()
        assert await ended_in_time(process) == InnerExit.UNREPORTED
        assert not below(process.pid)
    assert not alive("63.03")
    assert machine.leftovers() == []


async def test_the_death_of_the_program_below_its_guardian_is_told_and_leaves_nothing(
    machine: Machine,
) -> None:
    async with machine.running(script("sleep 63.04")) as (_, process):
        await until(lambda: alive("63.04"))
        [program] = children(process.pid)
        os.kill(program, signal.SIGKILL)
        assert await process.wait() == 128 + signal.SIGKILL
        assert not alive("63.04")
