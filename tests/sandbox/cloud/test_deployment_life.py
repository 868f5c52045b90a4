"""From the push to the end of the instance, in virtual time."""

import asyncio
from datetime import timedelta

import pytest

from paas_runner.sandbox.cloud import Application, CloudRefusedError
from paas_runner.sandbox.cloud.application import AppState, InstanceState, RepoState
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.clouds import FILES, Program, new_application, virtual_cloud

SECOND = timedelta(seconds=1)
SLOW = {"deployment_delay": 5 * SECOND, "boot_delay": 20 * SECOND, "build_delay": 30 * SECOND}


def states(app: Application) -> list[str]:
    return [str(row.state) for row in app.deployments.values()]


def instance_state(app: Application) -> InstanceState:
    return list(app.instances.values())[-1].state


def test_a_repository_takes_pushes_only_once_it_is_created() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program(), repository_delay=3 * SECOND)
        app = new_application(cloud, organisation)
        assert app.repo_state(virtual_now()) is RepoState.CREATING
        with pytest.raises(CloudRefusedError) as refused:
            cloud.received_push(app.id, "c1", FILES)
        assert (refused.value.status, refused.value.number) == (404, 4004)
        await asyncio.sleep(3)
        assert app.repo_state(virtual_now()) is RepoState.CREATED
        cloud.received_push(app.id, "c1", FILES)
        await cloud.aclose()

    run_virtual(story())


def test_a_task_is_deployed_runs_and_goes_away() -> None:
    async def story() -> None:
        program = Program(seconds=100)
        cloud, organisation = virtual_cloud(program, **SLOW)
        app = new_application(cloud, organisation, env={"CC_MOUNT_DOCKER_SOCKET": "true"})
        assert app.state is AppState.SHOULD_BE_DOWN
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(4)
        assert states(app) == []
        await asyncio.sleep(2)
        assert (states(app), instance_state(app)) == (["WIP"], InstanceState.BOOTING)
        assert app.state is AppState.WANTS_TO_BE_UP
        await asyncio.sleep(10)
        assert instance_state(app) is InstanceState.STARTING
        await asyncio.sleep(10)
        assert (instance_state(app), program.running) == (InstanceState.DEPLOYING, 0)
        await asyncio.sleep(30)
        assert (instance_state(app), program.running) == (InstanceState.TASK_IN_PROGRESS, 1)
        assert states(app) == ["WIP"]
        assert program.started[0].files == FILES
        assert program.started[0].environment["CC_MOUNT_DOCKER_SOCKET"] == "true"
        assert program.started[0].environment["APP_ID"] == app.id
        await asyncio.sleep(100)
        assert (states(app), instance_state(app)) == (["OK"], InstanceState.DELETED)
        assert (app.state, app.commit_id) == (AppState.SHOULD_BE_DOWN, "c1")
        assert cloud.ledger.entry(app.id).billed(virtual_now()) == timedelta(seconds=150)

    run_virtual(story())


def test_a_task_that_fails_makes_the_deployment_fail() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program(exit_code=1))
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(20)
        assert (states(app), app.state, app.commit_id) == (["FAIL"], AppState.SHOULD_BE_DOWN, None)

    run_virtual(story())


def test_a_running_task_can_be_shown_as_such() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program(), task_running_shown=True)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(5)
        assert states(app) == ["TASK_RUNNING"]
        await asyncio.sleep(10)
        assert states(app) == ["OK"]

    run_virtual(story())


def test_a_second_push_waits_until_the_task_has_ended() -> None:
    async def story() -> None:
        program = Program(seconds=60)
        cloud, organisation = virtual_cloud(program)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(1)
        cloud.received_push(app.id, "c2", FILES)
        await asyncio.sleep(30)
        assert (states(app), program.running) == (["WIP"], 1)
        await asyncio.sleep(60)
        assert (states(app), program.running) == (["OK", "WIP"], 1)
        await asyncio.sleep(60)
        assert (states(app), cloud.ledger.launches(app.id)) == (["OK", "OK"], 2)

    run_virtual(story())


def test_the_same_commit_again_starts_nothing() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program())
        app = new_application(cloud, organisation)
        for _ in range(3):
            cloud.received_push(app.id, "c1", FILES)
            await asyncio.sleep(60)
        assert (states(app), cloud.ledger.launches(app.id)) == (["OK"], 1)

    run_virtual(story())


def test_deletion_ends_the_program_before_it_answers() -> None:
    async def story() -> None:
        program = Program(seconds=None, cleanup_seconds=7)
        cloud, organisation = virtual_cloud(program)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(5)
        began = virtual_now()
        await cloud.delete(organisation.id, app.id)
        assert virtual_now() - began == timedelta(seconds=7)
        assert (program.running, program.killed) == (0, 1)
        assert (states(app), instance_state(app)) == (["CANCELLED"], InstanceState.DELETED)
        assert app.repo_state(virtual_now()) is RepoState.DELETED

    run_virtual(story())


def test_a_deleted_application_is_unknown_to_every_later_call() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program())
        app = new_application(cloud, organisation)
        await cloud.delete(organisation.id, app.id)
        with pytest.raises(CloudRefusedError) as again:
            await cloud.delete(organisation.id, app.id)
        with pytest.raises(CloudRefusedError) as pushed:
            cloud.received_push(app.id, "c1", FILES)
        assert again.value.number == pushed.value.number == 4004
        assert cloud.applications(organisation.id) == []

    run_virtual(story())


