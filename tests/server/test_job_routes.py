import asyncio
import json
import random
import zlib
from collections.abc import Callable, MutableMapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from paas_runner.job.payload import decode
from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import LedgerKind
from paas_runner.pipelines.reports import checksum
from paas_runner.pipelines.runners import Queue
from paas_runner.pipelines.spec import ImageSpec, JobSpec, ServiceSpec
from paas_runner.server.waiting import ticked
from tests.support.coordinator_world import World
from tests.support.live_records import LiveJob, added


async def acquired(world: World, spec: JobSpec | None = None, **features: bool) -> dict[str, Any]:
    world.coordinator.submit_job(spec or JobSpec(name="j", script=("echo hi",)))
    answer = await world.poll(features=features)
    assert answer.status_code == 201
    found: dict[str, Any] = answer.json()
    return found


def job(world: World, payload: dict[str, Any]) -> LiveJob:
    return LiveJob(world.coordinator, payload["id"])


async def test_no_job_is_a_204_without_body_but_with_the_queue_value(world: World) -> None:
    answer = await world.poll()
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["X-GitLab-Last-Update"]
    assert answer.headers["Gitlab-Ci-Builds-Polling"] == "yes"


async def test_a_job_is_a_201_with_everything_a_runner_must_find(world: World) -> None:
    spec = JobSpec(
        name="unit",
        before_script=("prepare",),
        script=("run",),
        after_script=("tidy",),
        variables=(Variable(key="A", value="$B", public=True, raw=True),),
        image=ImageSpec(name="python:3.12", entrypoint=("",)),
        services=(ServiceSpec(name="postgres:13", alias="db"),),
        timeout=timedelta(minutes=10),
    )
    world.coordinator.submit_job(spec)
    world.clock.advance(seconds=2.5)
    answer = await world.poll()
    payload = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert len(payload["git_info"]["sha"]) == 40
    assert [(step["name"], step["script"], step["when"]) for step in payload["steps"]] == [
        ("script", ["prepare", "run"], "on_success"),
        ("after_script", ["tidy"], "always"),
    ]
    assert payload["runner_info"]["timeout"] == 600
    assert payload["features"]["trace_sections"] is True
    assert "runner_system_failure" in payload["features"]["failure_reasons"]
    assert payload["image"]["name"] == "python:3.12"
    assert payload["services"][0]["alias"] == "db"
    assert payload["job_info"]["time_in_queue_seconds"] == 2.5
    assert isinstance(payload["id"], int)


async def test_variables_are_complete_and_the_projects_come_last(world: World) -> None:
    payload = await acquired(world, JobSpec(name="j", variables=(Variable(key="X", value="1"),)))
    variables = {entry["key"]: entry for entry in payload["variables"]}
    assert variables["CI_JOB_ID"]["value"] == str(payload["id"])
    assert variables["CI_PROJECT_ROOT_NAMESPACE"]["value"] == "sandbox"
    assert variables["CI_API_V4_URL"]["value"] == "http://gitlab.test:8929/api/v4"
    assert variables["CI_SERVER_PORT"]["value"] == "8929"
    assert variables["CI_JOB_TOKEN"] == {
        "key": "CI_JOB_TOKEN",
        "value": payload["token"],
        "public": False,
        "masked": True,
    }
    assert "file" not in variables["X"]
    assert payload["variables"][-1]["key"] == "DEPLOY_KEY"
    assert payload["variables"][-1]["file"] is True


async def test_our_own_client_understands_the_payload(world: World) -> None:
    world.coordinator.submit_job(JobSpec(name="unit"))
    payload = decode((await world.poll()).content)
    assert payload.job_name == "unit"
    assert payload.variable("CI_PROJECT_PATH") == "sandbox/project"


