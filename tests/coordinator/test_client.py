"""The client against the sandbox's coordinator, and against every status of the specification."""

import asyncio
import json
import random
from datetime import UTC, datetime

import attrs
import httpx
import pytest

from paas_runner.coordinator.gitlab import GitLabCoordinator
from paas_runner.coordinator.protocol import JobStatus
from paas_runner.errors import Rejected, Transient
from paas_runner.http import Http
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.payload import PayloadError, decode
from paas_runner.pipelines.coordinator import Coordinator as GitLab
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import JobSpec
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.secret import Secret
from tests.support.live_records import submitted

FAILURE = Failure(reason=FailureReason.SYSTEM, text="No host today.")
TOKEN = Secret("job-token-canary")
URL = "http://coordinator"


def client(transport, token="runner-token-canary"):
    connect = Http(rng=random.Random(1), transport=lambda _url: transport)
    return GitLabCoordinator(URL, token=Secret(token), system_id="s_0123456789ab", connect=connect)


class World:
    """A sandbox coordinator with one runner, and our client of it."""

    def __init__(self):
        options = CoordinatorOptions(
            registration_token=Secret("reg"), admin_token=Secret("admin"), long_poll_seconds=0.05
        )
        self.gitlab = GitLab(clock=lambda: datetime.now(UTC), options=options, rng=random.Random(2))
        runner = self.gitlab.runners.add(description="test")
        self.requests = []
        inner = httpx.ASGITransport(create_coordinator_app(self.gitlab))
        requests = self.requests

        class Recording(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request):
                requests.append(request)
                return await inner.handle_async_request(request)

        self.transport = Recording()
        self.client = client(self.transport, token=runner.token.reveal())

    def submit(self, name="build"):
        return submitted(self.gitlab, JobSpec(name=name, script=("true",)))

    async def acquire(self):
        job = self.submit()
        payload = decode((await self.client.request_job()).payload)
        assert payload.job_id == job.job_id
        return job, payload


@pytest.fixture
def world():
    return World()


async def test_a_job_is_acquired_and_read(world):
    job, payload = await world.acquire()
    assert payload.job_name == "build"
    assert job.status == "running"
    assert (await world.client.request_job()).payload is None


async def test_a_request_tells_the_last_update_when_it_may_be_held(world):
    last_update = (await world.client.request_job()).last_update
    assert last_update
    for seen in (last_update, ""):
        await world.client.request_job(seen=seen)
    bodies = [json.loads(request.content) for request in world.requests]
    assert [body.get("last_update") for body in bodies] == [None, last_update, None]
    assert {body["system_id"] for body in bodies} == {"s_0123456789ab"}


async def test_exactly_the_features_of_the_docker_executor_are_announced(world):
    await world.client.request_job()
    info = json.loads(world.requests[0].content)["info"]
    assert info["executor"] == "docker"
    assert {name for name, there in info["features"].items() if not there} == {
        "shared",
        "proxy",
        "session",
        "terminal",
        "vault_secrets",
        "native_steps_integration",
        "job_inputs",
    }


async def test_no_credential_is_ever_in_a_url(world):
    job, payload = await world.acquire()
    await world.client.touch(job.job_id, payload.token)
    await world.client.status(job.job_id, payload.token)
    await world.client.trace_state(job.job_id, payload.token)
    await world.client.append_trace(job.job_id, payload.token, "text", begun=False)
    await world.client.report_failed(job.job_id, payload.token, FAILURE)
    assert {request.url.query for request in world.requests} == {b""}
    assert payload.token.reveal() not in "".join(str(request.url) for request in world.requests)


