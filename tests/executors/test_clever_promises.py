"""What hosts cost and whose they are: promises of `clever-docker` that show when something goes wrong."""

import asyncio

import attrs
import pytest

from paas_runner.errors import Rejected, Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, DropAfter, DropBefore
from paas_runner.secret import Secret
from tests.executors.test_clever import alive, make, requested  # noqa: F401 - make is a fixture
from tests.executors.test_clever_places import zones_and_flavors
from tests.support.host_values import provisioned, removal
from tests.support.records import payload

OURS = requested().host_name


def definitions(clever):
    return [application.definition for application in clever.cloud.applications(clever.organisation)]


async def test_a_job_has_one_machine(clever, make):  # noqa: F811
    await make().provision(requested())
    [definition] = definitions(clever)
    assert (definition.fields["minInstances"], definition.fields["maxInstances"]) == (1, 1)
    assert definition.fields["minFlavor"] == definition.fields["maxFlavor"]


@pytest.mark.parametrize("cloud_options", [CloudOptions(), CloudOptions(env_in_lists=False)])
async def test_no_configured_variable_takes_a_host_away_from_its_installation(clever, make):  # noqa: F811
    executor = make(cc_extra_env={"PAAS_RUNNER_INSTALLATION": "somebody-else"})
    host = await executor.provision(requested())
    [application] = clever.cloud.applications(clever.organisation)
    assert application.env["PAAS_RUNNER_INSTALLATION"] == "installation-1"
    assert [seen.ref for seen in await executor.hosts("")] == [host.ref]


async def test_a_host_is_ours_by_its_environment_where_the_list_shows_only_part_of_it(clever, make):  # noqa: F811
    """A person edited the description, and the list has an environment that lacks the label."""
    executor = make()
    host = await executor.provision(requested())
    [application] = clever.cloud.applications(clever.organisation)
    application.definition = attrs.evolve(
        application.definition, fields={**application.definition.fields, "description": "edited"}
    )
    listed = b'[{"id": "%s", "name": "%s", "description": "edited", "env": [{"name": "PORT", "value": "1"}]}]'
    body = listed % (host.ref.encode(), OURS.encode())
    clever.faults.add(Answer(200, body=body), method="GET", path="**/applications")
    assert [seen.ref for seen in await executor.hosts("")] == [host.ref]


async def test_of_two_hosts_of_a_job_the_oldest_is_adopted_and_both_are_removed_with_it(clever, make):  # noqa: F811
    executor = make()
    first = await executor.provision(requested())
    await asyncio.sleep(0.005)
    await executor.provision(requested())
    adopted = await executor.adopt(requested())
    assert adopted.ref == first.ref
    await executor.decommission(removal(OURS, adopted, search=True))
    assert alive(clever) == []


async def test_a_host_that_cannot_be_launched_is_not_made(clever, make):  # noqa: F811
    order = attrs.evolve(
        requested(),
        payload=attrs.evolve(requested().payload, raw={"id": 42, "token": "t", "image": {"name": "a b"}}),
    )
    with pytest.raises(JobRefusedError):
        await make().provision(order)
    assert alive(clever) == []


@pytest.mark.parametrize("status", [400, 404, 409, 422])
async def test_a_place_that_cannot_be_had_now_is_passed_over(clever, make, status):  # noqa: F811
    clever.cloud.options = CloudOptions(exhausted={"par": status})
    await make(cc_zones=("par", "rbx")).provision(requested())
    assert zones_and_flavors(clever) == [("M", "rbx")]


async def test_a_job_weighs_what_the_heaviest_of_its_fallbacks_weighs(make):  # noqa: F811
    executor = make(cc_flavor_fallback={"M": ("L", "S")})
    await executor.flavors()
    assert executor.weigh(requested().payload, most=1000.0) == 16**1.25


async def test_a_host_remembers_the_organisation_in_which_it_was_made(clever, make):  # noqa: F811
    host = await make().provision(requested())
    assert host.details["organisation"] == clever.organisation


async def test_a_removal_is_tried_again_at_once_after_a_hiccup(clever, make):  # noqa: F811
    executor = make()
    host = await executor.provision(requested())
    clever.faults.add(DropBefore(), method="DELETE", times=2)
    await executor.decommission(removal(OURS, host, search=False))
    assert alive(clever) == []


