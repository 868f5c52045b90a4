"""The network below the client: what is kept, what is sent twice, what an answer may look like."""

import asyncio
import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.errors import Transient
from paas_runner.http import Http, HttpClient
from paas_runner.http import transport as transports
from paas_runner.http.connection import MOST_HEAD_BYTES, MOST_INFORMATIONAL, Connection
from tests.support.bounded import cheap
from tests.support.often import often
from tests.support.processes import until
from tests.support.wire_server import OK, Reply, Server, client_of, listening


async def get(api: HttpClient, path: str = "/x") -> bytes:
    return (await api.call("GET", path, op="look", within=5.0)).body


class Wire(asyncio.Transport):
    """The loop's side of a connection, in memory."""

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


CHUNKS = b"6;extension\r\nhello \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nA: b\r\n\r\nhello world",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA: b\r\n\r\n" + CHUNKS,
    b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 11\r\n\r\nhello world",
]


@given(answer=st.sampled_from(ANSWERS), cuts=st.lists(st.integers(1, 120), max_size=12), end=st.booleans())
@settings(max_examples=often(150))
def test_an_answer_is_the_same_however_it_is_split(answer: bytes, cuts: list[int], end: bool) -> None:
    places = sorted({0, *(cut for cut in cuts if cut < len(answer)), len(answer)})
    pieces = [answer[a:b] for a, b in itertools.pairwise(places)]

    async def exchange() -> tuple[int, dict[bytes, bytes], bytes]:
        connection = Connection()
        connection.connection_made(Wire())

        async def arrive() -> None:
            for piece in pieces:
                connection.data_received(piece)
                await asyncio.sleep(0)
            if end:
                connection.eof_received()

        arriving = asyncio.ensure_future(arrive())
        head = await connection.ask("GET", b"/", [(b"Host", b"x")])
        body = b""
        while (piece := await connection.piece()) is not None:
            body += piece
        await arriving
        assert connection.over is not end
        return head.status_code, dict(head.headers), body

    status, headers, body = asyncio.run(exchange())
    assert (status, headers[b"a"], body) == (200, b"b", b"hello world")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_may_be_repeated_is_sent_once_more_where_a_kept_connection_ends_without_an_answer(
    method: str,
) -> None:
    serve = Server([OK, None], [OK])
    async with client_of(serve) as api:
        await get(api)
        assert (await api.call(method, "/again", op="look")).status == 200
    assert serve.requests == [
        ["GET /x HTTP/1.1", f"{method} /again HTTP/1.1"],
        [f"{method} /again HTTP/1.1"],
    ]


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
async def test_what_may_not_be_repeated_is_sent_once_whatever_becomes_of_it(method: str) -> None:
    serve = Server([OK, None], [OK])
    async with client_of(serve) as api:
        await get(api)
        with pytest.raises(Transient, match="no answer"):
            await api.call(method, "/ask", op="ask")
    assert serve.requests == [["GET /x HTTP/1.1", f"{method} /ask HTTP/1.1"]]


async def test_a_new_connection_that_ends_without_an_answer_is_not_tried_again() -> None:
    serve = Server([OK, None], [None])
    async with client_of(serve) as api:
        await get(api)
        with pytest.raises(Transient, match="no answer"):
            await get(api)
    assert len(serve.requests) == 2


async def test_what_has_begun_to_be_answered_is_not_sent_again() -> None:
    serve = Server([OK, b"HTTP/1.1 200 OK\r\nContent-Le"], [OK])
    async with client_of(serve) as api:
        await get(api)
        with pytest.raises(Transient, match="no answer"):
            await get(api)
    assert len(serve.requests) == 1


async def test_what_may_not_be_repeated_takes_no_connection_that_the_server_may_just_be_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transports, "FRESH_SECONDS", -1.0)
    serve = Server([OK, OK, OK])
    async with client_of(serve) as api:
        await get(api)
        await api.call("POST", "/ask", op="ask")
        await get(api)
    assert sorted(len(each) for each in serve.requests) == [1, 2]


async def test_a_connection_that_is_too_old_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "KEPT_SECONDS", -1.0)
    serve = Server([OK, OK])
    async with client_of(serve) as api:
        await get(api)
        await get(api)
    assert [len(each) for each in serve.requests] == [1, 1]


async def test_a_connection_that_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transports, "KEPT_SECONDS", 0.02)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(OK)
        heard.append(await reader.read())

    async with listening(serve) as port:
        api = Http()(f"http://127.0.0.1:{port}", service="test")
        await get(api)
        await until(lambda: len(heard) == 2)
        await api.aclose()
    assert heard[1] == b""


async def test_a_connection_that_the_server_has_closed_meanwhile_is_not_used() -> None:
    serve = Server([OK], [OK])
    async with client_of(serve) as api:
        await get(api)
        await asyncio.sleep(0.05)
        assert (await api.call("POST", "/ask", op="ask")).status == 200
    assert len(serve.requests) == 2


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
async def test_an_answer_may_end_with_its_connection(reply: bytes) -> None:
    serve = Server([reply], [OK])
    async with client_of(serve) as api:
        assert await get(api) == b"hello"
        assert await get(api) == b"{}"
    assert len(serve.requests) == 2


