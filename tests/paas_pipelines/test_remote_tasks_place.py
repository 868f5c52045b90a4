"""A task that is a job: what it is made of, how its end comes back, and what outlives a crash."""

import asyncio
from datetime import timedelta

import pytest
import structlog
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.tasks.job_server import admin_token, registration_token
from paas_pipelines.tasks.remote import RemotePlace

from paas_runner.secret import Secret
from tests.support.remote_tasks import FEATURES, SECRET, remote_world

WRONG = 'template: interpolate:1:8: executing "interpolate" at <.x>: map has no entry for key "x"'


@pytest.fixture
async def world():
    async with remote_world() as world:
        yield world


async def test_a_task_that_no_runner_takes_is_told_in_the_log(world):
    """To its user it runs: whoever reads the log learns that it waits, and for whom."""
    world.add_runner()
    with structlog.testing.capture_logs() as told:
        waiting = world.begin(world.schedule(runner="big"))
        others = world.begin(world.schedule())
        await world.acquired(world.add_runner())
    [said] = [each for each in told if each["log_level"] == "warning"]
    assert said["event"].startswith("no runner takes this task")
    assert (said["run"], said["task"], said["runner"]) == ("run-1", "build", "big")
    assert not waiting.done()
    assert not others.done()


async def test_a_job_has_the_script_the_environment_and_nothing_of_the_variables(world):
    run = world.schedule(
        variables={"site": "x.example", "evil": "\ud800"},
        env={"A": "$B", "C": "pipeline"},
        script=("deploy {{ .site }} {{ .evil }}", "echo $A"),
        image="debian:12",
        timeout=timedelta(minutes=20),
    )
    world.begin(run)
    job = await world.acquired(world.add_runner())
    [step] = job["steps"]
    [script] = step["script"]
    assert "deploy x.example" in script
    own = [each for each in job["variables"] if not each["key"].startswith(("CI", "GITLAB_"))]
    assert [(each["key"], each["value"], each.get("raw", False)) for each in own] == [
        ("A", "$B", True),
        ("C", "pipeline", True),
        ("TASK_NAME", "build", True),
        ("GIT_STRATEGY", "none", False),
        ("PAAS_RUN_ID", "run-1", True),
    ]
    assert (job["job_info"]["name"], job["job_info"]["stage"]) == ("build", "release it")
    assert job["job_info"]["project_full_path"] == "pipelines/release-it"
    assert job["git_info"]["repo_url"] is None
    assert len(job["git_info"]["sha"]) == 40
    assert (job["image"]["name"], job["runner_info"]["timeout"]) == ("debian:12", 1200)


@pytest.mark.parametrize(
    ("report", "end"),
    [
        ({"state": "success"}, TaskEnd()),
        ({"state": "failed", "failure_reason": "script_failure", "exit_code": 3}, TaskEnd(exit_code=3)),
        ({"state": "failed", "failure_reason": "script_failure"}, TaskEnd(exit_code=1)),
        ({"state": "failed", "failure_reason": "script_failure", "exit_code": 10**30}, TaskEnd(exit_code=1)),
        (
            {"state": "failed", "failure_reason": "runner_system_failure"},
            TaskEnd(error="the runner or its host failed, not the script"),
        ),
        (
            {"state": "failed", "failure_reason": "job_execution_timeout"},
            TaskEnd(error="it took longer than its timeout of 90 s"),
        ),
        (
            {"state": "failed", "failure_reason": "of_another_world"},
            TaskEnd(error="the runner told no reason that is known"),
        ),
    ],
)
async def test_the_end_of_the_job_is_the_end_of_the_task(world, report, end):
    running = world.begin(world.schedule(timeout=timedelta(seconds=90)))
    job = await world.acquired(world.add_runner())
    assert (await world.put(job, **report)).status_code == 200
    assert await running == end


async def test_a_script_that_cannot_be_rendered_is_an_error_and_no_job(world):
    """P058 elsewhere."""
    assert await world.begin(world.schedule(script=("echo {{ .x }}",))) == TaskEnd(error=WRONG)
    assert not world.coordinator.jobs


@pytest.mark.parametrize(
    ("tolerant", "code", "end"),
    [
        (False, 0, TaskEnd(error=WRONG)),
        (False, 3, TaskEnd(exit_code=3)),
        (True, 3, TaskEnd(exit_code=3, error=WRONG)),
    ],
)
async def test_what_stands_before_an_error_in_the_script_is_run(world, tolerant, code, end):
    running = world.begin(world.schedule(script=("echo a", "echo {{ .x }}"), allow_failure=tolerant))
    job = await world.acquired(world.add_runner())
    await world.put(job, "failed" if code else "success", failure_reason="script_failure", exit_code=code)
    assert await running == end


async def test_a_job_is_noted_in_its_run_before_anything_else_can_happen(world):
    run = world.schedule()
    world.begin(run)
    await asyncio.sleep(0)
    [job_id] = world.coordinator.jobs
    assert world.engine.book.run(run.run_id).task("build").job_id == job_id


async def test_after_a_crash_the_job_is_followed_and_not_submitted_again(world):
    run = world.schedule()
    first = world.begin(run)
    job = await world.acquired(world.add_runner())
    first.cancel()
    second = world.begin(run, RemotePlace(world.coordinator, world.engine))
    await asyncio.sleep(0)
    await world.put(job, "success")
    assert await second == TaskEnd()
    assert await world.begin(run) == TaskEnd()  # and once more, after its end
    assert len(world.coordinator.jobs) == 1


