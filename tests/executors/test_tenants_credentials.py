"""Credentials of tenants: from attributes of groups, read rarely, shown to no one."""

import asyncio
import json

import httpx
import pytest

from executors.clever import KIND
from executors.clever.groups import Group, GroupsApi
from executors.clever.settings import CleverSettings
from executors.clever.tenants import FRESH_SECONDS, TenantCredentials, TenantError, Tenants, group_of
from paas_runner.errors import Transient
from paas_runner.executor.contract import JobRefusedError
from paas_runner.http import Http
from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import run_virtual
from tests.executors.test_clever import SECTION
from tests.support.records import payload

SETTINGS = CleverSettings(
    cc_multi_tenant=True,
    cc_gitlab_namespace_attributes_token=Secret("attributes-token-canary"),
)
FULL = [{"key": "cc_orga_id", "value": "orga_1"}, {"key": "cc_orga_token", "value": "cloud-token-canary"}]


ACME = Group("acme")


class Groups(httpx.AsyncBaseTransport):
    """The coordinator's answers by group, and what was asked."""

    def __init__(self, **answers):
        self.answers = {"acme": (200, FULL)} | answers
        self.asked = []

    async def handle_async_request(self, request):
        await asyncio.sleep(1)
        path = request.url.raw_path.decode().partition("?")[0]
        self.asked.append((path, request.headers["PRIVATE-TOKEN"]))
        group = request.url.path.split("/")[4]
        status, body = self.answers.get(group, (404, {"message": "404 Group Not Found"}))
        if isinstance(body, list):
            body = {"id": 7, "full_path": group, "custom_attributes": body}
        return httpx.Response(status, content=json.dumps(body).encode(), request=request)


def tenants(groups, settings=SETTINGS):
    return Tenants(settings, GroupsApi(settings, SECTION, Http(transport=lambda _: groups)))


def credentials(groups, *of, settings=SETTINGS):
    async def main():
        found = tenants(groups, settings)
        return await asyncio.gather(*(found.credentials(Group(group)) for group in of))

    return run_virtual(main())


def test_they_are_two_attributes_of_the_group():
    groups = Groups()
    [found] = credentials(groups, "acme")
    assert found == TenantCredentials(organisation="orga_1", token=Secret("cloud-token-canary"), group=7)
    assert groups.asked == [("/api/v4/groups/acme", "attributes-token-canary")]


def test_the_attributes_may_have_other_names():
    other = CleverSettings(
        cc_multi_tenant=True,
        cc_gitlab_namespace_attributes_token=Secret("attributes-token-canary"),
        cc_orga_id_attribute="billing",
        cc_orga_token_attribute="key",
    )
    answer = [{"key": "billing", "value": "orga_2"}, {"key": "key", "value": "other-token"}]
    [found] = credentials(Groups(acme=(200, answer)), "acme", settings=other)
    assert found.organisation == "orga_2"


def test_many_jobs_of_a_group_cost_one_request_in_five_minutes():
    groups = Groups()

    async def main():
        found = tenants(groups)
        await asyncio.gather(*(found.credentials(ACME) for _ in range(50)))
        await asyncio.sleep(FRESH_SECONDS - 10)
        await found.credentials(ACME)
        assert len(groups.asked) == 1
        await asyncio.sleep(20)
        await found.credentials(ACME)
        assert len(groups.asked) == 2

    run_virtual(main())


def test_refused_credentials_are_asked_for_once_more_however_many_calls_they_failed():
    groups = Groups()

    async def main():
        found = tenants(groups)
        old = await found.credentials(ACME)
        for _ in range(5):
            found.forget(ACME, old)
            await found.credentials(ACME)
            groups.answers["acme"] = (200, [FULL[0], {"key": "cc_orga_token", "value": "renewed-canary"}])
        return await found.credentials(ACME)

    assert run_virtual(main()).token == Secret("renewed-canary")
    assert len(groups.asked) == 3  # the first, the same once more, the new one


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((404, {"message": "404 Group Not Found"}), 'knows no group "acme"'),
        ((403, {"message": "403 Forbidden"}), "may not read the attributes of groups (status 403)"),
        ((401, {"message": "401 Unauthorized"}), "may not read the attributes of groups (status 401)"),
        ((200, {"id": 7, "full_path": "acme"}), "may not read the attributes of groups (status 200)"),
        ((200, {"id": 7, "full_path": "Acme", "custom_attributes": FULL}), 'knows no group "acme"'),
        ((200, []), "has no attribute `cc_orga_id`"),
        ((200, FULL[:1]), "has no attribute `cc_orga_token`"),
        ((200, [FULL[0], {"key": "cc_orga_token", "value": " "}]), "has no attribute `cc_orga_token`"),
        ((200, [{"key": "cc_orga_id", "value": "../orga_2"}, FULL[1]]), "no id of an organisation"),
        *[
            ((200, [FULL[0], {"key": "cc_orga_token", "value": value}]), "`cc_orga_token` of the group")
            for value in ("canary\nX-Other: 1", "canary\x00", "canaryé", "canary\ud800", "canary" * 1000)
        ],
    ],
)
def test_a_tenant_that_cannot_be_resolved_is_explained_to_the_author(answer, words):
    with pytest.raises(TenantError) as caught:
        credentials(Groups(acme=answer), "acme")
    assert words in str(caught.value)
    assert "perators of this runner" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("answer", [(200, {"message": "?"}), (503, {}), (429, {})])
def test_a_coordinator_that_does_not_answer_is_asked_again(answer):
    with pytest.raises(Transient):
        credentials(Groups(acme=answer), "acme")


def test_the_path_of_a_group_is_encoded():
    groups = Groups()
    with pytest.raises(TenantError):
        credentials(groups, "a.b c")
    assert groups.asked[0][0] == "/api/v4/groups/a.b%20c"


def of(*values):
    entries = [{"key": "CI_PROJECT_ROOT_NAMESPACE", "value": value} for value in values]
    return payload(1, variables=entries)


def test_the_tenant_is_the_top_level_group_of_the_project(connect):
    assert KIND.build(SETTINGS, SECTION, connect).tenant(of("acme")) == "acme"


def test_an_author_cannot_make_another_group_pay():
    assert group_of(of("acme", "victim")) == "acme"


@pytest.mark.parametrize("values", [(), ("",), ("a/b",), ("a" * 256,), ("\ud800",)])
def test_a_job_without_a_group_is_refused(values):
    with pytest.raises(JobRefusedError, match="CI_PROJECT_ROOT_NAMESPACE"):
        group_of(of(*values))
