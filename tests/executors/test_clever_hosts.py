"""clever-docker lists its hosts: only ours, and no more of them than it can tell."""

import asyncio
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from executors.clever import KIND
from executors.clever.api import CleverApi
from executors.clever.settings import CleverSettings
from paas_runner.errors import Transient
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.job.tracked import HostName
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.cloud.application import AppState
from paas_runner.sandbox.faults import Garbage
from tests.support.host_values import removal
from tests.support.records import payload

SECTION = RunnerSection(
    name="clever",
    url="https://gitlab.example",
    short_token="abc123xyz",
    forwarded={},
    installation="installation-1",
)


def requested(job_id, runner="abc123xyz"):
    return HostRequest(host_name=HostName(f"hpd-job-{runner}-{job_id}"), payload=payload(job_id))


@pytest.fixture
async def make(clever, connect):
    made = []

    def build(**section):
        settings = CleverSettings(
            cc_api_url=clever.url, cc_orga_id=clever.organisation, cc_token=clever.token
        )
        made.append(KIND.build(settings, attrs.evolve(SECTION, **section), connect))
        return made[-1]

    yield build
    for executor in made:
        await executor.aclose()


def edit_descriptions(clever):
    """As a person at the console may do: the label in the environment remains."""
    for application in clever.cloud.applications(clever.organisation):
        definition = application.definition
        fields = {**definition.fields, "description": "edited"}
        application.definition = attrs.evolve(definition, fields=fields)


def requests(clever):
    return {route: count for route, count in clever.requests.items() if route.startswith("GET /v2/org")}


async def test_a_new_host_is_listed_with_its_age_and_as_idle_in_one_request(clever, make):
    host = await make().provision(requested(42))
    [seen] = await make().hosts("")
    assert (seen.name, seen.ref, seen.busy) == ("hpd-job-abc123xyz-42", host.ref, False)
    assert abs(datetime.now(UTC) - seen.created_at) < timedelta(minutes=1)
    assert list(requests(clever).values()) == [1]


@pytest.mark.parametrize("cloud_options", [CloudOptions(), CloudOptions(env_in_lists=False)])
async def test_hosts_of_others_are_not_listed(make):
    executor = make()
    host = await executor.provision(requested(1))
    await executor.provision(requested(1, runner="abc123xyzw"))
    await executor.provision(requested(1, runner="other"))
    await make(installation="installation-2").provision(requested(2))
    assert [seen.ref for seen in await executor.hosts("")] == [host.ref]


@pytest.mark.parametrize("cloud_options", [CloudOptions(), CloudOptions(env_in_lists=False)])
@pytest.mark.parametrize("edited", [False, True])
async def test_hosts_of_this_runners_name_with_another_label_are_told_with_it(clever, make, edited):
    executor = make()
    await executor.provision(requested(1))
    await executor.provision(requested(2, runner="other"))
    host = await make(installation="installation-2").provision(requested(3))
    if edited:
        edit_descriptions(clever)
    [seen] = await executor.hosts_of_others("")
    assert (seen.ref, seen.installation) == (host.ref, "installation-2")


@pytest.mark.parametrize("cloud_options", [CloudOptions(env_in_lists=False)])
async def test_environments_are_asked_for_of_candidates_alone(clever, make):
    executor = make()
    await executor.provision(requested(1))
    for job_id in range(1, 6):
        await executor.provision(requested(job_id, runner="other"))
    assert len(await executor.hosts("")) == 1
    assert sorted(requests(clever).values()) == [1], "the description is label enough"
    edit_descriptions(clever)
    clever.requests.clear()
    assert len(await executor.hosts("")) == 1
    assert sorted(requests(clever).values()) == [1, 1]


@pytest.mark.parametrize("cloud_options", [CloudOptions(env_in_lists=False)])
async def test_a_host_that_is_deleted_meanwhile_is_not_listed(clever, make, monkeypatch):
    executor = make()
    host = await executor.provision(requested(1))
    edit_descriptions(clever)
    listed = CleverApi.applications

    async def listed_and_deleted(api):
        found = await listed(api)
        await executor.decommission(removal(requested(1).host_name, host, search=False))
        return found

    monkeypatch.setattr(CleverApi, "applications", listed_and_deleted)
    assert await executor.hosts("") == []


@pytest.mark.parametrize(
    ("state", "busy"),
    [(AppState.SHOULD_BE_UP, True), (AppState.WANTS_TO_BE_UP, None), (AppState.SHOULD_BE_DOWN, False)],
)
async def test_the_state_tells_whether_a_host_is_busy_as_far_as_it_can(clever, make, state, busy):
    executor = make()
    await executor.provision(requested(1))
    [application] = clever.cloud.applications(clever.organisation)
    application.state = state
    assert [seen.busy for seen in await executor.hosts("")] == [busy]


async def test_a_host_that_was_deployed_to_and_is_down_is_not_surely_idle(clever, make):
    executor = make()
    host = await executor.provision(requested(1))
    await executor.launch(requested(1), host)
    async with asyncio.timeout(60):
        while not clever.launched:
            await asyncio.sleep(0.01)
    [application] = clever.cloud.applications(clever.organisation)
    assert application.state is AppState.SHOULD_BE_DOWN
    assert [seen.busy for seen in await executor.hosts("")] == [None]


async def test_a_list_that_makes_no_sense_is_no_empty_list(clever, make):
    clever.faults.add(Garbage(), method="GET")
    with pytest.raises(Transient):
        await make().hosts("")