async def test_a_job_that_is_gone_is_an_error(world):
    run = world.schedule()
    world.engine.submitted(run.run_id, "build", 77)
    assert await world.begin(run) == TaskEnd(error="its job 77 is not known any more")


async def test_a_stopped_task_that_waits_ends_at_once_and_is_never_handed_out(world):
    running = world.begin(world.schedule())
    await asyncio.sleep(0.01)
    world.stop.set()
    assert await running == TaskEnd(stopped=True)
    assert (await world.poll(world.add_runner())).status_code == 204


async def test_a_task_that_is_stopped_before_it_began_is_no_job(world):
    world.stop.set()
    assert await world.begin(world.schedule()) == TaskEnd(stopped=True)
    assert not world.coordinator.jobs


async def test_a_stopped_task_is_wound_down_by_its_runner(world):
    running = world.begin(world.schedule())
    job = await world.acquired(world.add_runner())
    world.stop.set()
    await asyncio.sleep(0.01)
    answer = await world.put(job, "running")
    assert (answer.headers["job-status"], running.done()) == ("canceling", False)
    await world.put(job, "failed", failure_reason="script_failure", exit_code=130)
    assert await running == TaskEnd(stopped=True, exit_code=130)


async def test_a_runner_that_does_not_wind_down_is_not_waited_for_for_ever(world):
    run = world.schedule()
    place = RemotePlace(world.coordinator, world.engine, grace_seconds=0.05)
    running = world.begin(run, place)
    job = await world.acquired(world.add_runner())
    world.stop.set()
    assert await running == TaskEnd(stopped=True)
    assert (await world.put(job, "running")).status_code == 403


async def test_a_job_that_somebody_cancels_at_the_coordinator_is_an_error(world):
    running = world.begin(world.schedule())
    await asyncio.sleep(0.01)
    headers = {"PRIVATE-TOKEN": admin_token(SECRET).reveal()}
    path = "/api/v4/projects/pipelines%2Frelease-it/jobs/1/cancel"
    assert (await world.http.post(path, headers=headers)).status_code == 201
    assert await running == TaskEnd(error="its job was canceled at the coordinator")


async def test_a_reservation_that_its_runner_never_confirms_goes_to_another(world):
    running = world.begin(world.schedule())
    runner = world.add_runner()
    features = FEATURES | {"two_phase_job_commit": True}
    first = await world.acquired(runner, features=features)
    world.clock.ahead = timedelta(minutes=3)
    world.coordinator.expire()
    second = await world.acquired(runner)
    assert second["id"] != first["id"]
    await world.put(second, "success")
    assert await running == TaskEnd()


@pytest.mark.parametrize(
    ("runner", "wanted", "suits"),
    [
        ({"description": "far"}, "far", True),
        ({"description": "other", "tags": ("x", "far")}, "far", True),
        ({"description": "other", "tags": ("x",)}, "far", False),
        ({"description": "other"}, None, True),
        ({"description": "other", "tags": ("x",), "runs_untagged": False}, None, False),
        ({"description": "far", "paused": True}, "far", False),
    ],
)
async def test_a_task_goes_to_runners_that_are_called_so_or_have_the_tag(world, runner, wanted, suits):
    world.begin(world.schedule(runner=wanted, image="debian:12"))
    await asyncio.sleep(0.01)
    answer = await world.poll(world.add_runner(**runner))
    assert answer.status_code == (201 if suits else 204)


def test_tokens_follow_from_the_secret_and_do_not_show_it():
    tokens = {registration_token(SECRET).reveal(), admin_token(SECRET).reveal()}
    assert len(tokens) == 2
    assert tokens == {registration_token(SECRET).reveal(), admin_token(SECRET).reveal()}
    assert registration_token(Secret("another-secret-of-ours")).reveal() not in tokens
    assert not any(SECRET.reveal() in token for token in tokens)


async def test_a_runner_is_registered_with_the_token_and_only_with_it(world):
    given = {"description": "far", "tag_list": "a,b", "run_untagged": False}
    good = {"token": registration_token(SECRET).reveal(), **given}
    answer = await world.http.post("/api/v4/runners", json=good)
    assert answer.status_code == 201
    record = world.coordinator.runners.get(answer.json()["id"])
    assert (record.tags, record.runs_untagged) == (("a", "b"), False)
    assert (await world.http.post("/api/v4/runners", json={"token": "x", **given})).status_code == 403
    gone = await world.http.request("DELETE", "/api/v4/runners", json={"token": answer.json()["token"]})
    assert gone.status_code == 204
    assert (await world.poll(record)).status_code == 403


async def test_no_answer_goes_out_before_the_disk_has_what_it_tells():
    class SlowJournal:
        def __init__(self):
            self.written = asyncio.Event()

        trouble = ""

        def put(self, kind, key, text): ...

        async def flushed(self):
            await self.written.wait()

    journal = SlowJournal()
    async with remote_world(journal) as world:
        world.begin(world.schedule())
        await asyncio.sleep(0.01)
        asking = asyncio.create_task(world.poll(world.add_runner()))
        await asyncio.sleep(0.05)
        assert world.coordinator.jobs[1].status == "running"
        assert not asking.done()
        journal.written.set()
        assert (await asking).status_code == 201


async def test_a_body_without_end_is_refused(world):
    async def endless():
        for _ in range(64):
            yield b"x" * 1024 * 1024

    answer = await world.http.post("/api/v4/jobs/request", content=endless())
    assert answer.status_code == 413
