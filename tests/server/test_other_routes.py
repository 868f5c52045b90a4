from typing import Any

import pytest

from paas_runner.pipelines.spec import JobSpec
from tests.support.coordinator_world import World

REGISTER = {"token": "GR1348941-register"}
ATTRIBUTES = "/api/v4/groups/grp%2Fsub/custom_attributes"


async def delete(world: World, path: str, body: dict[str, Any]) -> int:
    return (await world.http.request("DELETE", f"/api/v4{path}", json=body)).status_code


async def test_registration_gives_an_id_and_a_token_that_polls(world: World) -> None:
    answer = await world.http.post(
        "/api/v4/runners", json=REGISTER | {"description": "d", "tag_list": "a, b", "maximum_timeout": 700}
    )
    assert answer.status_code == 201
    assert answer.json()["token_expires_at"] is None
    assert (await world.poll(token=answer.json()["token"])).status_code == 204
    runner = world.coordinator.runners.authenticate(answer.json()["token"])
    assert runner is not None
    assert (runner.tags, runner.runner_id) == (("a", "b"), answer.json()["id"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"token": "wrong"}, 403),
        ({}, 400),
        (REGISTER | {"run_untagged": False}, 400),
        (REGISTER | {"maximum_timeout": 599}, 400),
        (REGISTER | {"maximum_timeout": "soon"}, 400),
    ],
)
async def test_a_registration_may_be_refused(world: World, body: dict[str, Any], status: int) -> None:
    assert (await world.http.post("/api/v4/runners", json=body)).status_code == status


@pytest.mark.parametrize("how", [{"active": False}, {"paused": True}])
async def test_a_runner_registered_as_paused_gets_no_job(world: World, how: dict[str, bool]) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    token = (await world.http.post("/api/v4/runners", json=REGISTER | how)).json()["token"]
    assert (await world.poll(token=token)).status_code == 204


async def test_verification_tells_good_tokens_from_bad(world: World) -> None:
    good = await world.http.post("/api/v4/runners/verify", json={"token": world.runner.token.reveal()})
    assert (good.status_code, good.json()["id"]) == (200, world.runner.runner_id)
    assert (await world.http.post("/api/v4/runners/verify", json={"token": "x"})).status_code == 403


async def test_an_unregistered_runner_is_forgotten(world: World) -> None:
    body = {"token": world.runner.token.reveal()}
    assert await delete(world, "/runners", body) == 204
    assert await delete(world, "/runners", body) == 403
    assert (await world.poll()).status_code == 403


async def test_one_machine_of_a_runner_can_be_removed(world: World) -> None:
    await world.poll()
    token = {"token": world.runner.token.reveal()}
    assert await delete(world, "/runners/managers", token) == 400
    machine = token | {"system_id": "s_123456789abc"}
    assert await delete(world, "/runners/managers", machine) == 204
    assert await delete(world, "/runners/managers", machine) == 404
    assert (await world.poll()).status_code == 204


async def test_a_reset_token_replaces_the_old_one_at_once(world: World) -> None:
    old = world.runner.token.reveal()
    answer = await world.http.post("/api/v4/runners/reset_authentication_token", json={"token": old})
    assert answer.status_code == 201
    assert (await world.poll(token=old)).status_code == 403
    assert (await world.poll(token=answer.json()["token"])).status_code == 204


async def test_custom_attributes_are_read_set_and_removed(world: World) -> None:
    http, admin = world.http, world.admin
    listed = await http.get(ATTRIBUTES, headers=admin)
    assert listed.json() == [{"key": "cc_orga_id", "value": "orga_1"}]
    put = await http.put(f"{ATTRIBUTES}/cc%5Forga%5Ftoken", json={"value": "t"}, headers=admin)
    assert (put.status_code, put.json()) == (200, {"key": "cc_orga_token", "value": "t"})
    assert (await http.get(f"{ATTRIBUTES}/cc_orga_token", headers=admin)).json()["value"] == "t"
    assert (await http.delete(f"{ATTRIBUTES}/cc_orga_token", headers=admin)).status_code == 204
    assert (await http.get(f"{ATTRIBUTES}/cc_orga_token", headers=admin)).status_code == 404
    assert (await http.put(f"{ATTRIBUTES}/k", json={}, headers=admin)).status_code == 400