async def test_a_chunked_answer_with_trailers_leaves_its_connection_as_good_as_new() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nChecksum: 1\r\n\r\n"
    serve = Server([chunked, OK])
    async with client_of(serve) as api:
        assert await get(api) == b"hello"
        assert await get(api) == b"{}"
    assert len(serve.requests) == 1


async def test_an_answer_without_a_body_leaves_nothing_for_the_next() -> None:
    bodiless = b"HTTP/1.1 204 No Content\r\n\r\n", b"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", OK
    serve = Server([*bodiless])
    async with client_of(serve) as api:
        assert [await get(api) for _ in range(3)] == [b"", b"", b"{}"]
    assert len(serve.requests) == 1


async def later(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK)
    await writer.drain()
    await asyncio.sleep(0.02)
    writer.write(b"HTTP/1.1 201 Forged\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("reply", [OK + b"HTTP/1.1 201 Forged\r\nContent-Length: 0\r\n\r\n", later])
async def test_what_a_server_says_without_being_asked_is_no_answer(reply: Reply) -> None:
    serve = Server([reply, OK], [OK])
    async with client_of(serve) as api:
        assert await get(api) == b"{}"
        await asyncio.sleep(0.05)
        assert (await api.call("GET", "/x", op="look")).status == 200
    assert len(serve.requests) == 2


async def half(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
    await asyncio.sleep(3600)


async def test_a_call_that_is_cancelled_leaves_its_connection_to_nobody() -> None:
    serve = Server([OK, half], [OK])
    async with client_of(serve) as api:
        await get(api)
        cut_off = asyncio.ensure_future(get(api, "/half"))
        await asyncio.sleep(0.05)
        cut_off.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cut_off
        assert await get(api) == b"{}"
    assert [len(each) for each in serve.requests] == [2, 1]


async def test_an_answer_that_is_announced_is_waited_for_and_one_that_is_only_announced_is_not() -> None:
    early = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"
    async with client_of(Server([early + OK, early * MOST_INFORMATIONAL + OK])) as api:
        assert await get(api) == b"{}"
        with pytest.raises(Transient, match="no answer"):
            await get(api)


async def endless(writer: asyncio.StreamWriter, piece: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()


async def headers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await endless(writer, b"X-Header: 1\r\n" * 100)


async def one_header(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nX-Header: ")
    await endless(writer, b"1" * 1000)


async def trailers(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n")
    await endless(writer, b"X-Trailer: 1\r\n" * 100)


async def announcements(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await endless(writer, b"HTTP/1.1 102 Wait\r\n\r\n" * 100)


@pytest.mark.parametrize("reply", [headers, one_header, trailers, announcements])
async def test_a_head_without_an_end_is_given_up_early(reply: Reply) -> None:
    async with client_of(Server([reply])) as api:
        with cheap(mebibytes=4), pytest.raises(Transient, match="no answer"):
            await api.call("GET", "/x", op="look", within=60.0)


async def test_a_long_head_is_read() -> None:
    header = b"X-Long: " + b"x" * (MOST_HEAD_BYTES - 1000) + b"\r\n"
    async with client_of(Server([b"HTTP/1.1 200 OK\r\n" + header + b"Content-Length: 2\r\n\r\n{}"])) as api:
        assert await get(api) == b"{}"


async def test_a_switch_to_another_protocol_is_no_answer() -> None:
    switch = b"HTTP/1.1 101 Switch\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"
    async with client_of(Server([switch])) as api:
        with pytest.raises(Transient, match="no answer"):
            await get(api)


async def test_a_request_that_is_answered_before_it_is_sent_is_answered() -> None:
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.05)

    async with listening(refusing) as port:
        api = Http()(f"http://127.0.0.1:{port}", service="test")
        answer = await api.call("POST", "/pack", op="push", content=b"x" * 30_000_000, within=5.0)
        await api.aclose()
    assert answer.status == 413


async def test_no_cookie_is_kept() -> None:
    heads = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(2):
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"HTTP/1.1 204 X\r\nSet-Cookie: session=1; Path=/\r\n\r\n")

    async with listening(serve) as port:
        api = Http()(f"http://127.0.0.1:{port}", service="test")
        for _ in range(2):
            await get(api)
        await api.aclose()
    assert len(heads) == 2
    assert not any(b"cookie" in head.lower() for head in heads)


async def test_a_hundred_calls_at_once_need_no_more_connections_afterwards() -> None:
    serve = Server([OK] * 100)
    async with client_of(serve) as api:
        for _ in range(5):
            await asyncio.gather(*(get(api) for _ in range(100)))
    assert len(serve.requests) <= 16  # as many as may be in flight
