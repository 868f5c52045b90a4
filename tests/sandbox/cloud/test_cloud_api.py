"""The REST API in process."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import attrs
import httpx
import pytest

from paas_runner.sandbox.cloud import RUNNER_VARIANT, Cloud, Organisation, create_app, standard_catalogue
from tests.support.clouds import CREATION, FILES, OTHER_TOKEN, TOKEN, Program, real_cloud


@attrs.frozen
class Api:
    """A cloud, its organisation, and a client with the organisation's token."""

    cloud: Cloud
    organisation: Organisation
    client: httpx.AsyncClient

    @property
    def applications(self) -> str:
        return f"/v2/organisations/{self.organisation.id}/applications"

    async def create(self, **fields: Any) -> Any:
        response = await self.client.post(self.applications, json={**CREATION, **fields})
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    cloud, organisation = real_cloud(Program(seconds=None))
    transport = httpx.ASGITransport(create_app(cloud))
    headers = {"Authorization": f"token {TOKEN.reveal()}"}
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=headers) as client:
        yield Api(cloud, organisation, client)
    await cloud.aclose()


def anonymous(api: Api) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(api.cloud)), base_url="http://cloud")


async def test_the_catalogue_is_open_to_everybody(api: Api) -> None:
    async with anonymous(api) as client:
        kinds = (await client.get("/v2/products/instances")).json()
        flavors = (await client.get("/v2/products/flavors", params={"context": "heptapod-runner"})).json()
        standard = (await client.get("/v2/products/flavors")).json()
        foreign = (await client.get("/v2/products/flavors", params={"context": "x"})).json()
    runner = next(kind for kind in kinds if kind["variant"]["id"] == RUNNER_VARIANT)
    assert (runner["type"], runner["version"], runner["enabled"]) == ("docker", "20210421", True)
    assert next(kind for kind in kinds if kind["name"] == "Docker")["version"] == "20210421"
    available = {flavor["name"]: flavor["available"] for flavor in flavors}
    sizes = ("XS", "S", "M", "L", "XL", "2XL", "3XL", "4XL")
    assert list(available) == [f"heptapod-runner-{size}" for size in sizes]
    assert [name for name, there in available.items() if not there] == ["heptapod-runner-4XL"]
    assert next(each["mem"] for each in flavors if each["name"] == "heptapod-runner-M") == 8192
    assert [flavor["name"] for flavor in standard][:3] == ["pico", "nano", "XS"]
    assert foreign == []