@pytest.mark.parametrize("group", ["absent", "grp/sub", "grp%252Fsub", "99"])
async def test_a_group_is_addressed_exactly(world: World, group: str) -> None:
    answer = await world.http.get(f"/api/v4/groups/{group}/custom_attributes", headers=world.admin)
    assert answer.status_code == 404


async def test_a_group_has_a_number_too(world: World) -> None:
    number = world.coordinator.groups.id_of("grp/sub")
    answer = await world.http.get(f"/api/v4/groups/{number}/custom_attributes", headers=world.admin)
    assert answer.json()[0]["key"] == "cc_orga_id"


async def test_a_group_is_shown_by_its_id_or_its_path_and_digits_are_an_id(world: World) -> None:
    world.coordinator.groups.ensure("1")
    number = world.coordinator.groups.id_of("grp/sub")
    for name in (str(number), "grp%2Fsub", "GRP%2Fsub"):
        shown = (await world.http.get(f"/api/v4/groups/{name}", headers=world.admin)).json()
        assert shown == {"id": number, "path": "sub", "full_path": "grp/sub"}
    path = "/api/v4/groups/1?with_custom_attributes=true"
    shown = (await world.http.get(path, headers=world.admin)).json()
    assert shown == {"id": 1, "path": "sandbox", "full_path": "sandbox", "custom_attributes": []}
    assert (await world.http.get("/api/v4/groups/absent", headers=world.admin)).status_code == 404
    found = (await world.http.get("/api/v4/groups?search=1", headers=world.admin)).json()
    assert [group["full_path"] for group in found] == ["1"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ATTRIBUTES),
        ("GET", "/api/v4/groups/sandbox"),
        ("GET", "/api/v4/groups"),
        ("GET", "/api/v4/projects/1/jobs/1"),
        ("POST", "/api/v4/projects/1/jobs/1/cancel"),
        ("POST", "/sandbox/pipelines"),
        ("GET", "/sandbox/jobs"),
        ("POST", "/sandbox/jobs/1/cancel"),
    ],
)
async def test_the_administrators_routes_want_his_token(world: World, method: str, path: str) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    assert (await world.http.request(method, path)).status_code == 401
    wrong = {"PRIVATE-TOKEN": "glpat-other"}
    assert (await world.http.request(method, path, headers=wrong)).status_code == 401


async def test_a_job_of_a_project_is_shown_in_any_state_with_its_trace(world: World) -> None:
    job = world.coordinator.submit_job(JobSpec(name="j"))
    for project in ("1", "sandbox%2Fproject"):
        answer = await world.http.get(f"/api/v4/projects/{project}/jobs/{job.job_id}", headers=world.admin)
        assert (answer.status_code, answer.json()["status"]) == (200, "pending")
    url = f"/api/v4/projects/1/jobs/{job.job_id}/trace"
    trace = await world.http.get(url, headers=world.admin)
    assert (trace.status_code, trace.content) == (200, b"")
    world.coordinator.acquire(world.runner.runner_id)
    world.coordinator.append_trace(job.job_id, 0, b"\xff hello")
    assert (await world.http.get(url, headers=world.admin)).content == b"\xff hello"


@pytest.mark.parametrize("path", ["/api/v4/projects/sandbox/project/jobs/1", "/api/v4/projects/2/jobs/1"])
async def test_a_job_elsewhere_is_not_found(world: World, path: str) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    assert (await world.http.get(path, headers=world.admin)).status_code == 404


