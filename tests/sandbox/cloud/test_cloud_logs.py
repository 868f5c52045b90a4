"""Application logs as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import attrs
import httpx
import pytest

from paas_runner.sandbox.cloud import Application, Cloud, create_app
from paas_runner.server.listening import Listener
from tests.support.clouds import FILES, TOKEN, Program, new_application, real_cloud

HEADERS = {"Authorization": f"token {TOKEN.reveal()}", "Accept": "text/event-stream"}


@attrs.frozen
class Logs:
    cloud: Cloud
    app: Application
    client: httpx.AsyncClient

    @property
    def path(self) -> str:
        return f"/v4/logs/organisations/{self.app.organisation_id}/applications/{self.app.id}/logs"

    async def read(self, headers: dict[str, str] | None = None, **query: Any) -> list[dict[str, Any]]:
        response = await self.client.get(self.path, params=query, headers=headers)
        assert response.headers["content-type"].startswith("text/event-stream")
        return [_event(block) for block in response.text.split("\n\n") if block]


def _event(block: str) -> dict[str, Any]:
    event: dict[str, Any] = dict(line.split(": ", 1) for line in block.split("\n"))
    return {**event, "data": json.loads(event["data"])}


@pytest.fixture
async def logs() -> AsyncIterator[Logs]:
    cloud, organisation = real_cloud(Program(seconds=None))
    app = new_application(cloud, organisation)
    cloud.received_push(app.id, "c1", FILES)
    while not list(app.log.after("")):
        await asyncio.sleep(0)
    transport = httpx.ASGITransport(create_app(cloud))
    async with httpx.AsyncClient(transport=transport, base_url="http://cloud", headers=HEADERS) as client:
        yield Logs(cloud, app, client)
    await cloud.aclose()


def now() -> str:
    return datetime.now(UTC).isoformat()


async def test_past_lines_are_sent_and_the_stream_ends_when_its_end_is_reached(logs: Logs) -> None:
    *lines, end = await logs.read(until=now())
    assert [line["event"] for line in lines] == ["APPLICATION_LOG", "APPLICATION_LOG"]
    assert lines[0]["data"]["message"] == "Deploying commit ID c1"
    assert lines[0]["data"]["deploymentId"] == logs.app.deployments[1].uuid
    assert (end["event"], end["data"]) == ("END_OF_STREAM", {"endedBy": "UNTIL_REACHED"})


async def test_a_limit_ends_the_stream(logs: Logs) -> None:
    line, end = await logs.read(limit=1)
    assert (line["event"], end["data"]) == ("APPLICATION_LOG", {"endedBy": "LIMIT_REACHED"})


async def test_a_reader_resumes_after_the_last_line_it_has(logs: Logs) -> None:
    first, second, _ = await logs.read(until=now())
    resumed = await logs.read(headers={"Last-Event-ID": first["id"]}, until=now())
    assert [event.get("id") for event in resumed] == [second["id"], None]


async def test_lines_are_selected_by_deployment_and_time(logs: Logs) -> None:
    assert len(await logs.read(until=now(), deploymentId="deployment_x")) == 1
    assert len(await logs.read(until=now(), since=now())) == 1


async def test_lines_are_selected_by_their_text(logs: Logs) -> None:
    line, _ = await logs.read(until=now(), filter="Build succeeded")
    assert line["data"]["message"] == "Build succeeded in 0 seconds"


async def test_a_wrong_query_is_refused_in_the_v4_form(logs: Logs) -> None:
    for query in ({"since": "yesterday"}, {"since": "2026-01-01"}, {"limit": "0"}):
        response = await logs.client.get(logs.path, params=query)
        assert (response.status_code, response.json()["code"]) == (400, "clever.core.bad-request")
    unknown = await logs.client.get(logs.path.replace("app_", "app_x"))
    assert unknown.json()["code"] == "clever.core.not-found"


async def test_the_log_can_be_closed_to_the_kind_of_token_that_opens_the_rest(logs: Logs) -> None:
    logs.cloud.options = attrs.evolve(logs.cloud.options, logs_refused=True)
    response = await logs.client.get(logs.path, params={"until": now()})
    assert (response.status_code, response.json()["code"]) == (403, "clever.core.forbidden")


async def test_an_open_stream_beats_and_carries_new_lines(logs: Logs) -> None:
    listener = Listener(create_app(logs.cloud))
    await listener.start()
    try:
        async with (
            httpx.AsyncClient(base_url=listener.url, headers=HEADERS, trust_env=False) as client,
            client.stream("GET", logs.path) as response,
        ):
            blocks = _blocks(response)
            first = [await anext(blocks) for _ in range(3)]
            logs.app.log.write("more", deployment="d", commit="c", instance="i")
            fourth = await anext(blocks)
            assert [event["event"] for event in first] == ["APPLICATION_LOG"] * 2 + ["HEARTBEAT"]
            assert fourth["data"]["message"] == "more"
    finally:
        await listener.stop()


async def _blocks(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    lines: list[str] = []
    async for line in response.aiter_lines():
        if line:
            lines.append(line)
        else:
            yield _event("\n".join(lines))
            lines = []