def test_with_a_deletion_delay_the_application_is_gone_at_once_and_its_instance_later() -> None:
    async def story() -> None:
        program = Program(seconds=None)
        cloud, organisation = virtual_cloud(program, deletion_delay=30 * SECOND)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(5)
        await cloud.delete(organisation.id, app.id)
        assert (cloud.applications(organisation.id), program.running) == ([], 1)
        await asyncio.sleep(31)
        assert program.running == 0
        assert cloud.ledger.billed == timedelta(seconds=35)

    run_virtual(story())


def test_a_caller_that_does_not_wait_leaves_no_half_deleted_application() -> None:
    async def story() -> None:
        program = Program(seconds=None, cleanup_seconds=5)
        cloud, organisation = virtual_cloud(program)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(1)
        caller = asyncio.create_task(cloud.delete(organisation.id, app.id))
        await asyncio.sleep(1)
        caller.cancel()
        await asyncio.sleep(10)
        assert (program.running, program.killed, cloud.ledger.alive) == (0, 1, ())

    run_virtual(story())


def test_a_deployment_in_progress_can_be_canceled_by_number_and_by_uuid() -> None:
    async def story() -> None:
        program = Program(seconds=None)
        cloud, organisation = virtual_cloud(program)
        app = new_application(cloud, organisation)
        for commit in ("c1", "c2"):
            cloud.received_push(app.id, commit, FILES)
            await asyncio.sleep(1)
            row = app.current
            assert row is not None
            cloud.cancel(app, str(row.number) if commit == "c1" else row.uuid)
            await asyncio.sleep(1)
        assert (states(app), program.killed) == (["CANCELLED", "CANCELLED"], 2)
        with pytest.raises(CloudRefusedError):
            cloud.cancel(app, "1")

    run_virtual(story())


def test_stopping_forgets_the_waiting_pushes() -> None:
    async def story() -> None:
        program = Program(seconds=None)
        cloud, organisation = virtual_cloud(program)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(1)
        cloud.received_push(app.id, "c2", FILES)
        await cloud.stop(app)
        await asyncio.sleep(60)
        assert (states(app), app.state, program.running) == (["CANCELLED"], AppState.SHOULD_BE_DOWN, 0)

    run_virtual(story())


def test_without_credit_a_push_is_accepted_and_nothing_ever_happens() -> None:
    async def story() -> None:
        program = Program()
        cloud, organisation = virtual_cloud(program, credit=False)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(3600)
        assert (states(app), program.started) == ([], [])
        assert cloud.ledger.entry(app.id).pushes == 1

    run_virtual(story())


def test_a_build_can_fail() -> None:
    async def story() -> None:
        program = Program()
        cloud, organisation = virtual_cloud(program, build_fails=True)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(60)
        assert (states(app), app.state, program.started) == (["FAIL"], AppState.WANTS_TO_BE_UP, [])
        assert [line.message for line in app.log.after("")][-1].startswith("Deploy failed in")

    run_virtual(story())


def test_a_machine_that_dies_kills_its_program_and_fails_its_deployment() -> None:
    async def story() -> None:
        program = Program(seconds=None)
        cloud, organisation = virtual_cloud(program)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(60)
        cloud.lose_instance(app)
        await asyncio.sleep(60)
        assert (states(app), instance_state(app)) == (["FAIL"], InstanceState.DELETED)
        assert (program.killed, program.running) == (1, 0)
        cloud.lose_instance(app)
        assert cloud.ledger.alive, "the application itself stays"

    run_virtual(story())


def test_a_machine_that_dies_can_be_replaced() -> None:
    async def story() -> None:
        program = Program(seconds=None)
        cloud, organisation = virtual_cloud(program)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(60)
        cloud.lose_instance(app, replaced=True)
        await asyncio.sleep(60)
        assert states(app) == ["FAIL", "WIP"]
        assert [row.cause for row in app.deployments.values()] == ["Git", "Monitoring/Unreachable"]
        assert [row.commit for row in app.deployments.values()] == ["c1", "c1"]
        assert (program.killed, program.running) == (1, 1)
        await cloud.aclose()

    run_virtual(story())


def test_a_tree_without_dockerfile_cannot_be_built() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program())
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", {"job.json": b"{}"})
        await asyncio.sleep(60)
        assert states(app) == ["FAIL"]

    run_virtual(story())


def test_a_stuck_deployment_stays_in_progress_until_the_application_is_deleted() -> None:
    async def story() -> None:
        cloud, organisation = virtual_cloud(Program(), stuck=True)
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(86400)
        assert (states(app), instance_state(app)) == (["WIP"], InstanceState.BOOTING)
        await cloud.delete(organisation.id, app.id)
        assert states(app) == ["CANCELLED"]

    run_virtual(story())


def test_a_program_that_raises_is_a_failed_deployment() -> None:
    async def crash(_: object) -> int:
        raise OSError("no space left")

    async def story() -> None:
        cloud, organisation = virtual_cloud(Program())
        cloud._platform.program = crash
        app = new_application(cloud, organisation)
        cloud.received_push(app.id, "c1", FILES)
        await asyncio.sleep(1)
        assert states(app) == ["FAIL"]

    run_virtual(story())


def test_closing_the_cloud_ends_every_program() -> None:
    async def story() -> None:
        program = Program(seconds=None, cleanup_seconds=2)
        cloud, organisation = virtual_cloud(program, deletion_delay=60 * SECOND)
        apps = [new_application(cloud, organisation) for _ in range(3)]
        for app in apps:
            cloud.received_push(app.id, "c1", FILES)
        cloud.received_push(apps[0].id, "c2", FILES)
        await asyncio.sleep(1)
        await cloud.delete(organisation.id, apps[1].id)
        await cloud.aclose()
        assert (program.running, program.killed, len(asyncio.all_tasks())) == (0, 3, 1)

    run_virtual(story())