async def test_the_status_of_a_job_through_its_life(world):
    job, payload = await world.acquire()
    assert await world.client.status(job.job_id, payload.token) is JobStatus.RUNNING
    assert await world.client.touch(job.job_id, payload.token) is JobStatus.RUNNING
    world.gitlab.cancel(job.job_id)
    assert await world.client.status(job.job_id, payload.token) is JobStatus.CANCELING
    assert await world.client.touch(job.job_id, payload.token) is JobStatus.CANCELING
    world.gitlab.cancel(job.job_id, force=True)
    assert await world.client.status(job.job_id, payload.token) is JobStatus.ENDED
    assert await world.client.touch(job.job_id, payload.token) is JobStatus.ENDED


async def test_the_logs_length_is_seen_without_writing_to_it(world):
    job, payload = await world.acquire()
    assert (await world.client.trace_state(job.job_id, payload.token)).size == 0
    world.gitlab.append_trace(job.job_id, 0, "héllo".encode())
    assert (await world.client.trace_state(job.job_id, payload.token)).size == 6
    assert job.trace == "héllo".encode()


async def test_an_explanation_as_long_as_what_the_host_wrote_is_written_behind_it(world):
    job, payload = await world.acquire()
    world.gitlab.append_trace(job.job_id, 0, b"1234567")
    await world.client.append_trace(job.job_id, payload.token, "account", begun=True)
    assert job.trace == b"1234567account"


@pytest.mark.parametrize("url", ["http://coordinator/ci", "http://coordinator/ci/", "http://coordinator/"])
async def test_the_address_of_an_old_configuration_leads_to_the_api(world, url):
    world.client = GitLabCoordinator(
        url,
        token=Secret("x"),
        system_id="s_0123456789ab",
        connect=Http(rng=random.Random(1), transport=lambda _url: world.transport),
    )
    with pytest.raises(Rejected, match="403"):
        await world.client.request_job()
    assert world.requests[-1].url.path == "/api/v4/jobs/request"


async def test_the_wish_of_a_coordinator_for_a_pause_has_bounds():
    for wish in ("1e9", "inf", "nan", "-3"):
        answered = httpx.Response(202, headers={"X-GitLab-Trace-Update-Interval": wish})
        api = client(httpx.MockTransport(lambda _request, reply=answered: reply))
        with pytest.raises(Transient) as caught:
            await api.touch(1, TOKEN)
        assert caught.value.retry_after in (600.0, 0.0, None)


async def test_a_payload_that_is_too_long_still_tells_which_job_to_report(monkeypatch):
    monkeypatch.setattr("paas_runner.coordinator.gitlab.MOST_BYTES", 1000)
    monkeypatch.setattr("paas_runner.job.payload.MOST_BYTES", 1000)
    body = b'{"id": 4711, "token": "glcbt-64_AbC", "x": "' + b"x" * 5000 + b'"}'
    api = client(httpx.MockTransport(lambda _request: httpx.Response(201, content=body)))
    with pytest.raises(PayloadError, match="more than") as caught:
        decode((await api.request_job()).payload)
    assert (caught.value.job_id, caught.value.token.reveal()) == (4711, "glcbt-64_AbC")


@pytest.mark.parametrize("already", [b"", b"what the host had written\n"])
async def test_the_explanation_stands_at_the_end_of_the_log_once(world, already):
    job, payload = await world.acquire()
    if already:
        world.gitlab.append_trace(job.job_id, 0, already)
    await world.client.append_trace(job.job_id, payload.token, "Désolé\n", begun=bool(already))
    if not already:
        await world.client.append_trace(job.job_id, payload.token, "Désolé\n", begun=bool(already))
    assert job.trace == already + "Désolé\n".encode()


async def test_a_failed_job_is_reported_with_its_reason_and_twice_is_as_good_as_once(world):
    """H114: with the exit code of 1.1.1, which `retry:exit_codes` of its users may name."""
    job, payload = await world.acquire()
    await world.client.report_failed(job.job_id, payload.token, FAILURE)
    await world.client.report_failed(job.job_id, payload.token, FAILURE)
    assert (job.status, job.failure_reason, job.exit_code) == ("failed", "runner_system_failure", 103)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (FailureReason.SCRIPT, 103),
        (FailureReason.SYSTEM, 103),
        (FailureReason.TIMEOUT, None),
        (FailureReason.CANCELED, None),
    ],
)
async def test_what_the_job_itself_or_its_author_ended_has_no_exit_code_of_ours(world, reason, code):
    job, payload = await world.acquire()
    await world.client.report_failed(job.job_id, payload.token, Failure(reason=reason, text="so"))
    assert (job.failure_reason, job.exit_code) == (reason, code)


