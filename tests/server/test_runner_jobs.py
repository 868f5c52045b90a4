"""The routes by which a runner's jobs are listed and put right: pages, machines, retries."""

from typing import Any

import pytest

from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.spec import JobSpec
from tests.support.coordinator_world import World

MACHINE, OTHER = "s_123456789abc", "r_other0000000"


async def handed_out(world: World, *machines: str) -> list[int]:
    for number, machine in enumerate(machines):
        world.coordinator.submit_job(JobSpec(name=f"j{number}", tags=("docker",)))
        assert (await world.poll(system_id=machine)).status_code == 201
    return sorted(world.coordinator.jobs)


async def listed(world: World, **query: Any) -> Any:
    path = f"/api/v4/runners/{world.runner.runner_id}/jobs"
    return await world.http.get(path, headers=world.admin, params=query)


async def act(world: World, job: Job, verb: str, **body: Any) -> Any:
    path = f"/api/v4/projects/{job.project.project_id}/jobs/{job.job_id}/{verb}"
    return await world.http.post(path, headers=world.admin, json=body)


async def test_jobs_are_listed_by_machine_and_status_with_their_project(world: World) -> None:
    first, second = await handed_out(world, MACHINE, OTHER)
    world.coordinator.submit_job(JobSpec(name="waits", tags=("docker",)))
    both = (await listed(world)).json()
    assert [each["id"] for each in both] == [second, first]
    [ours] = (await listed(world, system_id=MACHINE, status="running")).json()
    assert (ours["id"], ours["pipeline"]["project_id"], ours["project"]["id"]) == (first, 1, 1)
    assert "token" not in str(ours)
    assert (await listed(world, system_id="r_000000000000")).json() == []
    assert (await listed(world, status="success")).json() == []


async def test_the_list_comes_in_pages(world: World) -> None:
    ids = await handed_out(world, *[MACHINE] * 5)
    found, page = [], "1"
    while page:
        answer = await listed(world, per_page=2, page=page, sort="asc", order_by="id", status="running")
        found += [each["id"] for each in answer.json()]
        page = answer.headers["x-next-page"]
        assert bool(page) == ('rel="next"' in answer.headers.get("link", ""))
    assert found == ids
    assert answer.headers["x-total"] == "5"
    assert "x-total" not in (await listed(world, system_id=MACHINE)).headers


async def test_strangers_and_nonsense_are_refused(world: World) -> None:
    path = f"/api/v4/runners/{world.runner.runner_id}/jobs"
    assert (await world.http.get(path)).status_code == 401
    assert (await world.http.get("/api/v4/personal_access_tokens/self")).status_code == 401
    assert (await world.http.get("/api/v4/runners/99/jobs", headers=world.admin)).status_code == 404
    assert (await listed(world, status="strange")).status_code == 400
    assert (await listed(world, page="x")).status_code == 400


async def test_a_token_tells_its_scopes(world: World) -> None:
    answer = await world.http.get("/api/v4/personal_access_tokens/self", headers=world.admin)
    assert answer.json()["scopes"] == ["api"]


async def test_what_was_canceled_is_retried_once(world: World) -> None:
    [number] = await handed_out(world, MACHINE)
    job = world.coordinator.jobs[number]
    assert (await act(world, job, "retry")).status_code == 403, "it runs"
    assert (await act(world, job, "cancel", force=True)).json()["status"] == "canceled"
    again = await act(world, job, "retry")
    assert (again.status_code, again.json()["status"]) == (201, "pending")
    assert (await act(world, job, "retry")).status_code == 403
    assert world.coordinator.latest(number).job_id == again.json()["id"]
    assert (await world.poll()).json()["id"] == again.json()["id"]


@pytest.mark.parametrize("how", ["success", "failed"])
async def test_what_ended_otherwise_may_be_retried_too(world: World, how: str) -> None:
    world.coordinator.submit_job(JobSpec(name="j", tags=("docker",)))
    payload = (await world.poll()).json()
    await world.put(payload, how)
    assert (await act(world, world.coordinator.jobs[payload["id"]], "retry")).status_code == 201


async def test_where_only_the_owner_repeats_jobs_none_is_retried(make_world: Any) -> None:
    world = make_world(retries_on_request=False)
    [number] = await handed_out(world, MACHINE)
    job = world.coordinator.jobs[number]
    await act(world, job, "cancel", force=True)
    assert (await act(world, job, "retry")).status_code == 403
