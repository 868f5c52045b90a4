"""clever-docker explains, over sockets, why a launched host may be silent; and what the cloud refused."""

# ruff: noqa: F401, F811 - fixtures are imported

import asyncio
from datetime import timedelta

import pytest

from executors.clever.refusals import advice
from paas_runner.errors import Rejected, Transient
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer
from tests.executors.test_lost_hosts import NO_LOG, ORDER, busy, executor, launched
from tests.support.host_values import provisioned

SOON = timedelta(seconds=60)


async def silent(executor, clever, until):
    """A launched host, once its machine is as far as that."""
    host = await executor.provision(ORDER)
    await executor.launch(ORDER, host)
    [application] = clever.cloud.applications(clever.organisation)
    async with asyncio.timeout(60):
        while until not in {str(instance.state) for instance in application.instances.values()}:
            await asyncio.sleep(0.01)
    return host, application


@pytest.mark.parametrize(
    ("cloud_options", "state", "words"),
    [
        (CloudOptions(stuck=True), "BOOTING", "no room for flavor M in zone par"),
        (CloudOptions(boot_delay=SOON), "BOOTING", "no room for flavor M in zone par"),
        (CloudOptions(boot_delay=timedelta(seconds=0.6)), "STARTING", "the machine is up, but"),
        (CloudOptions(build_delay=SOON), "DEPLOYING", "takes long to be fetched or built"),
        (CloudOptions(), "TASK_IN_PROGRESS", "does not reach the coordinator"),
        (CloudOptions(task_running_shown=True), "TASK_IN_PROGRESS", "does not reach the coordinator"),
    ],
)
async def test_a_silent_host_is_explained_by_its_machine(clever, executor, busy, state, words):
    host, application = await silent(executor, clever, state)
    account = await executor.silence(provisioned(host))
    assert f"its machine is {state}" in account
    assert words in account
    assert f"{application.id} {application.current.uuid}" in account
    assert "flavor M in zone par, at 20" in account
    assert await executor.trouble(provisioned(host)) is None, "an explanation is no verdict"


@pytest.mark.parametrize("cloud_options", [CloudOptions(build_delay=SOON)])
async def test_the_log_of_a_slow_build_is_shown_as_far_as_it_is(clever, executor):
    host, _ = await silent(executor, clever, "DEPLOYING")
    assert "  The last lines of its own log:\n    Deploying commit ID " in await executor.silence(
        provisioned(host)
    )
    clever.cloud.options = CloudOptions(logs_refused=True)
    assert NO_LOG in await executor.silence(provisioned(host))


@pytest.mark.parametrize(
    "cloud_options",
    [CloudOptions(credit=False), CloudOptions(deployment_delay=SOON)],
    ids=["credit", "delay"],
)
async def test_a_push_without_a_deployment_is_described_as_such(executor):
    host = await executor.provision(ORDER)
    await executor.launch(ORDER, host)
    account = await executor.silence(provisioned(host))
    assert "took the push, but lists no deployment; the application is SHOULD_BE_DOWN" in account
    assert "no credit or no means of payment" in account
    assert account.splitlines()[-1] == f"  Reference:    {host.ref} (for the operators of this runner)"


@pytest.mark.parametrize("cloud_options", [CloudOptions(build_fails=True)])
async def test_a_host_that_failed_just_now_is_described_as_failed(clever, executor):
    host, _ = await launched(executor, clever, "FAIL")
    assert "ERROR the base image does not exist" in await executor.silence(provisioned(host))


async def test_a_host_that_a_person_removed_is_described_as_removed(clever, executor, busy):
    host, application = await launched(executor, clever, "WIP")
    await clever.cloud.delete(clever.organisation, application.id)
    assert "it no longer knows the application" in await executor.silence(provisioned(host))


async def test_a_cloud_that_does_not_answer_is_not_made_up_for(clever, executor, busy):
    host, _ = await launched(executor, clever, "WIP")
    clever.faults.add(Answer(503), path="**/deployments")
    with pytest.raises(Transient, match="answered 503"):
        await executor.silence(provisioned(host))


@pytest.mark.parametrize(
    ("route", "cause"),
    [("**/instances", "not known to this runner"), ("**/app_*", "does not reach the coordinator")],
)
async def test_what_cannot_be_seen_is_left_out(clever, executor, busy, route, cause):
    host, _ = await silent(executor, clever, "TASK_IN_PROGRESS")
    clever.faults.add(Answer(404, body=b"<html>"), path=route)
    account = await executor.silence(provisioned(host))
    assert "the deployment is WIP" in account
    assert cause in account


@pytest.mark.parametrize("cloud_options", [CloudOptions(exhausted={"par": 400})])
async def test_a_refused_creation_says_what_was_asked_for_and_under_which_name(clever, executor):
    with pytest.raises(Rejected) as caught:
        await executor.provision(ORDER)
    assert caught.value.op == "create the application (flavor heptapod-runner-M, zone par)"
    assert caught.value.text == "There is no capacity left for par, please try again later. (status 400)"
    assert caught.value.advice == advice(400, None)
    assert len(caught.value.reference) == 36
    assert str(caught.value).endswith(f"(status 400) (request {caught.value.reference})")


async def test_a_rate_limit_has_its_reference_too(clever, executor):
    body = b'{"id": 403, "message": "You have performed that request too much."}'
    clever.faults.add(Answer(403, headers={"Sozu-Id": "the-request"}, body=body), method="POST")
    with pytest.raises(Transient, match=r"too much\. \(request the-request\)"):
        await executor.provision(ORDER)