async def test_a_job_that_is_being_canceled_and_reported_failed_is_canceled(world):
    job, payload = await world.acquire()
    world.gitlab.cancel(job.job_id)
    await world.client.report_failed(job.job_id, payload.token, FAILURE)
    assert job.status == "canceled"


def answering(status, headers=None, content=b""):
    return client(
        httpx.MockTransport(lambda _request: httpx.Response(status, headers=headers, content=content))
    )


@pytest.mark.parametrize("status", [204, 409])
async def test_no_job(status):
    assert (await answering(status).request_job(seen="a1")).payload is None


@pytest.mark.parametrize(
    ("status", "headers", "seen", "released"),
    [
        (204, {}, "a1", True),
        (204, {"X-GitLab-Last-Update": "a1"}, "a1", False),  # of the application
        (204, {}, "", False),  # was never held
        (409, {}, "a1", False),
    ],
)
async def test_a_204_of_the_proxy_that_held_the_request_is_known_by_what_it_does_not_tell(
    status, headers, seen, released
):
    assert (await answering(status, headers).request_job(seen=seen)).released is released


async def test_that_requests_are_held_is_told_by_a_header(world):
    assert (await world.client.request_job()).holds
    assert not (await answering(204).request_job()).holds


async def test_a_held_request_of_the_sandbox_is_released_by_a_job_and_the_next_one_brings_it(world):
    last_update = (await world.client.request_job()).last_update
    world.gitlab.options = attrs.evolve(world.gitlab.options, long_poll_seconds=30)
    held = asyncio.ensure_future(world.client.request_job(seen=last_update))
    await asyncio.sleep(0.05)
    world.gitlab.submit_job(JobSpec(name="build"))
    answer = await held
    assert (answer.payload, answer.released) == (None, True)
    assert (await world.client.request_job(seen=last_update)).payload


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 413, 422])
async def test_a_refused_job_request_is_rejected_with_its_status(status):
    with pytest.raises(Rejected) as caught:
        await answering(status).request_job(seen="a1")
    assert caught.value.status == status
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_an_overloaded_coordinator_is_transient(status):
    with pytest.raises(Transient) as caught:
        await answering(status, {"Retry-After": "120"}).request_job(seen="a1")
    assert caught.value.retry_after == 120


@pytest.mark.parametrize("status", [202, 412])
async def test_a_final_word_that_is_not_taken_yet_is_said_again_later(status):
    with pytest.raises(Transient) as caught:
        await answering(status, {"X-GitLab-Trace-Update-Interval": "8"}).report_failed(1, TOKEN, FAILURE)
    assert caught.value.retry_after == 8


def with_two_doors(put, get):
    """A coordinator that answers PUT and GET differently."""
    answers = {"PUT": httpx.Response(put), "GET": httpx.Response(get, json={"status": "running"})}
    return client(httpx.MockTransport(lambda request: answers[request.method]))


@pytest.mark.parametrize("refusal", [403, 404, 409])
@pytest.mark.parametrize("call", ["touch", "status"])
async def test_a_job_is_over_when_both_doors_are_closed(call, refusal):
    assert await getattr(with_two_doors(refusal, 401), call)(1, TOKEN) is JobStatus.ENDED


@pytest.mark.parametrize("refusal", [403, 404, 409])
async def test_one_closed_door_ends_nothing(refusal):
    with pytest.raises(Transient, match="although the job runs"):
        await with_two_doors(refusal, 200).touch(1, TOKEN)
    with pytest.raises(Transient, match="although the job runs"):
        await with_two_doors(refusal, 200).report_failed(1, TOKEN, FAILURE)
    assert await with_two_doors(200, 401).status(1, TOKEN) is JobStatus.RUNNING