async def test_the_own_job_needs_a_job_token(world: World) -> None:
    assert (await world.http.get("/api/v4/job")).status_code == 401
    assert (await world.http.get("/api/v4/job", headers=world.admin)).status_code == 404


async def test_an_unknown_route_is_a_404_in_json(world: World) -> None:
    answer = await world.http.get("/api/v4/runners/router/discovery")
    assert (answer.status_code, answer.json()) == (404, {"error": "404 Not Found"})


async def test_a_pipeline_is_submitted_and_watched_from_outside(world: World) -> None:
    text = "a:\n  script: [echo 1]\n  only: []\n"
    answer = await world.http.post("/sandbox/pipelines?project=team/app", content=text, headers=world.admin)
    assert answer.status_code == 201
    job_id = answer.json()["jobs"]["a"]
    assert "line 3" in answer.json()["warnings"][0]
    pipeline = answer.json()["pipeline"]
    listed = await world.http.get(f"/sandbox/jobs?pipeline={pipeline}", headers=world.admin)
    assert [job["id"] for job in listed.json()] == [job_id]
    assert (await world.http.get("/sandbox/jobs?pipeline=77", headers=world.admin)).json() == []
    await world.poll()
    shown = (await world.http.get(f"/sandbox/jobs/{job_id}", headers=world.admin)).json()
    assert (shown["status"], shown["project"], shown["trace"]) == ("running", "team/app", "")
    assert [event["what"] for event in shown["events"]] == ["created", "pending", "acquired"]
    world.coordinator.append_trace(job_id, 0, b"a log\n")
    trace = await world.http.get(f"/sandbox/jobs/{job_id}/trace", headers=world.admin)
    assert (trace.text, trace.headers["content-type"]) == ("a log\n", "text/plain; charset=utf-8")
    assert (await world.http.get(f"/sandbox/jobs/{job_id}/trace")).status_code == 401
    canceled = await world.http.post(f"/sandbox/jobs/{job_id}/cancel", headers=world.admin)
    assert canceled.json()["status"] == "canceled"


async def test_a_wrong_pipeline_is_a_400_with_its_line(world: World) -> None:
    answer = await world.http.post("/sandbox/pipelines", content="a:\n  stage: test\n", headers=world.admin)
    assert answer.status_code == 400
    assert answer.json() == {"message": "line 1: job `a` has no `script`", "line": 1, "warnings": []}


async def test_rules_of_a_pipeline_see_the_project_it_is_for(world: World) -> None:
    text = "a: {script: x, rules: [{if: '$CI_PROJECT_PATH == \"team/app\"'}]}\nb: {script: x}"
    answer = await world.http.post("/sandbox/pipelines?project=team/app", content=text, headers=world.admin)
    assert list(answer.json()["jobs"]) == ["a", "b"]


async def test_no_token_shows_in_a_repr(world: World) -> None:
    job = world.coordinator.submit_job(JobSpec(name="j"))
    world.coordinator.acquire(world.runner.runner_id)
    shown = repr(job) + repr(world.runner.record) + repr(world.coordinator.options)
    for secret in (job.token, world.runner.token, world.coordinator.options.admin_token):
        assert secret.reveal() not in shown


async def test_top_level_groups_are_listed_in_pages_with_their_attributes(world: World) -> None:
    for number in range(3):
        world.coordinator.groups.ensure(f"more{number}")
    world.coordinator.groups.attributes("more2")["key"] = "value"
    found, page = [], "1"
    while page:
        query = f"with_custom_attributes=true&per_page=2&page={page}"
        answer = await world.http.get(f"/api/v4/groups?{query}", headers=world.admin)
        found += answer.json()
        page = answer.headers["x-next-page"]
    assert len(found) == len({group["id"] for group in found}) >= 3
    assert not [group for group in found if "/" in group["full_path"]]
    assert found[-1]["custom_attributes"] == [{"key": "key", "value": "value"}]