@pytest.mark.parametrize(
    ("authorization", "status", "number"),
    [
        (None, 401, 2001),
        ("token wrong", 401, 2001),
        ("token", 401, 2001),
        (f"Bearer {TOKEN.reveal()}", 403, 1504),
        (f"Basic {TOKEN.reveal()}", 401, 2001),
    ],
)
async def test_only_a_valid_token_opens_the_api(
    api: Api, authorization: str | None, status: int, number: int
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with anonymous(api) as client:
        response = await client.get(api.applications, headers=headers)
    assert response.status_code == status
    assert (response.json()["id"], response.json()["type"]) == (number, "error")
    assert response.headers["content-type"] == "application/json"


async def test_a_token_opens_its_own_organisation_alone(api: Api) -> None:
    other = api.cloud.add_organisation("Other", OTHER_TOKEN)
    created = await api.create()
    foreign = await api.client.get(f"/v2/organisations/{other.id}/applications")
    unknown = await api.client.get("/v2/organisations/orga_x/applications")
    headers = {"Authorization": f"token {OTHER_TOKEN.reveal()}"}
    path = f"/v2/organisations/{other.id}/applications/{created['id']}"
    smuggled = await api.client.delete(path, headers=headers)
    assert (foreign.status_code, unknown.status_code) == (403, 403)
    assert (smuggled.status_code, smuggled.json()["id"]) == (404, 4004)
    assert len(api.cloud.ledger.alive) == 1


async def test_every_answer_names_its_request(api: Api) -> None:
    ids = [
        (await api.client.get(path)).headers["sozu-id"]
        for path in ("/v2/self", "/nowhere", api.applications + "/app_x")
    ]
    assert len(set(ids)) == 3


async def test_a_path_unknown_to_the_router_is_a_page(api: Api) -> None:
    response = await api.client.get("/v2/nowhere")
    assert response.status_code == 404
    assert response.headers["content-type"].startswith("text/html")
    assert (await api.client.patch("/v2/self")).status_code == 405


async def test_a_created_application_looks_like_the_real_ones(api: Api) -> None:
    created = await api.create(env={"A": "1"}, tags=["t"])
    instance, deployment = created["instance"], created["deployment"]
    assert created["name"] == "hpd-job-abc-1"
    assert created["ownerId"] == api.organisation.id
    assert (created["state"], created["commitId"]) == ("SHOULD_BE_DOWN", None)
    assert created["env"] == [{"name": "A", "value": "1"}]
    assert instance["maxFlavor"]["name"] == "heptapod-runner-M"
    assert (instance["maxFlavor"]["mem"], instance["maxFlavor"]["cpus"]) == (8192, 4)
    assert instance["lifetime"] == "TASK"
    assert deployment["repoState"] == "CREATED"
    assert deployment["httpUrl"] == f"http://cloud/git/{created['id']}.git"
    assert created["vhosts"][0]["fqdn"] == f"{created['id'].replace('_', '-')}.cleverapps.io/"
    assert (await api.client.get(f"{api.applications}/{created['id']}")).json() == created
    assert (await api.client.get(api.applications)).json() == [created]


async def test_a_repository_is_being_created_for_a_while(api: Api) -> None:
    api.cloud.options = attrs.evolve(api.cloud.options, repository_delay=timedelta(hours=1))
    assert (await api.create())["deployment"]["repoState"] == "CREATING"


async def test_git_urls_can_have_another_base_than_the_api(api: Api) -> None:
    created = await api.create()
    transport = httpx.ASGITransport(create_app(api.cloud, base_url="https://push"))
    async with httpx.AsyncClient(transport=transport, headers=api.client.headers) as client:
        read = (await client.get(f"http://cloud{api.applications}/{created['id']}")).json()
    assert read["deployment"]["httpUrl"] == f"https://push/git/{created['id']}.git"


async def test_names_are_not_unique(api: Api) -> None:
    assert (await api.create())["id"] != (await api.create())["id"]


async def test_the_environment_at_creation_and_in_lists_depends_on_the_options(api: Api) -> None:
    api.cloud.options = attrs.evolve(api.cloud.options, env_at_creation=False, env_in_lists=False)
    created = await api.create(env={"A": "1"})
    assert created["env"] == []
    assert "env" not in (await api.client.get(api.applications)).json()[0]


@pytest.mark.parametrize("version", [None, "", "20200101", "29991231"])
async def test_a_version_not_on_offer_is_refused(api: Api, version: str | None) -> None:
    response = await api.client.post(api.applications, json={**CREATION, "instanceVersion": version})
    assert response.status_code == 400
    assert response.json() == {
        "id": 9017,
        "message": "The specified instance does not exist",
        "type": "error",
    }


async def test_the_catalogue_can_change_while_the_cloud_runs(api: Api) -> None:
    api.cloud.catalogue = standard_catalogue("20270101")
    response = await api.client.post(api.applications, json=CREATION)
    assert response.json()["id"] == 9017
    assert (await api.create(instanceVersion="20270101"))["instance"]["version"] == "20270101"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("maxFlavor", "heptapod-runner-9XL"),
        ("maxFlavor", "heptapod-runner-4XL"),
        ("maxFlavor", "M"),
        ("minFlavor", "heptapod-runner-XL"),
        ("zone", "atlantis"),
        ("maxInstances", 41),
        ("maxInstances", 0),
    ],
)
async def test_what_is_not_on_offer_is_refused(api: Api, field: str, value: object) -> None:
    response = await api.client.post(api.applications, json={**CREATION, field: value})
    assert (response.status_code, response.json()["type"]) == (400, "error")
    assert api.cloud.ledger.created == ()


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("name", None, "error.path.missing"),
        ("name", 7, "error.expected.jsstring"),
        ("name", "", "error.minLength"),
        ("minInstances", "1", "error.expected.jsnumber"),
        ("maxInstances", True, "error.expected.jsnumber"),
        ("instanceLifetime", "FOREVER", "error.expected.validenumvalue"),
        ("cancelOnPush", "yes", "error.expected.jsboolean"),
        ("tags", "one", "error.expected.jsarray"),
        ("env", ["A"], "error.expected.jsobject"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_in_the_platform_s_form(
    api: Api, field: str, value: object, problem: str
) -> None:
    response = await api.client.post(api.applications, json={**CREATION, field: value})
    assert response.status_code == 400
    assert response.json() == {f"obj.{field}": [{"msg": [problem], "args": []}]}


async def test_a_body_that_is_no_json_object_is_refused(api: Api) -> None:
    json_type = {"Content-Type": "application/json"}
    broken = await api.client.post(api.applications, content=b"{", headers=json_type)
    deep = await api.client.post(api.applications, content=b"[" * 200_000, headers=json_type)
    listed = await api.client.post(api.applications, json=[CREATION])
    untyped = await api.client.post(api.applications, content=b"{}")
    large = await api.client.post(api.applications, content=b" " * 1_000_001, headers=json_type)
    assert [each.status_code for each in (broken, deep, listed, untyped, large)] == [400, 400, 400, 415, 413]


async def test_an_update_keeps_what_it_leaves_out_and_ignores_what_it_does_not_know(api: Api) -> None:
    created = await api.create()
    path = f"{api.applications}/{created['id']}"
    body = {"maxFlavor": "heptapod-runner-XL", "flavors": [], "variant": {}}
    updated = (await api.client.put(path, json=body)).json()
    assert updated["instance"]["maxFlavor"]["name"] == "heptapod-runner-XL"
    assert (updated["name"], updated["instance"]["lifetime"]) == ("hpd-job-abc-1", "TASK")
    assert (await api.client.put(path, json={"maxFlavor": "no"})).status_code == 400


async def test_the_environment_can_be_read_replaced_set_and_removed(api: Api) -> None:
    created = await api.create(env={"A": "1"})
    path = f"{api.applications}/{created['id']}/env"
    assert (await api.client.put(path, json={"B": "2", "C": "3"})).json()["id"] == created["id"]
    assert (await api.client.put(f"{path}/D", json={"value": "4"})).status_code == 200
    assert (await api.client.delete(f"{path}/C")).status_code == 200
    assert (await api.client.get(path)).json() == [
        {"name": "B", "value": "2"},
        {"name": "D", "value": "4"},
    ]


async def test_a_wrong_environment_changes_nothing(api: Api) -> None:
    created = await api.create(env={"A": "1"})
    path = f"{api.applications}/{created['id']}/env"
    number = await api.client.put(path, json={"A": 1})
    name = await api.client.put(path, json={"A B": "1"})
    checked = await api.client.put(path, params={"check": "true"}, json={"Z": "1"})
    value = await api.client.put(f"{path}/A", json={})
    assert (number.status_code, name.status_code, value.status_code) == (400, 400, 400)
    assert (name.json()["id"], name.json()["fields"]) == (557, {"A B": "invalid name"})
    assert checked.status_code == 200
    assert (await api.client.get(path)).json() == [{"name": "A", "value": "1"}]


async def test_a_deployment_is_listed_with_its_commit_and_can_be_canceled(api: Api) -> None:
    created = await api.create()
    path = f"{api.applications}/{created['id']}"
    api.cloud.received_push(created["id"], "c1", FILES)
    await _settle()
    (row,) = (await api.client.get(f"{path}/deployments", params={"limit": 5})).json()
    assert (row["id"], row["state"], row["commit"], row["cause"]) == (1, "WIP", "c1", "Git")
    assert (await api.client.get(f"{path}/deployments/{row['uuid']}")).json() == row
    (instance,) = (await api.client.get(f"{path}/instances", params={"deploymentId": row["uuid"]})).json()
    assert (instance["state"], instance["deployId"]) == ("TASK_IN_PROGRESS", row["uuid"])
    cancelled = await api.client.delete(f"{path}/deployments/1/instances")
    await _settle()
    assert (cancelled.status_code, cancelled.json()["type"]) == (200, "success")
    assert (await api.client.get(f"{path}/deployments/1")).json()["state"] == "CANCELLED"
    assert (await api.client.get(f"{path}/instances")).json() == []
    (gone,) = (await api.client.get(f"{path}/instances", params={"withDeleted": "true"})).json()
    assert gone["state"] == "DELETED"
    assert (await api.client.delete(f"{path}/deployments/1/instances")).status_code == 400
    assert (await api.client.get(f"{path}/deployments/9")).status_code == 404
    assert (await api.client.get(f"{path}/deployments", params={"limit": "-1"})).status_code == 400


async def test_rows_are_listed_newest_first(api: Api) -> None:
    created = await api.create()
    path = f"{api.applications}/{created['id']}"
    assert (await api.client.post(f"{path}/instances")).json()["id"] == 4014
    api.cloud.received_push(created["id"], "c1", FILES)
    await _settle()
    await api.client.delete(f"{path}/instances")
    queued = (await api.client.post(f"{path}/instances", params={"commit": "c1"})).json()
    assert (await api.client.post(f"{path}/instances", params={"commit": "c0"})).status_code == 400
    await _settle()
    rows = (await api.client.get(f"{path}/deployments")).json()
    assert (queued["id"], queued["deploymentId"]) == (320, rows[0]["uuid"])
    assert [(row["id"], row["cause"]) for row in rows] == [(2, "Console"), (1, "Git")]
    newest = (await api.client.get(f"{path}/deployments", params={"limit": 1})).json()
    assert [row["id"] for row in newest] == [2]


async def test_deletion_is_confirmed_once_and_then_unknown(api: Api) -> None:
    created = await api.create()
    path = f"{api.applications}/{created['id']}"
    first, second = await api.client.delete(path), await api.client.delete(path)
    assert (first.status_code, first.json()["id"]) == (200, 302)
    assert (second.status_code, second.json()["id"]) == (404, 4004)
    assert (await api.client.get(path)).json()["id"] == 4004
    assert (await api.client.put(f"{path}/env", json={})).json()["id"] == 4004
    assert (await api.client.get(api.applications)).json() == []


async def test_domains_have_no_favourite(api: Api) -> None:
    path = f"{api.applications}/{(await api.create())['id']}/vhosts"
    favourite = await api.client.get(f"{path}/favourite")
    assert (await api.client.get(path)).json()[0]["fqdn"].endswith(".cleverapps.io/")
    assert (favourite.status_code, favourite.json()["id"]) == (404, 4021)


async def test_identity_and_summary(api: Api) -> None:
    created = await api.create()
    assert (await api.client.get("/v2/self/id")).json() == {"id": api.organisation.user_id}
    assert (await api.client.get("/v2/self")).json()["id"] == api.organisation.user_id
    (organisation,) = (await api.client.get("/v2/summary")).json()["organisations"]
    assert organisation["id"] == api.organisation.id
    assert organisation["applications"][0]["id"] == created["id"]


async def test_requests_are_counted_by_route(api: Api) -> None:
    created = await api.create()
    await api.client.get(f"{api.applications}/{created['id']}")
    assert api.cloud.ledger.requests == {
        "POST /v2/organisations/{organisation}/applications": 1,
        "GET /v2/organisations/{organisation}/applications/{application}": 1,
    }


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)