async def test_an_unknown_runner_token_is_a_403_and_none_a_400(world: World) -> None:
    assert (await world.poll(token="wrong")).status_code == 403
    assert (await world.http.post("/api/v4/jobs/request", json={})).status_code == 400


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff"])
async def test_a_broken_body_is_a_400(world: World, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await world.http.post("/api/v4/jobs/request", content=body, headers=headers)
    assert answer.status_code == 400
    assert "message" in answer.json()


@pytest.mark.parametrize("job_id", [19 * "9", 5000 * "9", "-1", "1e3", "\u0663"])
async def test_a_job_whose_number_is_none_is_a_404(world: World, job_id: str) -> None:
    answer = await world.http.patch(f"/api/v4/jobs/{job_id}/trace")
    assert answer.status_code == 404


async def test_an_oversized_job_request_is_a_413(world: World) -> None:
    assert (await world.poll(filler="x" * 33_000)).status_code == 413


async def test_two_jobs_are_handed_out_to_a_client_that_echoes_the_queue_value(world: World) -> None:
    for name in "ab":
        world.coordinator.submit_job(JobSpec(name=name))
    first = await world.poll()
    second = await world.poll(last_update=first.headers["X-GitLab-Last-Update"])
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json()["id"] != second.json()["id"]


async def test_a_poll_is_held_until_a_job_arrives_and_then_released_without_value(
    make_world: Any,
) -> None:
    world = make_world(long_poll_seconds=30)
    value = (await world.poll()).headers["X-GitLab-Last-Update"]
    held = asyncio.ensure_future(world.poll(last_update=value))
    done, _ = await asyncio.wait([held], timeout=0.05)
    assert not done
    world.coordinator.submit_job(JobSpec(name="j"))
    answer = await held
    assert (answer.status_code, "X-GitLab-Last-Update" in answer.headers) == (204, False)
    assert answer.headers["Gitlab-Ci-Builds-Polling"] == "yes"
    assert (await world.poll(last_update=value)).status_code == 201


async def test_a_job_that_arrives_just_when_a_hold_begins_ends_it() -> None:
    queue = Queue(random.Random(1))
    holding = asyncio.ensure_future(ticked(queue, since=queue.value))
    queue.tick()
    await asyncio.wait_for(holding, 1)


async def test_a_hold_whose_tick_was_missed_tells_no_newer_value(
    make_world: Any,
) -> None:
    world = make_world(long_poll_seconds=0.05)
    value = (await world.poll()).headers["X-GitLab-Last-Update"]
    held = asyncio.ensure_future(world.poll(last_update=value))
    await asyncio.sleep(0.02)
    world.coordinator.runners.queue(world.runner.runner_id).renew()
    assert "X-GitLab-Last-Update" not in (await held).headers


async def test_a_hold_ends_after_its_time_without_a_value(world: World) -> None:
    value = (await world.poll()).headers["X-GitLab-Last-Update"]
    answer = await world.poll(last_update=value)
    assert (answer.status_code, "X-GitLab-Last-Update" in answer.headers) == (204, False)


async def test_a_held_request_brings_no_job_however_long_one_waits_and_the_next_one_does(
    make_world: Callable[..., World],
) -> None:
    world = make_world(long_poll_seconds=30)
    value = (await world.poll()).headers["X-GitLab-Last-Update"]
    held = [asyncio.ensure_future(world.poll(last_update=value)) for _ in range(3)]
    await asyncio.sleep(0.05)
    world.coordinator.submit_job(JobSpec(name="j"))
    assert [(await each).status_code for each in held] == [204] * 3
    next_ones = [await world.poll(last_update=value) for _ in range(2)]
    assert [answer.status_code for answer in next_ones] == [201, 204]


async def test_a_poll_without_or_with_an_old_value_is_not_held(make_world: Callable[..., World]) -> None:
    world = make_world(long_poll_seconds=30)
    async with asyncio.timeout(1):
        assert (await world.poll()).status_code == 204
        assert (await world.poll(last_update="old")).status_code == 204


async def test_without_long_polling_nothing_is_held_or_announced(make_world: Callable[..., World]) -> None:
    world = make_world(long_poll_seconds=0)
    value = (await world.poll()).headers["X-GitLab-Last-Update"]
    answer = await world.poll(last_update=value)
    assert answer.status_code == 204
    assert "Gitlab-Ci-Builds-Polling" not in answer.headers


async def test_a_hold_ends_when_the_client_goes_away(make_world: Callable[..., World]) -> None:
    world = make_world(long_poll_seconds=30)
    queue = world.coordinator.runners.queue(world.runner.runner_id)
    body = {"token": world.runner.token.reveal(), "last_update": queue.value}
    messages: list[MutableMapping[str, Any]] = [
        {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False},
        {"type": "http.disconnect"},
    ]
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> MutableMapping[str, Any]:
        return messages.pop(0)

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v4/jobs/request",
        "raw_path": b"/api/v4/jobs/request",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json"), (b"host", b"x")],
        "scheme": "http",
        "server": ("x", 80),
        "root_path": "",
    }
    transport = world.http._transport
    assert isinstance(transport, httpx.ASGITransport)
    async with asyncio.timeout(1):
        await transport.app(scope, receive, send)
    assert sent[0]["status"] == 204