@pytest.mark.parametrize("status", [403, 404, 409])
async def test_a_job_that_is_over_needs_no_final_word(status):
    await with_two_doors(status, 401).report_failed(1, TOKEN, FAILURE)


@pytest.mark.parametrize(
    ("call", "status"),
    [
        *[("touch", status) for status in (200, 400, 500)],
        *[("status", status) for status in (200, 400, 404, 500)],
        *[("trace_state", status) for status in (200, 400, 404, 500)],
    ],
)
async def test_no_answer_of_a_confused_coordinator_is_taken_for_an_end(call, status):
    coordinator = answering(status, {"Retry-After": "60"}, b"<html>")
    try:
        answer = await getattr(coordinator, call)(1, TOKEN)
    except (Transient, Rejected):
        return
    assert getattr(answer, "status", answer) is not JobStatus.ENDED


@pytest.mark.parametrize("word", ["success", "failed", "canceled"])
async def test_the_job_status_header_ends_a_job_whatever_the_status_is(word):
    assert await answering(200, {"Job-Status": word}).touch(1, TOKEN) is JobStatus.ENDED
    state = await answering(202, {"Job-Status": word, "Range": "0-1"}).trace_state(1, TOKEN)
    assert state.status is JobStatus.ENDED


@pytest.mark.parametrize(("word", "sure"), [("success", True), ("running", False), (None, False)])
async def test_a_log_that_is_refused_is_that_of_a_job_that_ended_when_the_refusal_says_so(word, sure):
    state = await answering(403, {"Job-Status": word} if word else {}).trace_state(1, TOKEN)
    assert (state.status, state.sure) == (JobStatus.ENDED, sure)


# --- what goes over the wire ------------------------------------------------------------------------------


def listening(*answers):
    """A client, and the requests that it makes of a coordinator with these answers, the last one for ever."""
    seen = []

    def answer(request):
        seen.append(request)
        return answers[min(len(seen), len(answers)) - 1]

    return client(httpx.MockTransport(answer)), seen


async def test_a_request_for_a_job_shows_the_runners_token_in_its_header_as_in_its_body():
    coordinator, seen = listening(httpx.Response(204))
    await coordinator.request_job(seen="a1")
    assert seen[0].headers["RUNNER-TOKEN"] == "runner-token-canary"
    assert json.loads(seen[0].content)["token"] == "runner-token-canary"


@pytest.mark.parametrize("call", ["touch", "report_failed"])
async def test_an_update_passes_over_a_hiccup_of_the_coordinator(call):
    coordinator, seen = listening(httpx.Response(502, headers={"Retry-After": "0"}), httpx.Response(200))
    arguments = (FAILURE,) if call == "report_failed" else ()
    await getattr(coordinator, call)(1, TOKEN, *arguments)
    assert [request.method for request in seen] == ["PUT", "PUT"]


async def test_a_piece_of_the_log_names_its_first_and_its_last_byte():
    coordinator, seen = listening(httpx.Response(202, headers={"Range": "0-10"}))
    await coordinator.append_trace(1, TOKEN, "Désolé!\n", begun=False)
    assert seen[0].headers["Content-Range"] == "0-9"
    assert len(seen[0].content) == 10


async def test_a_skipped_job_is_over():
    assert await answering(200, {"Job-Status": "skipped"}).touch(1, TOKEN) is JobStatus.ENDED


@pytest.mark.parametrize("status", [403, 404, 409])
async def test_a_refusal_that_says_how_the_job_ended_is_believed_without_another_question(status):
    coordinator, seen = listening(httpx.Response(status, headers={"Job-Status": "failed"}))
    assert await coordinator.touch(1, TOKEN) is JobStatus.ENDED
    assert len(seen) == 1
