"""Artifacts at the coordinator: who may store and read them, and who is told of them."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from paas_runner.pipelines.jobs import LedgerKind, Project
from paas_runner.pipelines.spec import JobSpec, Pipeline
from tests.support.coordinator_world import World

STAGES = Pipeline(jobs=(JobSpec(name="build", stage="build"), JobSpec(name="test")))


async def running(world: World) -> dict[str, Any]:
    payload: dict[str, Any] = (await world.poll()).json()
    return payload


async def upload(
    world: World, job: dict[str, Any], content: bytes = b"PK", token: str | None = None, **query: str
) -> httpx.Response:
    return await world.http.post(
        f"/api/v4/jobs/{job['id']}/artifacts",
        params=query,
        headers={"JOB-TOKEN": job["token"] if token is None else token},
        files={"file": ("out.zip", content, "application/octet-stream")},
    )


async def download(world: World, job_id: int, token: str) -> httpx.Response:
    return await world.http.get(f"/api/v4/jobs/{job_id}/artifacts", headers={"JOB-TOKEN": token})


async def test_a_later_job_gets_what_an_earlier_one_has_uploaded(world: World) -> None:
    world.coordinator.submit(STAGES)
    build = await running(world)
    assert build["dependencies"] == []
    answer = await upload(world, build, b"the \r\n--archive", artifact_type="archive", artifact_format="zip")
    assert (answer.status_code, answer.json()) == (201, 201)
    await world.put(build, "success")
    (dependency,) = (await running(world))["dependencies"]
    assert (dependency["id"], dependency["name"]) == (build["id"], "build")
    assert dependency["artifacts_file"] == {"filename": "out.zip", "size": 15}
    got = await download(world, dependency["id"], dependency["token"])
    assert (got.status_code, got.content) == (200, b"the \r\n--archive")
    assert got.headers["content-type"] == "application/zip"


async def test_a_dependency_without_artifacts_names_no_file(world: World) -> None:
    world.coordinator.submit(STAGES)
    build = await running(world)
    await upload(world, build, artifact_type="junit", artifact_format="gzip")
    await world.put(build, "success")
    (dependency,) = (await running(world))["dependencies"]
    assert "artifacts_file" not in dependency
    assert (await download(world, build["id"], dependency["token"])).status_code == 404


async def test_a_running_job_of_the_project_may_read_them_and_a_strange_one_may_not(world: World) -> None:
    world.coordinator.submit(STAGES)
    build = await running(world)
    await upload(world, build)
    await world.put(build, "success")
    test = await running(world)
    assert (await download(world, build["id"], test["token"])).status_code == 200
    world.coordinator.submit_job(JobSpec(name="strange"), Project(project_id=2, full_path="other/project"))
    strange = await running(world)
    assert (await download(world, build["id"], strange["token"])).status_code == 403
    await world.put(test, "success")
    assert (await download(world, build["id"], test["token"])).status_code == 403
    assert (await download(world, build["id"], "guessed")).status_code == 401
    assert (await download(world, 4711, strange["token"])).status_code == 404


async def test_only_the_running_job_itself_may_upload(world: World) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    job = await running(world)
    assert (await upload(world, job, token="guessed")).status_code == 403
    assert (await upload(world, {"id": 4711, "token": "x"})).status_code == 404
    await world.put(job, "failed")
    assert (await upload(world, job)).status_code == 403


async def test_too_much_is_refused(make_world: Callable[..., World]) -> None:
    world = make_world(most_artifact_bytes=1000)
    world.coordinator.submit_job(JobSpec(name="j"))
    job = await running(world)
    assert (await upload(world, job, bytes(1001))).status_code == 413
    assert (await upload(world, job, bytes(100_000))).status_code == 413
    assert (await upload(world, job, bytes(1000))).status_code == 201


async def test_a_type_is_stored_once(world: World) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    job = await running(world)
    assert (await upload(world, job, b"one")).status_code == 201
    assert (await upload(world, job, b"one")).status_code == 201
    assert (await upload(world, job, b"two")).status_code == 400
    assert (await upload(world, job, b"two", artifact_type="junit")).status_code == 201
    record = world.coordinator.jobs[job["id"]]
    assert record.count(LedgerKind.ARTIFACT) == 2
    shown = (await world.own(job)).json()["artifacts"]
    assert [(file["file_type"], file["size"]) for file in shown] == [("archive", 3), ("junit", 3)]


@pytest.mark.parametrize("body", [b"", b"no form", b'--b\r\nfilename="a"\r\n\r\nwithout an end'])
async def test_what_is_no_form_is_refused(world: World, body: bytes) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    job = await running(world)
    headers = {"JOB-TOKEN": job["token"], "Content-Type": "multipart/form-data; boundary=b"}
    path = f"/api/v4/jobs/{job['id']}/artifacts"
    assert (await world.http.post(path, headers=headers, content=body)).status_code == 400


async def test_artifacts_expire(world: World) -> None:
    world.coordinator.submit(STAGES)
    build = await running(world)
    assert (await upload(world, build, expire_in="never again")).status_code == 400
    assert (await upload(world, build, expire_in="1 week")).status_code == 201
    await world.put(build, "success")
    test = await running(world)
    world.clock.advance(days=6)
    assert (await download(world, build["id"], test["token"])).status_code == 200
    world.clock.advance(days=1)
    assert (await download(world, build["id"], test["token"])).status_code == 404


@pytest.mark.parametrize(
    "words", ["never", "Never", "1 year", "3 months", "6 mos 1 day", "47 yrs 6 mos and 4d"]
)
async def test_artifacts_are_kept_as_long_as_gitlab_understands(world: World, words: str) -> None:
    world.coordinator.submit(STAGES)
    build = await running(world)
    assert (await upload(world, build, expire_in=words)).status_code == 201
    world.clock.advance(days=20)
    assert world.coordinator.archive_of(build["id"]) is not None


async def test_an_upload_may_outlast_its_job(world: World) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    job = await running(world)

    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\nPK'
        world.coordinator.cancel(job["id"])
        yield b"\r\n--b--\r\n"

    headers = {"JOB-TOKEN": job["token"], "Content-Type": "multipart/form-data; boundary=b"}
    path = f"/api/v4/jobs/{job['id']}/artifacts"
    assert (await world.http.post(path, headers=headers, content=body())).status_code == 201
    assert world.coordinator.jobs[job["id"]].status == "canceled"
    assert world.coordinator.artifacts(job["id"])["archive"].read() == b"PK"