async def test_a_form_body_and_a_token_in_the_query_are_taken(world: World) -> None:
    world.coordinator.submit_job(JobSpec(name="j"))
    token = world.runner.token.reveal()
    payload = (await world.http.post("/api/v4/jobs/request", data={"token": token})).json()
    url, own = f"/api/v4/jobs/{payload['id']}", payload["token"]
    patched = await world.http.patch(
        f"{url}/trace?token={own}", content=b"abc", headers={"Content-Range": "0-3"}
    )
    assert (patched.status_code, patched.headers["Range"]) == (202, "0-3")
    assert (await world.http.get(f"/api/v4/job?job_token={own}")).status_code == 200
    assert (await world.http.put(url, data={"token": own, "state": "success"})).status_code == 200
    assert job(world, payload).status == "success"


async def test_a_patch_appends_and_tells_size_status_and_interval(world: World) -> None:
    payload = await acquired(world)
    answer = await world.patch(payload, "0-4", "héll".encode())
    assert answer.status_code == 202
    assert answer.headers["Range"] == "0-5"
    assert answer.headers["Job-Status"] == "running"
    assert answer.headers["X-GitLab-Trace-Update-Interval"] == "3"


@pytest.mark.parametrize("span", ["5-7", "5-8", "5-4"])
async def test_only_the_start_of_a_patch_is_compared(world: World, span: str) -> None:
    payload = await acquired(world)
    await world.patch(payload, "0-4", b"01234")
    answer = await world.patch(payload, span, b"567")
    assert (answer.status_code, answer.headers["Range"]) == (202, "0-8")


@pytest.mark.parametrize("start", [0, 3, 6, 100])
async def test_a_patch_elsewhere_is_a_416_with_the_size(world: World, start: int) -> None:
    payload = await acquired(world)
    await world.patch(payload, "0-4", b"01234")
    answer = await world.patch(payload, f"{start}-{start + 1}", b"xx")
    assert (answer.status_code, answer.headers["Range"]) == (416, "0-5")
    assert job(world, payload).trace == b"01234"


@pytest.mark.parametrize("span", ["", "bytes 0-4/5", "0", "a-b"])
async def test_a_malformed_range_is_a_400(world: World, span: str) -> None:
    assert (await world.patch(await acquired(world), span, b"01234")).status_code == 400


async def test_a_wrong_job_token_is_a_403_and_an_unknown_job_a_404(world: World) -> None:
    payload = await acquired(world)
    wrong = {**payload, "token": "wrong"}
    unknown = {**payload, "id": 999}
    assert (await world.put(wrong, "running")).status_code == 403
    assert (await world.patch(wrong, "0-0", b"x")).status_code == 403
    assert (await world.put(unknown, "running")).status_code == 404
    assert (await world.patch(unknown, "0-0", b"x")).status_code == 404


async def test_running_may_be_put_again_and_again(world: World) -> None:
    payload = await acquired(world)
    for _ in range(3):
        answer = await world.put(payload, "running")
        assert (answer.status_code, answer.json(), answer.headers["Job-Status"]) == (200, 200, "running")


@pytest.mark.parametrize("state", ["pending", "canceled", "nonsense"])
async def test_a_state_that_a_runner_cannot_set_is_a_400(world: World, state: str) -> None:
    assert (await world.put(await acquired(world), state)).status_code == 400


async def test_the_final_word_ends_the_job_and_its_token(world: World) -> None:
    payload = await acquired(world)
    assert (await world.own(payload)).json()["status"] == "running"
    answer = await world.put(payload, "failed", failure_reason="script_failure", exit_code=42)
    assert (answer.status_code, answer.headers["Job-Status"]) == (200, "failed")
    assert (job(world, payload).failure_reason, job(world, payload).exit_code) == ("script_failure", 42)
    assert (await world.own(payload)).status_code == 401
    again = await world.put(payload, "failed", failure_reason="script_failure", exit_code=42)
    assert (again.status_code, again.headers["Job-Status"]) == (403, "failed")
    late = await world.patch(payload, "0-0", b"x")
    assert (late.status_code, late.headers["Job-Status"]) == (403, "failed")


