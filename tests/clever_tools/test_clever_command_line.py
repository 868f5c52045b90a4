"""The real `clever` takes the simulated cloud for the real one; the cloud's own books bear its words out."""

import asyncio
import json
from datetime import timedelta

import pytest

from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.cloud.application import AppState, DeploymentState, InstanceState
from tests.support.clever_command_line import DOCKERFILE, Clever

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
]  # the first run installs the program

OK, FAIL, CANCELLED = DeploymentState.OK, DeploymentState.FAIL, DeploymentState.CANCELLED
WATCHING = "GET /v2/organisations/{organisation}/applications/{application}/deployments/{deployment}"
BUILD_THAT_FAILS = CloudOptions(build_fails=True)
BUILD_WITHOUT_END = CloudOptions(build_delay=timedelta(days=1))
JOB = {"runner.toml": "", "job.json": "{}"}


@pytest.mark.soak
async def test_its_user_is_known_by_the_right_secret_alone(clever: Clever) -> None:
    result = await clever("profile", "--format", "json")
    user = clever.sandbox.cloud.accounts.user_with(clever.sandbox.user_keys.token)
    assert user is not None
    assert (json.loads(result)["id"], json.loads(result)["isTokenValid"]) == (user.id, True)
    refused = await clever.attempt("profile", CLEVER_SECRET="wrong")
    assert (refused.code, "Your token is invalid or has expired" in refused.result) == (1, True)
    refused = await clever.attempt("applications", "list", OAUTH_CONSUMER_SECRET="wrong")
    assert (refused.code, "You're not logged in" in refused.result) == (1, True)
    assert clever.accepted == []


@pytest.mark.soak
async def test_variables_are_set_read_replaced_and_removed(clever: Clever) -> None:
    app = await clever.create("hello")
    await clever("env", "set", "GREETING", "good morning")
    assert app.env == {"GREETING": "good morning"}
    await clever("env", "import", stdin='A="1"\nB="2"\n')
    assert app.env == {"A": "1", "B": "2"}
    await clever("env", "rm", "A")
    assert app.env == {"B": "2"}
    assert 'B="2"' in (await clever("env")).splitlines()
    assert clever.accepted == ["create", "env", "env", "env"]


async def test_a_deployment_is_pushed_watched_shown_and_repeated(clever: Clever) -> None:
    app = await clever.create("hello")
    commit = await clever.commit()
    deployed = await clever("deploy")
    (first,) = app.deployments.values()
    assert (first.commit, first.state, app.state) == (commit, OK, AppState.SHOULD_BE_UP)
    assert f"Deployment started ({first.uuid})" in deployed
    assert "Access your application: https://app-" in deployed
    assert f"hello: running (1*XS,  Commit: {commit})" in await clever("status")

    refused = await clever.attempt("deploy")
    assert (refused.code, "your application is up-to-date" in refused.result) == (1, True)
    await clever("deploy", "--same-commit-policy", "restart")
    restarted = await clever("restart")
    assert f"Deployment started ({app.deployments[3].uuid})" in restarted
    rows = json.loads(await clever("activity", "--format", "json"))
    assert [(row["uuid"], row["state"], row["commit"], row["cause"]) for row in rows] == [
        (row.uuid, row.state, commit, cause)
        for row, cause in zip(app.deployments.values(), ("Git", "Console", "Console"), strict=True)
    ]
    lines = json.loads(await clever("logs", "--format", "json", "--before", "0s"))
    assert [line["message"] for line in lines] == [line.message for line in app.log.after("")]
    entry = clever.sandbox.cloud.ledger.entry(app.id)
    assert (entry.pushes, len(entry.spans)) == (1, 3)


async def test_a_failed_build_is_shown_with_its_log(clever: Clever) -> None:
    app = await clever.create("hello")
    await clever.commit()
    clever.cloud_is(BUILD_THAT_FAILS)
    failed = await clever.attempt("deploy")
    assert failed.code == 1
    assert "Deployment failed. Please check the logs" in failed.result
    assert " FAIL " in await clever("activity")
    assert "the base image does not exist" in await clever("logs", "--before", "0s")
    assert [row.state for row in app.deployments.values()] == [FAIL]


@pytest.mark.soak
async def test_a_task_is_over_when_its_container_ends(clever: Clever) -> None:
    app = await clever.create("hello", "--task", "the image's own")
    await clever.commit({**DOCKERFILE, **JOB})
    await clever("deploy")
    assert "The program ended with exit code 0" in await clever("logs", "--before", "0s")
    assert [row.state for row in app.deployments.values()] == [OK]
    assert {instance.state for instance in app.instances.values()} == {InstanceState.DELETED}
    assert json.loads(await clever("status", "--format", "json"))["lifetime"] == "TASK"


@pytest.mark.soak
async def test_a_deployment_is_canceled_while_it_is_watched(clever: Clever) -> None:
    """Its log says nothing for longer than the four seconds after which a silent stream is given up."""
    app = await clever.create("hello")
    commit = await clever.commit()
    clever.cloud_is(BUILD_WITHOUT_END)
    watched = asyncio.create_task(clever.attempt("deploy", CLEVER_VERBOSE="1"))
    async with asyncio.timeout(60):
        while not clever.sandbox.cloud.ledger.requests[WATCHING]:
            await asyncio.sleep(0.05)
    assert app.current is not None
    assert "Deployment in progress" in await clever("status")
    cancelled = await clever("cancel-deploy")
    assert f"Deployment {app.current.uuid} successfully cancelled!" in cancelled
    finished = await watched
    assert finished.code == 1
    assert "Deployment was cancelled. Please check the activity" in finished.result
    assert [row.state for row in app.deployments.values()] == [CANCELLED]
    assert {instance.state for instance in app.instances.values()} == {InstanceState.DELETED}
    assert f"Deploying commit ID {commit}" in finished.result
    assert "Logs stream (error)" not in finished.result


async def test_an_application_is_listed_scaled_stopped_and_deleted(clever: Clever) -> None:
    app = await clever.create("hello", "--region", "mtl")
    ((listed,),) = [
        organisation["applications"]
        for organisation in json.loads(await clever("applications", "list", "--format", "json"))
    ]
    assert (listed["app_id"], listed["name"], listed["zone"]) == (app.id, "hello", "mtl")
    assert (await clever("domain")).strip() == f"{app.id.replace('_', '-')}.cleverapps.io/"

    await clever("scale", "--flavor", "M", "--instances", "2")
    assert (app.definition.max_flavor.name, app.definition.fields["maxInstances"]) == ("M", 2)
    await clever.commit()
    await clever("deploy", "--exit-on", "deploy-start")
    await clever("stop")
    assert app.state is AppState.SHOULD_BE_DOWN
    assert json.loads(await clever("status", "--format", "json"))["status"] == "stopped"

    assert "Application hello successfully deleted!" in await clever("delete", "--yes")
    assert clever.sandbox.cloud.ledger.alive == ()
    gone = await clever.attempt("status", "--app", "hello")
    assert (gone.code, "Application not found" in gone.result) == (1, True)
    assert clever.accepted == ["create", "update", "push", "stop", "delete"]
    by = {call.by for call in clever.sandbox.cloud.ledger.calls}
    assert by == {clever.sandbox.user_keys.token}


@pytest.mark.soak
async def test_what_is_not_on_offer_is_refused_in_the_cloud_s_words(clever: Clever) -> None:
    refused = await clever.attempt("create", "--type", "docker", "--region", "atlantis", "hello")
    assert (refused.code, "unknown zone" in refused.result) == (1, True)
    assert clever.accepted == []
