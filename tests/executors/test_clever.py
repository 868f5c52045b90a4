"""clever-docker against a simulated Clever Cloud over sockets: each verb, and each verb twice."""

import asyncio
import json
import tomllib
from datetime import timedelta

import attrs
import pytest

from executors.clever import KIND
from executors.clever.applications import OWNER_VARIABLE
from executors.clever.settings import CleverSettings
from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import HostRequest, JobRefusedError, RunnerSection
from paas_runner.job.failure import FailureReason
from paas_runner.job.tracked import HostName
from paas_runner.job.use import HOST_VARIABLE, flavors_in
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, DropAfter, DropBefore
from paas_runner.secret import Secret
from tests.support.host_values import provisioned, removal
from tests.support.records import payload

SECTION = RunnerSection(
    name="clever",
    url="https://gitlab.example",
    short_token="abc123xyz",
    forwarded={"docker": {"image": "debian:12"}, "environment": ["A=b"]},
    installation="installation-1",
)


def requested(job_id=42, **variables):
    entries = [{"key": key, "value": value} for key, value in variables.items()]
    return HostRequest(
        host_name=HostName(f"hpd-job-abc123xyz-{job_id}"), payload=payload(job_id, variables=entries)
    )


@pytest.fixture
async def make(clever, connect):
    made = []

    def build(**settings):
        section = attrs.evolve(SECTION, installation=settings.pop("installation", SECTION.installation))
        keys = {
            "cc_api_url": clever.url,
            "cc_orga_id": clever.organisation,
            "cc_token": clever.token,
            "cc_extra_env": {"CC_ENABLE_HEPTAPOD_RUNNER": "true"},
        }
        made.append(KIND.build(CleverSettings(**(keys | settings)), section, connect))
        return made[-1]

    yield build
    for executor in made:
        await executor.aclose()


def alive(clever):
    return list(clever.cloud.ledger.alive)


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_host_is_a_task_of_the_wanted_flavor_with_its_whole_environment(clever, make):
    host = await make().provision(requested(CI_CLEVER_CLOUD_FLAVOR="L"))
    [application] = clever.cloud.applications(clever.organisation)
    definition = application.definition
    assert host.ref == application.id
    assert host.flavor == "L"
    assert definition.name == "hpd-job-abc123xyz-42"
    assert definition.max_flavor.name == "heptapod-runner-L"
    told = application.env.pop(HOST_VARIABLE)
    assert [size.name for size in flavors_in(told).smaller] == ["XS", "S", "M"]
    assert application.env == {
        "CC_MOUNT_DOCKER_SOCKET": "true",
        "CC_ENABLE_HEPTAPOD_RUNNER": "true",
        OWNER_VARIABLE: "installation-1",
    }


async def test_a_host_costs_four_requests_to_the_api_and_the_catalogue_is_read_once(clever, make):
    executor = make()
    for job_id in (1, 2, 3):
        host = await executor.provision(requested(job_id))
        assert await executor.ready(provisioned(host))
        await executor.decommission(removal(requested(job_id).host_name, host, search=False))
    api = {route: count for route, count in clever.requests.items() if "/v2/" in route}
    assert sorted(api.values()) == [1, 1, 3, 3, 3], api


@pytest.mark.parametrize("cloud_options", [CloudOptions(env_at_creation=False)])
async def test_a_cloud_that_ignores_the_environment_at_creation_gets_it_again(clever, make):
    await make().provision(requested())
    [application] = clever.cloud.applications(clever.organisation)
    assert application.env[OWNER_VARIABLE] == "installation-1"


UNKNOWN = Answer(404, body=b'{"id": 4004, "message": "The application does not exist.", "type": "error"}')


