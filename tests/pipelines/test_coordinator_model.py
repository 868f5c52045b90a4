import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from paas_runner.pipelines.jobs import Job, LedgerKind, Project
from paas_runner.pipelines.reports import StateReport
from paas_runner.pipelines.spec import JobSpec, Pipeline, Retry, RunWhen
from paas_runner.pipelines.states import JobState
from paas_runner.server.waiting import settled
from tests.support.coordinator_world import World
from tests.support.live_records import submitted

STAGES = ("build", "test", "deploy")
ALL = frozenset({"return_exit_code", "cancel_gracefully"})


def acquire(world: World) -> Job:
    job = world.coordinator.acquire(world.runner.runner_id, features=ALL)
    assert job is not None
    return job


def end(world: World, state: str, **more: Any) -> None:
    job = acquire(world)
    assert world.coordinator.update(job.job_id, StateReport(state=state, **more)).status == 200


def test_a_record_that_was_read_does_not_change(world: World) -> None:
    job = world.coordinator.submit_job(JobSpec(name="j"))
    world.coordinator.cancel(job.job_id)
    assert (job.status, world.coordinator.jobs[job.job_id].status) == ("pending", "canceled")


def statuses(world: World) -> dict[str, str]:
    return {job.spec.name: str(job.status) for job in world.coordinator.jobs.values()}


def test_stages_run_one_after_the_other(world: World) -> None:
    jobs = (JobSpec(name="b", stage="build"), JobSpec(name="t", stage="test"))
    world.coordinator.submit(Pipeline(jobs=jobs, stages=STAGES))
    assert statuses(world) == {"b": "pending", "t": "created"}
    end(world, "success")
    assert statuses(world) == {"b": "success", "t": "pending"}


def test_after_a_failure_the_later_stages_are_skipped_but_for_those_that_wait_for_one(world: World) -> None:
    jobs = (
        JobSpec(name="b", stage="build"),
        JobSpec(name="t", stage="test"),
        JobSpec(name="rescue", stage="test", when=RunWhen.ON_FAILURE),
        JobSpec(name="d", stage="deploy"),
    )
    world.coordinator.submit(Pipeline(jobs=jobs, stages=STAGES))
    end(world, "failed", failure_reason="script_failure", exit_code=1)
    assert statuses(world) == {"b": "failed", "t": "skipped", "rescue": "pending", "d": "created"}
    end(world, "success")
    assert statuses(world)["d"] == "skipped"


def test_needs_let_a_job_overtake_its_stage(world: World) -> None:
    jobs = (
        JobSpec(name="slow", stage="build"),
        JobSpec(name="t", stage="test", needs=()),
        JobSpec(name="d", stage="deploy", needs=("t",)),
    )
    world.coordinator.submit(Pipeline(jobs=jobs, stages=STAGES))
    assert statuses(world) == {"slow": "pending", "t": "pending", "d": "created"}


def test_an_allowed_exit_code_lets_the_pipeline_go_on(world: World) -> None:
    jobs = (
        JobSpec(name="lint", stage="build", allowed_exit_codes=frozenset({42})),
        JobSpec(name="t", stage="test"),
    )
    world.coordinator.submit(Pipeline(jobs=jobs, stages=STAGES))
    end(world, "failed", failure_reason="script_failure", exit_code=42)
    assert statuses(world) == {"lint": "failed", "t": "pending"}


def test_a_retried_job_is_a_new_job_with_a_new_token(world: World) -> None:
    first = submitted(
        world.coordinator,
        JobSpec(name="flaky", retry=Retry(times=1, reasons=frozenset({"runner_system_failure"}))),
    )
    end(world, "failed", failure_reason="runner_system_failure")
    again = world.coordinator.latest(first.job_id)
    assert (first.status, again.status, again.retry_of) == ("failed", "pending", first.job_id)
    assert again.token != first.token
    end(world, "failed", failure_reason="runner_system_failure")
    last = world.coordinator.latest(first.job_id)
    assert (last.job_id, last.status, last.retried_as) == (again.job_id, "failed", None)


def test_a_failure_of_another_reason_is_not_retried(world: World) -> None:
    retry = Retry(times=2, reasons=frozenset({"runner_system_failure"}))
    job = submitted(world.coordinator, JobSpec(name="wrong", retry=retry))
    end(world, "failed", failure_reason="script_failure", exit_code=1)
    assert world.coordinator.latest(job.job_id) == job


