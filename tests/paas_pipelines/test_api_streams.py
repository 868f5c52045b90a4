"""`GET /runs/stream`: followers get all that changes, miss nothing, and are in nobody's way."""

import asyncio
import contextlib
import json

import httpx
import pytest
from paas_pipelines.api import run_events, streaming
from paas_pipelines.api.run_events import RunEvents
from paas_pipelines.api.shapes import Shapes
from paas_pipelines.api.streaming import Streams
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.revisions import Revisions

from paas_runner.server.connections import Bounds
from tests.support.events import following
from tests.support.served_pipelines import definition, served, serving

ONE_TASK = {"a": TaskDefinition(script=("a",))}


@pytest.fixture
async def world(tmp_path):
    many = definition("many", concurrency=1000, tasks=ONE_TASK, retention_count=1)
    async with serving(served(tmp_path, definition(), many)) as found:
        yield found


@contextlib.asynccontextmanager
async def followed(world, last=""):
    headers = {"Last-Event-ID": last} if last else {}
    async with world.client.stream("GET", "/runs/stream", headers=headers) as answer:
        yield await following(answer)


async def test_a_follower_gets_a_snapshot_then_what_changes(world):
    before = await world.schedule()
    async with followed(world) as stream:
        first = await stream.next()
        assert first.name == "snapshot"
        assert first.data == (await world.client.get("/pipelines/jobs")).json()
        run_id = await world.schedule("many")
        assert (await stream.until("job")).data["id"] == run_id
        world.complete(before)
        ended = await stream.until("job", lambda job: job["completed"])
        assert ended.data == (await world.client.get(f"/job/detail?id={before}")).json()


async def test_pipelines_are_told_when_one_of_them_changes(world):
    async with followed(world) as stream:
        await stream.next()
        await world.schedule("many")
        changed = await stream.until("pipelines")
        assert {"pipeline": "many", "schedulable": True, "running": True} in changed.data


async def test_a_removed_run_is_told(world):
    run_ids = [await world.schedule("many") for _ in range(2)]
    for run_id in run_ids:
        world.complete(run_id)
    async with followed(world) as stream:
        await stream.next()
        world.engine.retain()
        assert (await stream.until("removed")).data == {"id": run_ids[0]}


async def test_who_comes_back_gets_what_it_missed_each_run_once(world):
    run_ids = [await world.schedule("many") for _ in range(3)]
    async with followed(world) as stream:
        last = (await stream.next()).event_id
    for _ in range(3):
        world.engine.submitted(run_ids[1], "a", 7)
    world.complete(run_ids[2])
    world.complete(run_ids[0])
    new = await world.schedule("many")
    world.engine.retain()
    async with followed(world, last) as stream:
        told = [await stream.next() for _ in range(4)]
    assert [(each.name, each.data["id"]) for each in told[:2]] == [("job", run_ids[1]), ("job", new)]
    assert {each.name for each in told[2:]} == {"removed"}
    assert {each.data["id"] for each in told[2:]} == {run_ids[0], run_ids[2]}
    async with followed(world, told[1].event_id) as stream:
        assert (await stream.next()).data["id"] == told[2].data["id"]


@pytest.mark.parametrize("last", ["another-3", "x", "-", "99999999999999999999", "٣-٣", "{}-" + 5000 * "9"])
async def test_an_id_that_is_not_of_this_life_brings_a_snapshot(world, last):
    async with followed(world, "") as stream:
        last = last.format((await stream.next()).event_id.partition("-")[0])
    async with world.client.stream("GET", "/runs/stream", headers={"Last-Event-ID": last.encode()}) as answer:
        assert (await (await following(answer)).next()).name == "snapshot"


def test_removed_runs_are_forgotten_some_day_and_then_all_is_told():
    revisions = Revisions(most_removed=2)
    for number in range(3):
        revisions.saved(f"run {number}")
    assert revisions.since(0) == [(1, "run 0"), (2, "run 1"), (3, "run 2")]
    for number in range(3):
        revisions.removed(f"run {number}")
    assert revisions.since(3) is None
    assert revisions.since(4) == [(5, "run 1"), (6, "run 2")]
    assert revisions.since(6) == []
    assert revisions.since(7) is None