async def test_an_application_that_is_not_known_everywhere_yet_is_waited_for(clever, make):
    executor = make()
    host = await executor.provision(requested())
    clever.faults.add(UNKNOWN, path=f"**/applications/{host.ref}", times=2)
    assert [await executor.ready(provisioned(host)) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize("cloud_options", [CloudOptions(env_at_creation=False)])
async def test_an_environment_that_cannot_be_set_yet_is_set_when_the_application_is_found_again(clever, make):
    executor = make()
    clever.faults.add(UNKNOWN, method="PUT", path="**/env", times=1)
    with pytest.raises(Transient, match="does not exist"):
        await executor.provision(requested())
    assert await executor.adopt(requested())
    [application] = clever.cloud.applications(clever.organisation)
    assert application.env[OWNER_VARIABLE] == "installation-1"


@pytest.mark.parametrize("cloud_options", [CloudOptions(repository_delay=timedelta(seconds=0.2))])
async def test_a_host_is_ready_when_its_repository_exists(make):
    executor = make()
    host = await executor.provision(requested())
    assert not await executor.ready(provisioned(host))
    await asyncio.sleep(0.25)
    assert await executor.ready(provisioned(host))


async def test_the_launched_host_has_the_job_and_nothing_of_the_providers(clever, make):
    executor = make()
    wanted = requested(SECRET="of the job")
    host = await executor.provision(wanted)
    await executor.launch(wanted, host)
    await until(lambda: clever.launched)
    files = clever.launched[0].files
    assert set(files) == {"Dockerfile", "runner.toml", "job.json"}
    assert json.loads(files["job.json"]) == wanted.payload.raw
    assert tomllib.loads(files["runner.toml"].decode())["runners"] == [
        {
            "name": "clever",
            "url": "https://gitlab.example",
            "token": "abc123xyz",
            "executor": "docker",
            "docker": {"image": "debian:12"},
            "environment": ["A=b"],
        }
    ]
    assert b"FROM registry.heptapod.net:443/heptapod/heptapod-runner/runner:0.7.0\n" in files["Dockerfile"]
    assert b"cloud-token-canary" not in b"".join(files.values())


async def test_launching_again_launches_nothing(clever, make):
    executor = make()
    host = await executor.provision(requested())
    for _ in range(3):
        await executor.launch(requested(), host)
    await until(lambda: clever.launched)
    await asyncio.sleep(0.05)
    assert len(clever.launched) == 1


async def test_launching_the_job_with_another_configuration_launches_nothing(clever, make):
    host = await make().provision(requested())
    await make().launch(requested(), host)
    await make(heptapod_runner_main_image="other:1").launch(requested(), host)
    await until(lambda: clever.launched)
    await asyncio.sleep(0.05)
    assert len(clever.launched) == 1


async def test_a_refused_push_is_rejected_and_tells_no_credentials(make):
    executor = make()
    host = await executor.provision(requested())
    other = make(cc_token=Secret("revoked-token-canary"))
    with pytest.raises(Rejected, match="credentials were refused") as caught:
        await other.launch(requested(), host)
    assert "canary" not in str(caught.value) + repr(caught.value.__cause__)


@pytest.mark.parametrize("cloud_options", [CloudOptions(repository_delay=timedelta(seconds=30))])
async def test_a_push_before_the_repository_exists_may_be_tried_again(make):
    executor = make()
    host = await executor.provision(requested())
    with pytest.raises(Transient):
        await executor.launch(requested(), host)


@pytest.mark.parametrize("url", ["", "ssh://push.example/x.git", "file:///etc", "https://u:p@push.example/x"])
async def test_a_strange_remote_gets_no_credentials(make, url):
    executor = make()
    host = await executor.provision(requested())
    with pytest.raises(Rejected, match="git remote"):
        await executor.launch(requested(), attrs.evolve(host, details={"deploy_url": url}))


async def test_a_host_whose_answer_was_lost_is_found_again(clever, make):
    clever.faults.add(DropAfter(), method="POST", times=1)
    executor = make()
    with pytest.raises(Transient):
        await executor.provision(requested())
    host = await executor.adopt(requested())
    assert [entry.app_id for entry in alive(clever)] == [host.ref]


async def test_an_adopted_host_gets_the_environment_that_a_crash_withheld(clever, make):
    """The label in its description is there from the first moment, so it is ours even without environment."""
    clever.cloud.options = CloudOptions(env_at_creation=False)
    clever.faults.add(DropBefore(), method="PUT", times=3)
    executor = make()
    with pytest.raises(Transient):
        await executor.provision(requested())
    host = await executor.adopt(requested())
    [application] = clever.cloud.applications(clever.organisation)
    assert (host.ref, application.env[OWNER_VARIABLE]) == (application.id, "installation-1")


async def test_nothing_is_adopted_that_another_installation_made(clever, make):
    await make(installation="installation-2").provision(requested())
    executor = make()
    assert await executor.adopt(requested()) is None
    await executor.decommission(removal(requested().host_name, search=True))
    assert len(alive(clever)) == 1


async def test_decommissioning_twice_is_a_success(clever, make):
    executor = make()
    host = await executor.provision(requested())
    for _ in range(2):
        await executor.decommission(removal(requested().host_name, host, search=True))
    assert alive(clever) == []


async def test_a_search_removes_every_host_of_the_job_and_no_other(clever, make):
    executor = make()
    for job_id in (1, 1, 2):
        await executor.provision(requested(job_id))
    await executor.decommission(removal(requested(1).host_name, search=True))
    assert [entry.name for entry in alive(clever)] == ["hpd-job-abc123xyz-2"]


@pytest.mark.parametrize(
    ("settings", "wanted", "words"),
    [
        ({}, "XXL", 'The flavor "XXL" does not exist'),
        ({}, "4XL", 'The flavor "4XL" does not exist'),
        ({"cc_max_flavor": "M"}, "L", 'The flavor "L" is larger than this runner allows'),
    ],
)
async def test_a_flavor_that_cannot_be_had_is_the_authors_to_change(clever, make, settings, wanted, words):
    with pytest.raises(JobRefusedError, match=words) as caught:
        await make(**settings).provision(requested(CI_CLEVER_CLOUD_FLAVOR=wanted))
    assert caught.value.failure.reason is FailureReason.SCRIPT
    assert "Choices: XS, S, M" in caught.value.failure.text
    assert alive(clever) == []


async def test_a_default_flavor_that_cannot_be_had_is_the_operators_to_change(make):
    with pytest.raises(Rejected, match="the default flavor"):
        await make(cc_default_flavor="9XL").provision(requested())


async def test_wrong_credentials_are_rejected_in_the_clouds_own_words(make):
    executor = make(cc_token=Secret("wrong-token-canary"))
    with pytest.raises(Rejected, match="Not connected") as caught:
        await executor.provision(requested())
    assert caught.value.status == 401
    assert "canary" not in str(caught.value)


async def test_a_rate_limit_is_waited_for(clever, make):
    body = b'{"id": 403, "message": "You have performed that request too much.", "type": "error"}'
    clever.faults.add(Answer(403, body=body), method="POST", times=1)
    with pytest.raises(Transient) as caught:
        await make().provision(requested())
    assert caught.value.retry_after == 30.0


async def test_a_catalogue_that_changed_is_read_again(clever, make):
    executor = make()
    await executor.provision(requested(1))
    newer = attrs.evolve(
        clever.cloud.catalogue,
        instance_types=tuple(
            attrs.evolve(kind, version="20990101") for kind in clever.cloud.catalogue.instance_types
        ),
    )
    clever.cloud.catalogue = newer
    await executor.provision(requested(2))
    assert len(alive(clever)) == 2


async def test_in_multi_tenant_mode_hosts_of_no_tenant_are_not_asked_for_nor_called_none(clever, make):
    executor = make(cc_multi_tenant=True, cc_gitlab_namespace_attributes_token=Secret("admin"))
    assert executor.tenants_among({"", "acme"}) == {"acme"}
    with pytest.raises(Rejected, match="no tenant was named"):
        await executor.hosts("")
    assert make().tenants_among({"", "acme"}) == {""}
    assert not clever.requests
