"""The HTTP/1 of the helper service byte by byte, over real sockets (rows H137 to H140)."""

import asyncio
import contextlib
import json

import pytest

from paas_runner.helper.http1_listener import Bounds
from paas_runner.helper.protocol import MOST_REQUEST_BYTES, JobKey
from tests.helper.conftest import TOKEN, launch, settled

AUTHORIZED = f"Authorization: Bearer {TOKEN}\r\n"
JOB = JobKey("r", 7)


@contextlib.asynccontextmanager
async def connected(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


async def exchanged(reader, writer, text):
    """Status, headers in lower case, and body of the answer to these bytes."""
    writer.write(text if isinstance(text, bytes) else text.encode())
    await writer.drain()
    async with asyncio.timeout(30):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return int(head[0].split()[1]), headers, body


async def asked(port, method, path, body=b"", more=AUTHORIZED):
    text = f"{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    async with connected(port) as (reader, writer):
        status, headers, found = await exchanged(reader, writer, text.encode() + body)
    return status, headers, json.loads(found)


def launched(request):
    return json.dumps(request.as_json()).encode()


async def test_the_whole_life_of_a_job_in_the_words_of_111(world):
    async with world.listening() as (_, port):
        assert (await asked(port, "GET", "/can-take-job"))[::2] == (200, True)
        assert (await asked(port, "POST", "/launch-job", launched(launch())))[0] == 201
        assert (await asked(port, "GET", "/can-take-job"))[::2] == (200, False)
        assert (await asked(port, "GET", "/r/7"))[::2] == (200, {"running": True, "exit_code": None})
        world.host.child.ended.set_result(0)
        await settled()
        assert (await asked(port, "GET", "/r/7"))[::2] == (200, {"running": False, "exit_code": 0})
        assert (await asked(port, "DELETE", "/r/7"))[::2] == (200, {"was_known": True})
        assert (await asked(port, "GET", "/r/7"))[0] == 404
        assert (await asked(port, "DELETE", "/r/7"))[::2] == (200, {"was_known": False})
        assert (await asked(port, "GET", "/can-take-job"))[::2] == (200, True)


async def test_every_answer_says_which_machine_it_is_and_for_how_long_it_stays(world):
    async with world.listening() as (service, port):
        for method, path in (
            ("GET", "/can-take-job"),
            ("GET", "/r/7"),
            ("DELETE", "/r/7"),
            ("POST", "/launch-job"),
        ):
            _, headers, _ = await asked(port, method, path, b"{}")
            assert headers["paas-runner-instance"] == service.instance
            assert headers["paas-runner-lease"] == "600"
            assert "paas-runner-clean" not in headers


async def test_a_machine_that_is_not_clean_says_so(world):
    world.host.left = "a volume"
    async with world.listening() as (_, port):
        await asked(port, "POST", "/launch-job", launched(launch()))
        status, headers, _ = await asked(port, "DELETE", "/r/7")
        assert (status, headers["paas-runner-clean"]) == (200, "no")
        assert (await asked(port, "GET", "/can-take-job"))[2] is False


async def test_while_it_is_cleaned_forgetting_is_accepted(world):
    world.options = {"forget_seconds": 0.01}
    async with world.listening() as (_, port):
        await asked(port, "POST", "/launch-job", launched(launch()))
        world.host.cleaning.clear()
        assert (await asked(port, "DELETE", "/r/7"))[0] == 202
        world.host.cleaning.set()


async def test_a_launch_that_is_repeated_is_created_again_and_begins_nothing(world):
    async with world.listening() as (_, port):
        for _ in range(3):
            assert (await asked(port, "POST", "/launch-job", launched(launch())))[0] == 201
        assert world.host.begun == [7]


async def test_another_job_has_to_wait_as_long_as_111_does(world):
    async with world.listening() as (_, port):
        await asked(port, "POST", "/launch-job", launched(launch()))
        status, headers, said = await asked(port, "POST", "/launch-job", launched(launch(8)))
        assert (status, headers["retry-after"]) == (503, "5")
        assert "another job is here" in said["error"]


async def test_a_job_for_the_host_that_was_here_before_is_refused(world):
    async with world.listening() as (service, port):
        other = AUTHORIZED + "PaaS-Runner-Instance: 0123\r\n"
        assert (await asked(port, "POST", "/launch-job", launched(launch()), other))[0] == 409
        ours = AUTHORIZED + f"paas-runner-instance: {service.instance}\r\n"
        assert (await asked(port, "POST", "/launch-job", launched(launch()), ours))[0] == 201


@pytest.mark.parametrize(
    "more",
    [
        "",
        "Authorization: Bearer \r\n",
        "Authorization: Bearer wrong\r\n",
        f"Authorization: Bearer {TOKEN}x\r\n",
        f"Authorization: Basic {TOKEN}\r\n",
        f"Authorization: {TOKEN}\r\n",
        f"PRIVATE-TOKEN: {TOKEN}\r\n",
        "Authorization: Bearer \xe9\r\n",
    ],
)
async def test_without_the_token_nobody_learns_or_does_anything(world, more):
    async with world.listening() as (service, port):
        before = service._lease
        for method, path in (
            ("GET", "/can-take-job"),
            ("POST", "/launch-job"),
            ("DELETE", "/r/7"),
            ("GET", "/x"),
        ):
            status, headers, said = await asked(port, method, path, launched(launch()), more)
            assert (status, headers["www-authenticate"]) == (401, "Bearer")
            assert not [name for name in headers if name.startswith("paas-runner")]
            assert TOKEN not in json.dumps(said)
        assert service._lease is before
        assert world.host.begun == []


async def test_a_request_renews_the_lease(world):
    async with world.listening() as (service, port):
        before = service._lease.renewed_at
        await asked(port, "GET", "/r/7")
        assert service._lease.renewed_at > before


async def test_without_a_token_of_its_own_it_lets_everybody_in(world):
    async with world.listening(token=None) as (_, port):
        assert (await asked(port, "GET", "/can-take-job", more=""))[::2] == (200, True)


async def test_a_platform_sees_that_something_answers(world):
    async with world.listening() as (_, port), connected(port) as (reader, writer):
        for method in ("GET", "HEAD"):
            status, headers, body = await exchanged(reader, writer, f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert (status, body) == (200, b"")
            assert "paas-runner-instance" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("PUT", "/can-take-job", 405), ("GET", "/launch-job", 405), ("POST", "/r/7", 405), ("GET", "/r/x", 404)],
)
async def test_what_there_is_not_is_told(world, method, path, status):
    async with world.listening() as (_, port):
        assert (await asked(port, method, path))[0] == status


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b'{"job_id": 7}', b"[" * 500 + b"]" * 500])
async def test_a_body_that_is_no_launch_is_refused_with_a_reason(world, body):
    async with world.listening() as (_, port):
        status, _, said = await asked(port, "POST", "/launch-job", body)
        assert status == 400
        assert said["error"].startswith("the body is no job to launch: ")


