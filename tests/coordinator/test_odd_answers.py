"""Whatever coordinator and cloud answer, a call ends in a value or in one of the errors that callers know."""

import asyncio
import random
import time

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from executors.clever.api import CatalogueApi, CleverApi
from paas_runner.coordinator.gitlab import GitLabCoordinator
from paas_runner.coordinator.runner_records import Attributes, RunnerRecords
from paas_runner.errors import RemoteError
from paas_runner.http import Http
from paas_runner.http.response import LONGEST_PAUSE_SECONDS
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import run_virtual
from tests.support.oddities import ODD_STATUSES, odd_body, odd_headers
from tests.support.often import often

TOKEN = Secret("canary-token")
DOCUMENTS = [
    {"id": 1, "token": "t", "token_expires_at": "2026-03-01T10:00:00Z"},
    {"id": 1, "status": "running", "message": {"a": ["b"]}},
    {"message": "no", "error": "x", "id": 4001},
    [{"name": "M", "mem": 8192, "available": True, "price": 1.5, "price_id": "x"}],
    [{"type": "docker", "version": "20260101", "enabled": True, "variant": {"id": "v", "slug": "docker"}}],
    {
        "id": "app_1",
        "name": "hpd-job-x-1",
        "creationDate": 1_700_000_000_000,
        "deployment": {"httpUrl": "https://push/app.git", "repoState": "CREATED"},
        "instance": {"maxFlavor": {"name": "M"}},
        "env": [{"name": "A", "value": "b"}],
    },
    [{"uuid": "d", "state": "OK", "date": 1_700_000_000_000, "action": "DEPLOY"}],
]


def verbs(connect):
    """Each call that the service makes, and the clients to close."""
    coordinator = GitLabCoordinator(
        "http://peer.test", token=TOKEN, system_id="s_0123456789ab", connect=connect
    )
    records = RunnerRecords(url="http://peer.test", connect=connect)
    catalogue = CatalogueApi("http://peer.test/v2", connect)
    cloud = CleverApi("http://peer.test/v2", organisation="orga_1", token=TOKEN, connect=connect)
    failure = Failure(reason=FailureReason.SYSTEM, text="No host today.")
    definition = {"maxFlavor": "M", "zone": "par", "name": "x"}
    calls = [
        lambda: coordinator.request_job(seen="a1"),
        lambda: coordinator.touch(1, TOKEN),
        lambda: coordinator.status(1, TOKEN),
        lambda: coordinator.trace_state(1, TOKEN),
        lambda: coordinator.append_trace(1, TOKEN, "text", begun=True),
        lambda: coordinator.report_failed(1, TOKEN, failure),
        records.probe,
        lambda: records.verify(TOKEN),
        lambda: records.register(TOKEN, Attributes(description="x")),
        lambda: records.unregister(TOKEN),
        lambda: catalogue.flavors("docker"),
        catalogue.instances,
        catalogue.zones,
        lambda: cloud.create(definition),
        cloud.applications,
        lambda: cloud.application("app_1"),
        lambda: cloud.deployments("app_1", limit=5),
        lambda: cloud.machines("app_1"),
        lambda: cloud.env("app_1"),
        lambda: cloud.set_env("app_1", {"A": "b"}),
        lambda: cloud.delete("app_1"),
    ]
    return calls, (coordinator, catalogue, cloud)


def odd_answer(rng):
    return httpx.Response(
        rng.choice(ODD_STATUSES), headers=odd_headers(rng), stream=httpx.ByteStream(odd_body(DOCUMENTS, rng))
    )


async def _error_of(call):
    try:
        await call()
    except RemoteError as error:
        return error
    return None


async def all_called(rng, transport):
    calls, clients = verbs(Http(rng=random.Random(1), transport=lambda _url: transport))
    begun = time.thread_time()
    for call in calls:
        error = await _error_of(call)
        if error:
            assert error.retry_after is None or 0 <= error.retry_after <= LONGEST_PAUSE_SECONDS
            assert len(str(error)) < 2000
            assert "canary" not in str(error)
    assert time.thread_time() - begun < 5
    for client in clients:
        await client.aclose()


@settings(max_examples=10)
@given(st.randoms(use_true_random=False))
def test_no_answer_is_too_odd(rng):
    run_virtual(all_called(rng, httpx.MockTransport(lambda _request: odd_answer(rng))))


@pytest.mark.soak
@pytest.mark.long
@settings(max_examples=often(300))
@given(st.randoms(use_true_random=False))
def test_none_of_thousands_of_answers_is_too_odd(rng):
    run_virtual(all_called(rng, httpx.MockTransport(lambda _request: odd_answer(rng))))


async def _serving(rng, reader, writer):
    try:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(_on_the_wire(rng))
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


def _on_the_wire(rng):
    body = odd_body(DOCUMENTS, rng)
    lines = [f"HTTP/1.1 {rng.choice((*ODD_STATUSES, 0, 99, 1000, 'x'))} X"]
    lines += [f"{name}: {value}" for name, value in odd_headers(rng).items()]
    length = rng.choice((len(body), len(body), len(body), len(body) + 5, 0, "x", "1, 2"))
    lines += rng.choice(([f"Content-Length: {length}"], ["Transfer-Encoding: chunked"], []))
    return "\r\n".join([*lines, "", ""]).encode(errors="replace") + body


@pytest.mark.long
async def test_on_real_sockets_no_answer_is_too_odd_and_none_stops_the_loop():
    rng = random.Random(12)
    server = await asyncio.start_server(lambda reader, writer: _serving(rng, reader, writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    latest = []

    async def probe():
        while True:
            before = (
                time.thread_time()
            )  # of our own work: what others do on this machine holds nobody up for good
            await asyncio.sleep(0.01)
            latest.append(time.thread_time() - before)

    probing = asyncio.ensure_future(probe())
    api = Http(rng=rng)(f"http://127.0.0.1:{port}", service="odd")
    for _ in range(often(600)):
        try:
            answer = await api.call("POST", "/x", op="ask", payload={}, within=2)
            _ = answer.summary, answer.date, answer.retry_after, answer.reference
        except RemoteError:
            continue
    probing.cancel()
    await api.aclose()
    server.close()
    assert sorted(latest)[-max(2, len(latest) // 100)] < 0.1, "the loop stood still"