async def test_a_removal_whose_answer_was_lost_has_succeeded(clever, make):  # noqa: F811
    executor = make()
    host = await executor.provision(requested())
    clever.faults.add(DropAfter(), method="DELETE", times=1)
    await executor.decommission(removal(OURS, host, search=False))
    assert alive(clever) == []


async def test_too_many_requests_hold_back_every_call_of_the_organisation(clever, make):  # noqa: F811
    executor = make()
    host = await executor.provision(requested())
    clever.faults.add(Answer(429, headers={"Retry-After": "40"}), method="POST", times=1)
    with pytest.raises(Transient):
        await executor.provision(requested(2))
    seen = clever.requests.total()
    with pytest.raises(Transient, match="rate limit") as caught:
        await executor.ready(provisioned(host))
    assert 35 < caught.value.retry_after <= 40
    assert clever.requests.total() == seen


async def test_a_host_of_which_the_list_does_not_say_whether_it_was_deployed_is_not_surely_idle(clever, make):  # noqa: F811
    executor = make()
    body = (
        b'[{"id": "app_1", "name": "%s", "state": "SHOULD_BE_DOWN",'
        b' "description": "CI job 42 of runner clever, installation installation-1"}]' % OURS.encode()
    )
    clever.faults.add(Answer(200, body=body), method="GET", path="**/applications")
    assert [seen.busy for seen in await executor.hosts("")] == [None]


async def test_a_tenant_that_stopped_paying_keeps_the_removal_of_its_host_pending(clever, make):  # noqa: F811
    executor = make(cc_multi_tenant=True, cc_gitlab_namespace_attributes_token=Secret("admin"))
    with pytest.raises(Transient):
        await executor.decommission(attrs.evolve(removal(OURS, search=True), tenant="acme"))


@pytest.mark.parametrize(
    "odd",
    [
        b'"creationDate": 1%s' % (b"0" * 300),
        b'"creationDate": "soon"',
        b'"env": [7, "name", null, {"value": "x"}]',
    ],
)
async def test_an_odd_application_of_a_tenant_hides_none_of_the_hosts_beside_it(clever, make, odd):  # noqa: F811
    executor = make()
    host = await executor.provision(requested())
    ours = b'{"id": "%s", "name": "%s", "description": "installation installation-1"}'
    listed = b"[%s, " % (ours % (host.ref.encode(), OURS.encode())) + (
        b'{"id": "app_2", "name": "%s", "description": "installation installation-1", %s}]'
    ) % (OURS.encode(), odd)
    clever.faults.add(Answer(200, body=listed), method="GET", path="**/applications")
    assert {seen.ref for seen in await executor.hosts("")} == {host.ref, "app_2"}


@pytest.mark.parametrize("ref", ["../../orga_other/applications/app_1", "app 1", "", "a" * 200])
async def test_an_id_that_would_lead_elsewhere_is_no_applications(clever, make, ref):  # noqa: F811
    clever.faults.add(Answer(201, body=b'{"id": "%s", "name": "x"}' % ref.encode()), method="POST")
    with pytest.raises(Transient, match="the answer is no application"):
        await make().provision(requested())


@pytest.mark.parametrize(
    "url", ["https://[::1", "https://user:pass@git/x.git", "ext::sh", "https://git /x", ""]
)
async def test_a_remote_that_is_no_address_ends_the_launch_in_words(clever, make, url):  # noqa: F811
    executor = make()
    host = await executor.provision(requested())
    odd = attrs.evolve(host, details={**host.details, "deploy_url": url})
    with pytest.raises(Rejected, match="the git remote's URL is unusable: "):
        await executor.launch(requested(), odd)


async def test_a_masked_flavor_is_not_shown_by_half(make):  # noqa: F811
    secret = "S3cretvalue" * 8
    entries = [
        {"key": "CI_CLEVER_CLOUD_FLAVOR", "value": "$SECRET"},
        {"key": "SECRET", "value": secret, "masked": True},
    ]
    executor, job = make(), payload(1, variables=entries)
    with pytest.raises(JobRefusedError) as refused:
        await executor.provision(attrs.evolve(requested(), payload=job))
    assert '"[MASKED]" does not exist' in refused.value.failure.masked(job.variables).text