async def test_requests_follow_each_other_on_one_connection(world):
    text = f"GET /can-take-job HTTP/1.1\r\nHost: h\r\n{AUTHORIZED}\r\n"
    async with world.listening() as (_, port), connected(port) as (reader, writer):
        for _ in range(3):
            assert (await exchanged(reader, writer, text))[0] == 200


async def test_a_body_in_pieces_is_waited_for_when_it_is_asked_for(world):
    body = launched(launch())
    more = f"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n{AUTHORIZED}"
    head = f"POST /launch-job HTTP/1.1\r\nHost: h\r\n{more}\r\n"
    async with world.listening() as (_, port), connected(port) as (reader, writer):
        assert (await exchanged(reader, writer, head))[0] == 100
        pieces = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (body[:10], body[10:]))
        assert (await exchanged(reader, writer, pieces + b"0\r\n\r\n"))[0] == 201


async def test_a_body_that_is_too_long_is_refused_before_it_is_there(world):
    more = f"Content-Length: {MOST_REQUEST_BYTES + 1}\r\n{AUTHORIZED}"
    head = f"POST /launch-job HTTP/1.1\r\nHost: h\r\n{more}\r\n"
    async with world.listening() as (_, port), connected(port) as (reader, writer):
        status, headers, _ = await exchanged(reader, writer, head)
        assert (status, headers["connection"]) == (413, "close")


async def test_the_body_of_a_stranger_is_not_read(world):
    head = "POST /launch-job HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000000\r\n\r\n"
    async with world.listening() as (_, port), connected(port) as (reader, writer):
        status, headers, _ = await exchanged(reader, writer, head)
        assert (status, headers["connection"]) == (401, "close")


@pytest.mark.parametrize(
    "text", ["nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nX: " + "a" * 20_000]
)
async def test_what_is_no_http_is_answered_as_such_and_cut_off(world, text):
    async with world.listening() as (_, port), connected(port) as (reader, writer):
        status, _, _ = await exchanged(reader, writer, text)
        assert status in (400, 431)
        assert await reader.read() == b""


@pytest.mark.parametrize(
    "begun",
    ["", "GET /can", f"POST /launch-job HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n{AUTHORIZED}\r\n12"],
)
async def test_who_is_slow_is_not_waited_for(world, begun):
    bounds = Bounds(head_seconds=0.05, body_seconds=0.05, unread_seconds=0.05)
    async with world.listening(bounds=bounds) as (_, port), connected(port) as (reader, writer):
        writer.write(begun.encode())
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""


async def test_strangers_who_say_nothing_keep_nobody_out(world):
    async with (
        world.listening(bounds=Bounds(connections=3)) as (_, port),
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(10):
            await stack.enter_async_context(connected(port))
        assert (await asked(port, "GET", "/can-take-job"))[0] == 200