async def test_an_unknown_failure_reason_is_not_stored_as_given(world: World) -> None:
    payload = await acquired(world)
    await world.put(payload, "failed", failure_reason="job failed to launch, more details in logs")
    assert job(world, payload).failure_reason == "unknown_failure"


async def test_cancel_of_a_plain_runners_job_ends_it_at_once(world: World) -> None:
    payload = await acquired(world)
    url = f"/api/v4/projects/sandbox%2Fproject/jobs/{payload['id']}/cancel"
    answer = await world.http.post(url, headers=world.admin)
    assert (answer.status_code, answer.json()["status"]) == (201, "canceled")
    put = await world.put(payload, "running")
    assert (put.status_code, put.headers["Job-Status"]) == (403, "canceled")
    assert (await world.own(payload)).status_code == 401


async def test_cancel_of_a_graceful_runners_job_lets_it_wind_down(world: World) -> None:
    payload = await acquired(world, cancel_gracefully=True)
    world.coordinator.cancel(payload["id"])
    assert (await world.own(payload)).json()["status"] == "canceling"
    patched = await world.patch(payload, "0-0", b"x")
    assert (patched.status_code, patched.headers["Job-Status"]) == (202, "canceling")
    put = await world.put(payload, "failed", failure_reason="unknown_failure")
    assert (put.status_code, put.headers["Job-Status"]) == (200, "canceled")
    assert job(world, payload).failure_reason is None


async def test_a_canceling_job_can_be_forced_to_end(world: World) -> None:
    payload = await acquired(world, cancel_gracefully=True)
    world.coordinator.cancel(payload["id"])
    url = f"/api/v4/projects/1/jobs/{payload['id']}/cancel"
    assert (await world.http.post(url, headers=world.admin)).json()["status"] == "canceling"
    forced = await world.http.post(url, headers=world.admin, json={"force": True})
    assert (forced.status_code, forced.json()["status"]) == (201, "canceled")


async def test_the_annex_of_the_protocol_replays(make_world: Callable[..., World]) -> None:
    """Spec gitlab-runner-api.md §12.4: a final PUT answered 202, then 412, then 200."""
    world = make_world(final_put_answers=(202, 412))
    payload = await acquired(world)
    trace = bytes(range(32, 126)) * 14 + b"x" * 50
    assert (await world.patch(payload, "0-852", trace[:853])).headers["Range"] == "0-853"
    assert (await world.patch(payload, "853-1365", trace[853:])).headers["Range"] == "0-1366"
    final = {
        "failure_reason": "script_failure",
        "exit_code": 42,
        "checksum": f"crc32:{zlib.crc32(trace):08x}",
        "output": {"checksum": f"crc32:{zlib.crc32(trace):08x}", "bytesize": 1366},
    }
    first = await world.put(payload, "failed", **final)
    assert (first.status_code, first.headers["X-GitLab-Trace-Update-Interval"]) == (202, "1")
    second = await world.put(payload, "failed", **final)
    assert (second.status_code, "X-GitLab-Trace-Update-Interval" in second.headers) == (412, False)
    assert (await world.patch(payload, "0-1365", trace)).headers["Range"] == "0-1366"
    assert (await world.put(payload, "failed", **final)).status_code == 200
    assert job(world, payload).count(LedgerKind.CHECKSUM_MISMATCH) == 0


async def test_a_final_put_without_checksum_is_never_postponed(make_world: Callable[..., World]) -> None:
    world = make_world(final_put_answers=(202,))
    assert (await world.put(await acquired(world), "success")).status_code == 200


async def test_a_wrong_checksum_is_noted_and_accepted(world: World) -> None:
    payload = await acquired(world)
    await world.patch(payload, "0-2", b"abc")
    assert (await world.put(payload, "success", checksum=checksum(b"ab"))).status_code == 200
    assert job(world, payload).count(LedgerKind.CHECKSUM_MISMATCH) == 1


async def test_a_runners_own_limit_shortens_the_timeout(world: World) -> None:
    world.runner = added(world.coordinator, maximum_timeout=timedelta(minutes=15))
    assert (await acquired(world))["runner_info"]["timeout"] == 900