async def test_waiting_for_a_job_waits_for_its_retries(world: World) -> None:
    job = submitted(world.coordinator, JobSpec(name="flaky", retry=Retry(times=1)))
    waiting = asyncio.ensure_future(settled(world.coordinator, [job.job_id]))
    end(world, "failed")
    await asyncio.sleep(0)
    assert not waiting.done()
    end(world, "success")
    await waiting


def test_a_job_that_needs_more_than_the_runner_can_is_failed_and_the_next_handed_out(world: World) -> None:
    picky = submitted(world.coordinator, JobSpec(name="picky", allowed_exit_codes=frozenset({1})))
    plain = submitted(world.coordinator, JobSpec(name="plain"))
    assert world.coordinator.acquire(world.runner.runner_id) == plain
    assert (picky.status, picky.failure_reason) == ("failed", "runner_unsupported")


def test_the_ledger_tells_a_jobs_story(world: World) -> None:
    job = submitted(world.coordinator, JobSpec(name="j"))
    acquire(world)
    world.coordinator.append_trace(job.job_id, 0, b"hello")
    world.coordinator.append_trace(job.job_id, 5, b" world")
    world.coordinator.update(job.job_id, StateReport(state="running"))
    world.coordinator.update(job.job_id, StateReport(state="success"))
    world.coordinator.update(job.job_id, StateReport(state="success"))
    assert [(entry.kind, entry.detail) for entry in job.ledger] == [
        (LedgerKind.CREATED, ""),
        (LedgerKind.PENDING, ""),
        (LedgerKind.ACQUIRED, "runner 1"),
        (LedgerKind.FIRST_TRACE_BYTE, ""),
        (LedgerKind.PUT, "running"),
        (LedgerKind.PUT, "success"),
        (LedgerKind.ENDED, "success"),
        (LedgerKind.REFUSED, "put success"),
    ]
    assert (job.trace, job.count(LedgerKind.ACQUIRED)) == (b"hello world", 1)


def test_a_silent_job_is_swept_and_a_talking_one_is_not(world: World) -> None:
    silent = submitted(world.coordinator, JobSpec(name="silent"))
    talking = submitted(world.coordinator, JobSpec(name="talking"))
    acquire(world), acquire(world)
    world.clock.advance(minutes=40)
    world.coordinator.update(talking.job_id, StateReport(state="running"))
    world.clock.advance(minutes=40)
    assert world.coordinator.sweep() == [silent.record]
    assert (silent.status, silent.failure_reason) == ("failed", "stuck_or_timeout_failure")
    assert talking.status is JobState.RUNNING


def test_a_stuck_job_that_was_being_canceled_ends_as_canceled(world: World) -> None:
    job = submitted(world.coordinator, JobSpec(name="j"))
    acquire(world)
    world.coordinator.cancel(job.job_id)
    world.clock.advance(hours=2)
    world.coordinator.sweep()
    assert (job.status, job.failure_reason) == ("canceled", None)


def test_a_paused_runner_gets_nothing_until_it_is_resumed(world: World) -> None:
    job = submitted(world.coordinator, JobSpec(name="j"))
    world.coordinator.runners.pause(world.runner.runner_id, paused=True)
    assert world.coordinator.acquire(world.runner.runner_id) is None
    world.coordinator.runners.pause(world.runner.runner_id, paused=False)
    assert world.coordinator.acquire(world.runner.runner_id) == job


def test_an_oversized_trace_fails_the_job(make_world: Callable[..., World]) -> None:
    world = make_world(most_trace_bytes=10)
    job = submitted(world.coordinator, JobSpec(name="j"))
    acquire(world)
    reply = world.coordinator.append_trace(job.job_id, 0, b"x" * 11)
    assert (reply.status, reply.job_status) == (403, None)
    assert job.failure_reason == "trace_size_exceeded"


def test_the_same_seed_gives_the_same_tokens(make_world: Callable[..., World]) -> None:
    worlds = [make_world(), make_world()]
    tokens = [w.coordinator.submit_job(JobSpec(name="j")).token.reveal() for w in worlds]
    assert tokens[0] == tokens[1]


def test_a_job_of_another_project_carries_its_own_namespace(world: World) -> None:
    job = submitted(
        world.coordinator,
        JobSpec(name="j", timeout=timedelta(minutes=5)),
        Project(project_id=9, full_path="other/sub/app"),
    )
    assert (job.project.root_namespace, job.project.namespace) == ("other", "other/sub")
    assert world.coordinator.groups.attributes("other") == {}
