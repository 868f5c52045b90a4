"""clever-docker notices, over sockets, that a launched host cannot go on."""

import asyncio
from datetime import timedelta

import pytest

from executors.clever import CleverDocker
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.job.tracked import HostName
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, Garbage
from tests.support.host_values import provisioned
from tests.support.records import payload

SECTION = RunnerSection(
    name="clever",
    url="https://gitlab.example",
    short_token="abc123xyz",
    forwarded={"docker": {"image": "debian:12"}},
    installation="installation-1",
)
NO_LOG = "Its own log:  not available to this runner"
ORDER = HostRequest(host_name=HostName("hpd-job-abc123xyz-42"), payload=payload(42))


@pytest.fixture
async def executor(clever, connect):
    settings = CleverSettings(cc_api_url=clever.url, cc_orga_id=clever.organisation, cc_token=clever.token)
    made = CleverDocker(second_look_after=timedelta(seconds=0.05)).build(settings, SECTION, connect)
    yield made
    await made.aclose()


@pytest.fixture
def busy(clever):
    """The program of a host goes on until it is killed."""

    async def program(_files):
        await asyncio.Event().wait()

    clever.cloud._platform.program = program


async def launched(executor, clever, state):
    host = await executor.provision(ORDER)
    await executor.launch(ORDER, host)
    [application] = clever.cloud.applications(clever.organisation)
    async with asyncio.timeout(60):
        while not (application.current and application.current.state == state):
            await asyncio.sleep(0.01)
    return host, application


def reading(clever):
    return sum(count for route, count in clever.requests.items() if route.startswith("GET") and "{" in route)


@pytest.mark.parametrize("cloud_options", [CloudOptions(), CloudOptions(task_running_shown=True)])
async def test_a_host_that_is_well_costs_one_request(clever, executor, busy, cloud_options):
    state = "TASK_RUNNING" if cloud_options.task_running_shown else "WIP"
    host, _ = await launched(executor, clever, state)
    before = reading(clever)
    assert await executor.trouble(provisioned(host)) is None
    assert reading(clever) == before + 1


@pytest.mark.parametrize("cloud_options", [CloudOptions(deployment_delay=timedelta(seconds=60))])
async def test_a_host_whose_deployment_is_not_listed_yet_is_waited_for(executor):
    host = await executor.provision(ORDER)
    await executor.launch(ORDER, host)
    assert await executor.trouble(provisioned(host)) is None


async def test_an_application_that_a_person_removed_is_missed(clever, executor, busy):
    host, application = await launched(executor, clever, "WIP")
    await clever.cloud.delete(clever.organisation, application.id)
    assert "removed by someone else" in await executor.trouble(provisioned(host))


@pytest.mark.parametrize("cloud_options", [CloudOptions(build_fails=True)])
async def test_a_failed_build_is_described_with_the_end_of_its_log(clever, executor):
    host, application = await launched(executor, clever, "FAIL")
    account = await executor.trouble(provisioned(host))
    assert account.startswith("The host of this job failed.\n  Asked for:    flavor M in zone par, at 20")
    assert "the deployment is FAIL, begun " in account
    assert "the image of the inner runner cannot be fetched from its registry" in account
    assert "    ERROR the base image does not exist\n    Deploy failed in 0 seconds" in account
    assert f"{application.id} {application.current.uuid}" in account
    assert "\x1b" not in account
    assert "canary" not in account


@pytest.mark.parametrize("cloud_options", [CloudOptions(build_fails=True, logs_refused=True)])
async def test_a_log_that_is_refused_keeps_nothing_else_quiet(clever, executor):
    host, _ = await launched(executor, clever, "FAIL")
    account = await executor.trouble(provisioned(host))
    assert "the deployment is FAIL" in account
    assert NO_LOG in account


@pytest.mark.parametrize("cloud_options", [CloudOptions(build_fails=True)])
@pytest.mark.parametrize("fault", [Answer(500), Answer(404), Answer(200, body=b"<html>"), Garbage()], ids=str)
async def test_a_log_that_cannot_be_read_keeps_nothing_else_quiet(clever, executor, fault):
    host, _ = await launched(executor, clever, "FAIL")
    clever.faults.add(fault, path="/v4/**")
    assert NO_LOG in await executor.trouble(provisioned(host))


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_machine_that_died_is_missed(clever, executor, busy, replaced):
    host, application = await launched(executor, clever, "WIP")
    clever.cloud.lose_instance(application, replaced=replaced)
    account = await executor.trouble(provisioned(host))
    assert "the deployment is FAIL" in account
    assert ("was lost" in account) == ("DEPLOY (Monitoring/Unreachable)" in account) == replaced


async def test_a_task_that_ended_well_has_a_host_no_more(clever, executor):
    host, _ = await launched(executor, clever, "OK")
    account = await executor.trouble(provisioned(host))
    assert "stopped before the job had ended" in account
    assert "the deployment is OK" in account
    assert "it has no machine" in account


async def test_a_canceled_deployment_is_described_as_such(clever, executor, busy):
    host, application = await launched(executor, clever, "WIP")
    await clever.cloud.stop(application)
    account = await executor.trouble(provisioned(host))
    assert "was stopped" in account
    assert "the deployment is CANCELLED" in account


async def test_what_does_not_hold_for_a_second_look_is_nothing(clever, executor, busy):
    host, _ = await launched(executor, clever, "WIP")
    body = b'{"id": 4004, "message": "The application does not exist.", "type": "error"}'
    clever.faults.add(Answer(404, body=body), path="**/deployments", times=1)
    assert await executor.trouble(provisioned(host)) is None


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Answer(503, headers={"Retry-After": "60"}), Transient),
        (Answer(401, body=b'{"id": 2001, "message": "Not connected"}'), Rejected),
        (Answer(404, body=b"<html>the router knows no such path</html>"), Rejected),
        (Answer(200, body=b"{}"), Transient),
        (Answer(200, body=b'[{"state": "FAIL"}]'), Transient),
    ],
    ids=lambda value: str(value) if isinstance(value, Answer) else "",
)
async def test_a_cloud_that_does_not_answer_properly_says_nothing_of_the_host(
    clever, executor, busy, fault, kind
):
    host, _ = await launched(executor, clever, "WIP")
    clever.faults.add(fault, path="**/deployments")
    with pytest.raises(kind):
        await executor.trouble(provisioned(host))


async def test_what_only_the_account_needs_may_fail_without_ending_the_verdict(clever, executor, busy):
    host, application = await launched(executor, clever, "WIP")
    await clever.cloud.stop(application)
    clever.faults.add(Answer(500), path="**/instances")
    clever.faults.add(Answer(500), path=f"**/applications/{application.id}")
    assert "the deployment is CANCELLED" in await executor.trouble(provisioned(host))
