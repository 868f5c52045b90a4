"""Logs of any size and content, whole, raw and followed (P117)."""

import asyncio
import json
import shutil
import tracemalloc

import pytest
from paas_pipelines.api.shapes import PIECE_BYTES
from paas_pipelines.api.task_logs import TaskLogs
from paas_pipelines.store.logs import Stream

from tests.support.events import events, following
from tests.support.served_pipelines import served, serving


@pytest.fixture
async def world(tmp_path):
    async with serving(served(tmp_path)) as found:
        yield found


@pytest.fixture
async def run_id(world):
    return await world.schedule()


async def logs(world, run_id, **query):
    return await world.client.get("/job/logs", params={"id": run_id, "task": "lint", **query})


@pytest.mark.parametrize(
    "said",
    [
        b'quotes " \\ / \x00 \x1b[1m \r\n\t \x7f',
        "äöü 😀 \u2028 \ud7ff".encode(),
        b"a\xff\xc3(\xf0\x9f",
        b"\xed\xa0\x80",
        b"x" * (PIECE_BYTES - 1) + "😀".encode() * 3 + b"\xf0\x9f",
        "😀ä".encode() * PIECE_BYTES,
        b"\xff" * (PIECE_BYTES + 1),
        b"x" * PIECE_BYTES,
    ],
    ids=lambda said: f"{said[:8]!r}-{len(said)}",
)
async def test_what_a_task_says_comes_back_with_broken_utf8_replaced(world, run_id, said):
    output = world.served.logs.output(run_id, "lint")
    output.stdout(said)
    output.stderr(said + b".")
    answer = await logs(world, run_id)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.text.endswith("}\n")
    wanted = said.decode(errors="replace")
    assert answer.json() == {"stdout": wanted, "stderr": (said + b".").decode(errors="replace")}
    raw = await logs(world, run_id, stream="stdout")
    assert raw.content == said
    assert raw.headers["content-type"] == "text/plain; charset=utf-8"
    assert raw.headers["x-content-type-options"] == "nosniff"
    world.complete(run_id)
    async with world.client.stream("GET", f"/job/logs?id={run_id}&task=lint&follow=1") as followed:
        told = [event async for event in events(followed)]
    texts = {stream: "".join(each.data for each in told if each.name == stream) for stream in Stream}
    assert texts["stdout"] == (said + b"out from lint").decode(errors="replace")
    assert texts["stderr"] == (said + b".err from lint").decode(errors="replace")
    assert told[-1].name == "end"
    assert told[-1].data["status"] == "done"


async def test_a_log_is_followed_until_its_task_has_ended(world, run_id):
    output = world.served.logs.output(run_id, "lint")
    async with world.client.stream("GET", f"/job/logs?id={run_id}&task=lint&follow=1") as answer:
        stream = await following(answer)
        output.stdout(b"one")
        assert (await stream.next()).data == "one"
        output.stderr(b"two \xf0\x9f")
        assert (await stream.next()).data == "two "
        output.stderr(b"\x98\x80")
        event = await stream.next()
        assert (event.name, event.data, event.event_id) == ("stderr", "😀", "3-8")
        output.stdout(b"three")
        world.end(run_id, "lint", exit_code=2)
        assert (await stream.next()).data == "three"
        end = await stream.next()
        assert (end.name, end.data["exitCode"]) == ("end", 2)
        assert [event async for event in stream._events] == []


async def test_who_comes_back_goes_on_where_it_was(world, run_id):
    output = world.served.logs.output(run_id, "lint")
    output.stdout(b"0123456789")
    output.stderr(b"abc")
    world.end(run_id, "lint")

    async def told(query="", last=""):
        headers = {"Last-Event-ID": last}
        url = f"/job/logs?id={run_id}&task=lint&follow=1{query}"
        async with world.client.stream("GET", url, headers=headers) as answer:
            return [(each.name, each.data) async for each in events(answer)][:-1]

    assert await told() == [("stdout", "0123456789"), ("stderr", "abc")]
    assert await told(last="7-3") == [("stdout", "789")]
    assert await told("&lastEventId=7-3") == [("stdout", "789")]
    assert await told("&lastEventId=7-3", last="9-3") == [("stdout", "9")]
    assert await told("&stream=stderr&offset=1") == [("stderr", "bc")]
    assert await told("&stream=stdout&offset=99") == []
    assert await told("&stream=stdout", last="9") == [("stdout", "9")]
    assert await told("&stream=stdout", last="9-9") == [("stdout", "0123456789")]
    assert (await logs(world, run_id, stream="stdout", offset=8)).text == "89"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"stream": "stdin"}, "Invalid stream"),
        ({"offset": "-1"}, "Invalid offset"),
        ({"offset": "1" * 19, "stream": "stdout"}, "Invalid offset"),
        ({"follow": "yes"}, "Invalid follow"),
    ],
)
async def test_wrong_values_of_ours_are_refused(world, run_id, query, error):
    answer = await logs(world, run_id, **query)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


async def test_a_run_that_is_removed_ends_those_who_follow_it(world, run_id):
    async with world.client.stream("GET", f"/job/logs?id={run_id}&task=lint&follow=1") as answer:
        stream = await following(answer)
        world.served.logs.output(run_id, "lint").stdout(b"x")
        await stream.next()
        world.engine.book.remove(run_id)
        shutil.rmtree(world.served.logs.folder(run_id))
        world.engine.changes.notify()
        assert (await stream.next()).name == "end"


async def test_64_megabytes_are_never_in_memory_at_once(tmp_path):
    parts = served(tmp_path)
    run = parts.engine.schedule("release_it", variables={})
    output = parts.logs.output(run.run_id, "lint")
    output.stdout(b"a line of a log with some more text in it\n" * (2**26 // 42))
    tracemalloc.start()
    try:
        size = 0
        async for piece in TaskLogs(parts, run.run_id, "lint").as_json():
            size += len(piece)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size > 2**26
    assert peak < 8 * 2**20


async def test_a_long_log_holds_up_nobody(world, run_id):
    world.served.logs.output(run_id, "lint").stdout(b"line\n" * 2**22)
    async with world.client.stream("GET", f"/job/logs?id={run_id}&task=lint") as answer:
        assert (await anext(answer.aiter_bytes())).startswith(b'{"stdout":"')
        async with asyncio.timeout(60):
            assert (await world.client.get("/pipelines/jobs")).status_code == 200
    whole = await logs(world, run_id)
    assert len(json.loads(whole.content)["stdout"]) == 5 * 2**22
