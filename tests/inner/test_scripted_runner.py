"""Whole jobs in virtual time."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from paas_runner.inner import InnerRunnerError
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.scripted import ScriptedInnerRunner
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.hosts import RUNNER_TOML, Hosts, hosts, script
from tests.support.live_records import LiveJob


def scripted(world: Hosts) -> ScriptedInnerRunner:
    return ScriptedInnerRunner(clock=virtual_now, transport=lambda url: world.wire)


def played(spec: JobSpec, **options: Any) -> tuple[LiveJob, Hosts]:
    async def main() -> tuple[LiveJob, Hosts]:
        world = hosts(clock=virtual_now, **options)
        job, job_json = world.handed_out(spec)
        await scripted(world).run(RUNNER_TOML, job_json)
        return job, world

    return run_virtual(main())


def test_an_hour_of_script_takes_an_hour_of_the_loops_time() -> None:
    job, _ = played(script("echo hello $CI_JOB_STATUS", "sleep 3500", "exit 7"))
    assert (job.status, job.exit_code) == ("failed", 7)
    assert b"\nhello running\n" in job.trace
    assert job.started_at is not None
    assert job.finished_at is not None
    assert job.finished_at - job.started_at == timedelta(seconds=3500)


def test_a_long_silence_is_kept_alive_every_half_minute() -> None:
    job, _ = played(script("sleep 300"))
    assert 8 <= job.count(LedgerKind.PUT) <= 11


@pytest.mark.parametrize(("seconds", "fewest", "most"), [(1, 55, 62), (3, 55, 62), (10, 26, 31), (60, 8, 11)])
def test_signs_of_life_are_as_frequent_as_the_coordinator_wants_the_trace(
    seconds: int, fewest: int, most: int
) -> None:
    """Within bounds: at least every half minute, at most every five seconds."""
    job, _ = played(script("sleep 300"), trace_interval_seconds=seconds)
    assert fewest <= job.count(LedgerKind.PUT) <= most


def test_a_silent_job_that_someone_looks_at_learns_in_seconds_that_it_is_canceled() -> None:
    async def main() -> float:
        world = hosts(clock=virtual_now, trace_interval_seconds=3)
        job, job_json = world.handed_out(script("sleep 3000"))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(scripted(world).run(RUNNER_TOML, job_json))
            await asyncio.sleep(101)
            world.coordinator.cancel(job.job_id)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) < 101 + 10


def test_a_script_over_its_time_ends_as_a_timeout() -> None:
    job, _ = played(script("sleep 5000", timeout=timedelta(hours=1)))
    assert job.failure_reason == "job_execution_timeout"
    assert b"execution took longer than 1h0m0s seconds" in job.trace


def test_after_script_has_five_minutes() -> None:
    job, _ = played(script("false", after_script=("sleep 1000",)))
    assert (job.status, job.exit_code) == ("failed", 1)
    assert job.finished_at is not None
    assert job.started_at is not None
    assert timedelta(minutes=5) <= job.finished_at - job.started_at < timedelta(minutes=6)


def test_a_line_that_is_not_of_the_convention_does_nothing_and_a_wrong_number_breaks_the_job() -> None:
    assert played(script("make all"))[0].status == "success"
    assert played(script("sleep long"))[0].failure_reason == "runner_system_failure"


def test_the_coordinator_may_be_away_for_an_hour() -> None:
    async def main() -> LiveJob:
        world = hosts(clock=virtual_now)
        spec = script("echo one", "sleep 5000", "echo two", timeout=timedelta(hours=2))
        job, job_json = world.handed_out(spec)
        world.wire.answers = [httpx.ConnectError("away")] * 1200
        await scripted(world).run(RUNNER_TOML, job_json)
        return job

    job = run_virtual(main())
    assert job.status == "success"
    assert b"\none\n" in job.trace
    assert job.count(LedgerKind.CHECKSUM_MISMATCH) == 0


def test_a_canceled_job_winds_down_in_virtual_time() -> None:
    async def main() -> LiveJob:
        world = hosts(clock=virtual_now)
        job, job_json = world.handed_out(script("sleep 3000", after_script=("echo $CI_JOB_STATUS",)))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(scripted(world).run(RUNNER_TOML, job_json))
            await asyncio.sleep(100)
            world.coordinator.cancel(job.job_id)
        return job

    job = run_virtual(main())
    assert job.status == "canceled"
    assert b"\ncanceled\n" in job.trace


def test_a_coordinator_that_stays_away_is_given_up_half_an_hour_after_the_end() -> None:
    async def main() -> float:
        world = hosts(clock=virtual_now)
        _, job_json = world.handed_out(script("sleep 60"))
        world.wire.answers = [httpx.ConnectError("away")] * 5000
        with pytest.raises(InnerRunnerError, match="did not take the result"):
            await scripted(world).run(RUNNER_TOML, job_json)
        return asyncio.get_running_loop().time()

    assert run_virtual(main()) == pytest.approx(1860)


def test_the_final_word_is_repeated_until_it_is_taken() -> None:
    """Spec gitlab-runner-api.md §12.4: 202 with a wait, then 412, then 200."""
    job, world = played(script("exit 42"), final_put_answers=(202, 412))
    finals = world.wire.final_puts()
    assert len(finals) == 3
    assert finals[0] == finals[1] == finals[2]
    whole = f"0-{job.trace_bytes - 1}"
    methods = [request.method for request in world.wire.requests]
    after_412 = world.wire.requests[-2]
    assert (methods[-2:], after_412.headers["Content-Range"]) == (["PATCH", "PUT"], whole)
    assert (job.status, job.exit_code, job.count(LedgerKind.CHECKSUM_MISMATCH)) == ("failed", 42, 0)


def test_a_pause_that_the_coordinator_asks_for_is_made() -> None:
    async def main() -> list[int]:
        world = hosts(clock=virtual_now)
        _, job_json = world.handed_out(script("sleep 1000"))
        world.wire.answers = [httpx.Response(429, headers={"Retry-After": "600"})]
        counts: list[int] = []
        for moment in (590, 610):
            asyncio.get_running_loop().call_later(moment, lambda: counts.append(len(world.wire.patches())))
        await scripted(world).run(RUNNER_TOML, job_json)
        return counts

    assert run_virtual(main()) == [1, 2]