async def test_a_quiet_stream_has_heartbeats(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    parts = served(tmp_path)
    events = RunEvents(parts, Shapes(parts.engine)).since("")
    async with asyncio.timeout(60):
        while await anext(events) != b":\n\n":
            pass
    await events.aclose()


async def test_changes_that_come_fast_are_told_in_pieces_with_none_missing(world, monkeypatch):
    monkeypatch.setattr(run_events, "_AT_ONCE", 7)
    async with followed(world) as stream:
        await stream.next()
        run_ids = [world.engine.schedule("many", variables={}).run_id for _ in range(60)]
        told = [(await stream.until("job")).data["id"] for _ in range(60)]
    assert told == run_ids


async def test_a_follower_who_reads_nothing_holds_up_nobody_and_costs_nothing(world):
    """Neither a queue nor a copy: after all the changes it gets each run once, as it is."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=2**16)
    token = world.client.headers["authorization"]
    writer.write(f"GET /runs/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
    await reader.readuntil(b"event: snapshot")
    run_ids = [await world.schedule("many", variables={"long": "x" * 20_000}) for _ in range(100)]
    for run_id in run_ids:
        world.complete(run_id)
        assert (await world.client.get(f"/job/detail?id={run_id}")).json()["completed"]
    complete = set()
    while len(complete) < 100:
        line = await _line(reader)
        if line.startswith(b"data: {") and b'"completed":true' in line:
            complete.add(json.loads(line[6:])["id"])
    assert complete == set(run_ids)
    writer.close()


async def _line(reader):
    line = b""
    while not line.endswith(b"\n"):
        try:
            line += await asyncio.wait_for(reader.readuntil(b"\n"), 60)
        except asyncio.LimitOverrunError as overrun:
            line += await reader.readexactly(overrun.consumed)
    return line


async def test_who_takes_nothing_for_too_long_is_cut_off(world, caplog):
    async with serving(world.served, streams=Streams(slowest_seconds=0.2)) as impatient:
        reader, writer = await asyncio.open_connection("127.0.0.1", impatient.port, limit=2**10)
        token = world.client.headers["authorization"]
        writer.write(f"GET /runs/stream HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
        await reader.readuntil(b"event: snapshot")
        for _ in range(300):
            world.engine.schedule("many", variables={"long": "x" * 100_000})
        await asyncio.sleep(1)
        with contextlib.suppress(ConnectionError):
            assert len(await asyncio.wait_for(reader.read(), 60)) < 30_000_000
        writer.close()
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_the_number_of_streams_is_bounded(tmp_path):
    async with serving(served(tmp_path), streams=Streams(3)) as world, contextlib.AsyncExitStack() as stack:
        streams = [await stack.enter_async_context(followed(world)) for _ in range(3)]
        assert [(await stream.next()).name for stream in streams] == ["snapshot"] * 3
        answer = await world.client.get("/runs/stream")
        assert (answer.status_code, answer.json()) == (503, {"error": "Too many streams: try again later"})
        assert (await world.client.get("/pipelines")).status_code == 200
        await stack.aclose()
        async with asyncio.timeout(60):
            while True:
                async with world.client.stream("GET", "/runs/stream") as again:
                    if again.status_code == 200:
                        break


async def test_a_stream_outlives_the_bound_for_answers(tmp_path):
    bounds = Bounds(connections=8, head_seconds=10, answer_seconds=0.0, idle_seconds=1)
    async with serving(served(tmp_path), bounds=bounds) as world, followed(world) as stream:
        await stream.next()
        await asyncio.sleep(1.5)
        await world.schedule()
        assert (await stream.until("job")).data["pipeline"] == "release_it"


async def test_nobody_is_left_subscribed(world):
    for _ in range(3):
        async with followed(world) as stream:
            await stream.next()
    async with asyncio.timeout(60):
        while world.engine.changes._subscribers:
            await asyncio.sleep(0.01)


async def test_a_stopped_server_ends_its_streams(tmp_path):
    async with contextlib.AsyncExitStack() as stack:
        async with serving(served(tmp_path)) as world:
            client = await stack.enter_async_context(
                httpx.AsyncClient(base_url=world.client.base_url, headers=world.client.headers)
            )
            answer = await stack.enter_async_context(client.stream("GET", "/runs/stream"))
            stream = await following(answer)
            await stream.next()
        with pytest.raises(httpx.TransportError):
            await stream.next()
