"""Every route obeys the statements: what may not be read is not there, the rest is refused by name (§9)."""

import asyncio
import json

import httpx
import pytest
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Effect, Statement

from tests.support.served_pipelines import authorization, definition, now, served, serving

PEOPLE = {
    "nobody": (),
    "reader": (Statement(identity=("reader",), role="read", resource=("pipeline=shown",)),),
    "starter": (Statement(identity=("group:dev",), role="start", resource=("pipeline=shown",)),),
    "stopped": (
        Statement(identity=("stopped",), role="start", resource=("*",)),
        Statement(
            identity=("stopped",), method=("start", "cancel"), resource=("pipeline=*",), effect=Effect.DENY
        ),
        Statement(identity=("stopped",), method=("read",), resource=("pipeline=hidden",), effect=Effect.DENY),
    ),
    "blind": (
        Statement(identity=("blind",), role="read", resource=("pipeline=shown",)),
        Statement(identity=("blind",), method=("read",), resource=("log=shown/*",), effect=Effect.DENY),
    ),
}
ACCESS = tuple(each for statements in PEOPLE.values() for each in statements)
SEES = {"reader", "starter", "stopped", "blind"}


def claims(name):
    return authorization({"sub": name, "groups": ["dev"] if name == "starter" else []})


@pytest.fixture
async def world(tmp_path):
    definitions = [definition("shown"), definition("hidden")]
    async with serving(served(tmp_path, *definitions, access=Access(ACCESS))) as found:
        found.client.headers.clear()
        yield found


def started(world, pipeline):
    return world.engine.schedule(pipeline, variables={}, user="owner").run_id


@pytest.mark.parametrize("name", PEOPLE)
async def test_every_route_answers_as_the_statements_say(world, name):
    shown, hidden = started(world, "shown"), started(world, "hidden")
    sees = name in SEES

    async def status(method, path, **more):
        return (await world.client.request(method, path, headers=claims(name), **more)).status_code

    assert await status("GET", f"/job/detail?id={shown}") == (200 if sees else 404)
    assert await status("GET", f"/job/detail?id={hidden}") == 404
    logs = 200 if sees and name != "blind" else 404
    assert await status("GET", f"/job/logs?id={shown}&task=test") == logs
    assert await status("GET", f"/job/logs?id={hidden}&task=test") == 404
    cancels = 200 if name == "starter" else 403 if sees else 404
    assert await status("POST", f"/job/cancel?id={shown}") == cancels
    assert await status("POST", f"/job/cancel?id={hidden}") == 404
    starts = 202 if name == "starter" else 403 if sees else 400
    assert await status("POST", "/pipelines/schedule", json={"pipeline": "shown"}) == starts
    assert await status("POST", "/pipelines/schedule", json={"pipeline": "hidden"}) == 400
    listed = (await world.client.get("/pipelines", headers=claims(name))).json()["pipelines"]
    assert [each["pipeline"] for each in listed] == (["shown"] if sees else [])
    everything = (await world.client.get("/pipelines/jobs", headers=claims(name))).json()
    assert {each["pipeline"] for each in everything["jobs"]} == ({"shown"} if sees else set())


async def test_what_is_hidden_is_answered_like_what_is_not_there(world):
    hidden = started(world, "hidden")

    async def answer(pipeline, run_id):
        asked = [
            await world.client.get(f"/job/detail?id={run_id}", headers=claims("reader")),
            await world.client.get(f"/job/logs?id={run_id}&task=test", headers=claims("reader")),
            await world.client.post(f"/job/cancel?id={run_id}", headers=claims("reader")),
            await world.client.post(
                "/pipelines/schedule", headers=claims("reader"), json={"pipeline": pipeline}
            ),
        ]
        return [(each.status_code, each.text.replace(pipeline, "?")) for each in asked]

    nothing = await answer("nothing", "52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8")
    assert await answer("hidden", hidden) == nothing


async def test_a_refusal_says_who_what_and_where_and_is_noted(world):
    shown = started(world, "shown")
    answer = await world.client.post(f"/job/cancel?id={shown}", headers=claims("reader"))
    assert (answer.status_code, answer.json()) == (403, {"error": "reader may not cancel pipeline=shown"})
    [line] = await world.served.audit.newest(1)
    assert (line.who, line.what, line.resource, line.outcome) == (
        *("reader", "cancel", "pipeline=shown"),
        "refused",
    )


async def test_a_stream_tells_what_may_be_read_alone(world):
    hidden, seen = started(world, "hidden"), []
    async with world.client.stream("GET", "/runs/stream", headers=claims("reader")) as stream:
        lines = stream.aiter_lines()

        async def next_data():
            async for line in lines:
                if line.startswith("data: "):
                    seen.append(line)
                    return json.loads(line.removeprefix("data: "))
            raise AssertionError("the stream has ended")

        assert (await next_data())["jobs"] == []
        world.engine.cancel(hidden)
        later = started(world, "hidden")
        shown = started(world, "shown")
        async with asyncio.timeout(30):
            while (found := await next_data()) and (isinstance(found, list) or found.get("id") != shown):
                pass
    assert not any(run_id in line for line in seen for run_id in (hidden, later, '"hidden"'))


async def test_pages_and_metrics_show_what_may_be_read_alone(world):
    from paas_pipelines.pages.site import PipelinePages
    from paas_pipelines.server import metrics
    from paas_pipelines.triggers.feed import Feed
    from starlette.applications import Starlette

    shown, hidden = started(world, "shown"), started(world, "hidden")
    app = Starlette(routes=list(PipelinePages(world.served).routes()))
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as pages:
        for path in ("/", "/runs", "/runs?pipeline=hidden"):
            page = await pages.get(path, headers=claims("reader"))
            assert page.status_code == 200
            assert "name=hidden" not in page.text
            assert hidden not in page.text
        for path, status in (
            (f"/run?id={shown}", 200),
            (f"/run?id={hidden}", 404),
            (f"/task?id={hidden}&task=test", 404),
            ("/pipeline?name=shown", 200),
            ("/pipeline?name=hidden", 404),
        ):
            assert (await pages.get(path, headers=claims("reader"))).status_code == status
        own = {**claims("reader"), "Sec-Fetch-Site": "same-origin"}
        assert (await pages.post(f"/run?id={shown}", headers=own)).status_code == 403
        assert (await pages.post("/pipeline?name=shown", headers=own)).status_code == 403
    feed = await Feed.opened(world.engine, world.served.journal, now)
    assert metrics.route(world.served, feed).path == "/metrics"
