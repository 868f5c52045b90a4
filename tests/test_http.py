"""Deadlines, retries and what counts as transient, on real sockets."""

import asyncio
import gzip
import random
import ssl
import subprocess
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from paas_runner.errors import Rejected, Transient
from paas_runner.http import (
    MOST_BODY_BYTES,
    Exchanges,
    Http,
    ServiceKind,
    Tls,
    coordinator_at,
    git_remote_at,
    kind_of,
    receiver_of,
)
from paas_runner.http.client import PIECES_IN_A_ROW, _same_host
from paas_runner.http.response import LONGEST_PAUSE_SECONDS, Response
from paas_runner.secret import Secret
from tests.support.bounded import cheap

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def answer(status, *headers, body=b""):
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


@asynccontextmanager
async def server(*answers, listen=None):
    """Give the answers in turn, the last one for ever; None resets, "hang" never answers."""
    seen = []

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                reply = answers[min(len(seen), len(answers) - 1)]
                seen.append(head)
                if reply == "hang":
                    await asyncio.sleep(3600)
                if reply is None:
                    writer.transport.abort()
                    return
                writer.write(reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    api = Http(rng=random.Random(1), on_exchange=listen)(
        f"http://127.0.0.1:{port}/base", service="test", headers={"X-Token": Secret("canary-secret")}
    )
    try:
        yield api, seen
    finally:
        await api.aclose()
        listening.close()


async def test_an_answer_is_a_value_whatever_its_status():
    for status in (200, 204, 302, 400, 401, 403, 404, 409, 416):
        async with server(answer(status, "Range: 0-5")) as (api, _):
            got = await api.call("GET", "/x", op="look")
            assert (got.status, got.headers["range"]) == (status, "0-5")


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 512])
async def test_what_passes_by_itself_is_transient(status):
    async with server(answer(status, "Retry-After: 17")) as (api, _):
        with pytest.raises(Transient) as caught:
            await api.call("GET", "/x", op="look", attempts=5)
    assert (caught.value.status, caught.value.retry_after) == (status, 17.0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (
            b'{"message": "the zone is\\n under\\u001b[31m maintenance", "error": 1}',
            "the zone is under [31m maintenance",
        ),
        (b'{"error": "no room"}', "no room"),
        (b'{"message": "%s"}' % (b"long " * 500), "long " * 59 + "long"),
        (b'{"message": {"a": ["b"], "c": "d"}}', "a ['b']; c d"),
        (b"[1]", ""),
        (b"<html>", ""),
        (b"\xff", ""),
        (b"", ""),
    ],
)
async def test_what_an_error_says_of_its_cause_is_told_on(body, told):
    async with server(answer(503, "Sozu-Id: 01JD", body=body)) as (api, _):
        with pytest.raises(Transient) as caught:
            await api.call("GET", "/x", op="look")
    assert caught.value.text == "answered 503" + (f": {told}" if told else "")
    assert str(caught.value).endswith(" (request 01JD)")


@pytest.mark.parametrize(
    "reply", [None, b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"]
)
async def test_a_broken_connection_is_transient(reply):
    async with server(reply) as (api, _):
        with pytest.raises(Transient, match="no answer"):
            await api.call("GET", "/x", op="look", within=0.2)


async def test_a_hung_service_costs_no_more_than_the_deadline():
    async with server("hang") as (api, _):
        with pytest.raises(Transient, match="no answer"):
            await asyncio.wait_for(api.call("GET", "/x", op="look", within=0.1), 2)


async def test_nobody_there_is_transient():
    api = Http()("http://127.0.0.1:9", service="test")
    with pytest.raises(Transient, match="ConnectError"):
        await api.call("GET", "/x", op="look")
    await api.aclose()


async def test_a_call_that_may_be_repeated_is():
    async with server(None, answer(503, "Retry-After: 0"), JSON) as (api, seen):
        assert (await api.call("GET", "/x", op="look", attempts=3)).json() == {}
        assert len(seen) == 3


async def test_a_call_that_may_not_be_repeated_is_not():
    async with server(None, JSON) as (api, seen):
        with pytest.raises(Transient):
            await api.call("POST", "/x", op="create")
        assert len(seen) == 1


async def test_a_redirect_is_not_followed():
    async with server(answer(302, "Location: http://127.0.0.1:1/elsewhere")) as (api, seen):
        assert (await api.call("GET", "/x", op="look")).status == 302
        assert len(seen) == 1


async def test_no_more_calls_are_in_flight_than_allowed():
    now, most = 0, 0

    async def serve(reader, writer):
        nonlocal now, most
        while await reader.readline() != b"\r\n":
            pass
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0.01)
        now -= 1
        writer.write(JSON)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    api = Http()(f"http://127.0.0.1:{port}", service="test", at_once=3)
    await asyncio.gather(*(api.call("GET", "/x", op="look") for _ in range(20)))
    await api.aclose()
    listening.close()
    assert most == 3


async def test_the_secret_travels_in_the_header_and_shows_nowhere_else(caplog):
    async with server(answer(500)) as (api, seen):
        with pytest.raises(Transient) as caught:
            await api.call("GET", "/x", op="look", headers={"JOB-TOKEN": Secret("other-secret")})
    assert b"canary-secret" in seen[0]
    assert b"other-secret" in seen[0]
    told = repr(caught.value) + repr(caught.value.__dict__) + repr(api.__dict__) + caplog.text
    assert "canary-secret" not in told
    assert "other-secret" not in told


def test_a_certificate_that_is_none_is_an_os_error(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(OSError, match=r"certificate|PEM|NO_CERT"):
        Tls(ca_file=tmp_path / "ca.pem").context()


async def test_what_the_system_says_of_a_failed_connection_is_passed_on():
    api = Http()("http://127.0.0.1:9", service="test")
    with pytest.raises(Transient, match=r"no answer \(ConnectError: Connection refused\)"):
        await api.call("GET", "/x", op="look")
    await api.aclose()


async def test_a_listener_hears_of_every_attempt_what_came_of_it_and_what_time_it_is_there():
    heard = []

    def listen(exchange):
        assert (exchange.op, exchange.method) == ("look", "GET")
        found = exchange.answer
        heard.append((exchange.service, exchange.attempt, found and (found.status, found.date)))

    dated = answer(503, "Date: Sun, 01 Mar 2026 10:00:00 GMT", "Retry-After: 0")
    async with server(None, dated, answer(404, "Date: now"), listen=listen) as (api, _):
        await api.call("GET", "/x", op="look", attempts=3)
    moment = datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert heard == [("test", 1, None), ("test", 2, (503, moment)), ("test", 3, (404, None))]


async def test_a_listener_that_fails_costs_no_call_its_answer():
    listeners = Exchanges()
    assert not listeners
    heard = []
    listeners.add(lambda exchange: 1 / 0)
    listeners.add(heard.append)
    async with server(answer(200), listen=listeners) as (api, _):
        assert (await api.call("GET", "/x", op="look")).status == 200
    assert len(heard) == 1


@pytest.fixture
def foreign_certificate(tmp_path):
    """Of an authority that nobody here trusts, for 127.0.0.1: certificate and key."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=x")
    files = ("-keyout", key, "-out", certificate, "-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run(["openssl", "req", "-x509", *new, *files], check=True, capture_output=True)
    return certificate, key


@pytest.mark.parametrize("scheme", ["https", "HTTPS", "hTTps"])
async def test_a_foreign_certificate_gets_nothing_however_the_scheme_is_written(scheme, foreign_certificate):
    heard = []

    async def serve(reader, writer):
        heard.append(await reader.read(1000))
        writer.write(JSON)

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*foreign_certificate)
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    address = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    token = {"X-Token": Secret("canary-secret")}
    api = Http()(address, service="test", headers=token)
    trusting = Http()(address, service="test", headers=token, tls=Tls(ca_file=foreign_certificate[0]))
    try:
        with pytest.raises(Transient, match="certificate"):
            await api.call("GET", "/x", op="look")
        assert heard == []
        assert (await trusting.call("GET", "/x", op="look")).status == 200
    finally:
        await api.aclose()
        await trusting.aclose()
        listening.close()


async def test_an_answer_is_asked_for_as_it_is_and_never_unpacked():
    bomb = gzip.compress(gzip.compress(b"0" * 100_000_000))
    async with server(answer(200, "Content-Encoding: gzip, gzip", body=bomb)) as (api, seen):
        with cheap(), pytest.raises(Transient, match="in an encoding that was not asked for"):
            await api.call("GET", "/x", op="look")
    assert b"Accept-Encoding: identity\r\n" in seen[0]


async def test_what_says_that_it_is_not_packed_is_read():
    async with server(answer(200, "Content-Encoding: Identity", body=b"{}")) as (api, _):
        assert (await api.call("GET", "/x", op="look")).json() == {}


@pytest.mark.parametrize("framing", ["Content-Length: 99999999999", "Transfer-Encoding: chunked"])
async def test_no_more_is_taken_of_an_answer_than_is_allowed(framing):
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n" if "chunked" in framing else b"x" * 0x100000
    endless = f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + 8 * chunk
    async with server(endless) as (api, _):
        with pytest.raises(Transient, match="answered more than 4 MiB"):
            await api.call("GET", "/x", op="look")
        beginning = await api.call("GET", "/x", op="look", most_bytes=1000, cut=True)
    assert beginning.body == b"x" * 1001


async def test_a_body_in_the_smallest_pieces_keeps_nobody_else_waiting():
    pieces = 20_000
    small = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * pieces + b"0\r\n\r\n"
    turns = 0

    async def take_turns():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with server(small) as (api, _):
        other = asyncio.ensure_future(take_turns())
        assert len((await api.call("GET", "/x", op="look")).body) == pieces
        other.cancel()
    assert turns > pieces / PIECES_IN_A_ROW


async def test_an_answer_of_the_largest_size_is_taken():
    async with server(answer(200, body=b"x" * MOST_BODY_BYTES)) as (api, _):
        assert len((await api.call("GET", "/x", op="look")).body) == MOST_BODY_BYTES


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"message": ' + b"[" * 5000 + b"]" * 5000 + b"}", b"NaN"])
@pytest.mark.parametrize("status", [502, 403])
async def test_an_error_that_cannot_be_decoded_says_nothing_but_its_status(status, body):
    async with server(answer(status, body=body)) as (api, _):
        try:
            told = (await api.call("GET", "/x", op="look")).summary
        except Transient as error:
            told = error.text
    assert told == f"answered {status}"


@pytest.mark.parametrize(
    ("wish", "seconds"),
    [
        ("Retry-After: 17", 17.0),
        ("Retry-After: 1.5", 1.5),
        ("Retry-After: -5", 0.0),
        ("Retry-After: 1e300", LONGEST_PAUSE_SECONDS),
        ("Retry-After: 99999999999999999999", LONGEST_PAUSE_SECONDS),
        ("Retry-After: nan", None),
        ("Retry-After: inf", None),
        ("Retry-After: -inf", None),
        ("Retry-After: soon", None),
        ("Retry-After: ", None),
        ("Retry-After: Sun, 01 Mar 2026 10:01:30 GMT", 90.0),
        ("Retry-After: Sun, 01 Mar 2026 09:00:00 GMT", 0.0),
        ("Retry-After: Sun, 01 Mar 9999 10:00:00 GMT", LONGEST_PAUSE_SECONDS),
        ("Retry-After: Sun, 99 Mar 2026 10:00:00 GMT", None),
        ("Retry-After: Sun, 01 Mar 2026 10:00:00 +9999", None),
        ("RateLimit-ResetTime: Sun, 01 Mar 2026 10:00:20 GMT", 20.0),
    ],
)
async def test_a_wish_to_wait_is_a_number_or_a_date_and_has_bounds(wish, seconds):
    async with server(answer(503, "Date: Sun, 01 Mar 2026 10:00:00 GMT", wish)) as (api, _):
        with pytest.raises(Transient) as caught:
            await api.call("GET", "/x", op="look")
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [307, 308])
async def test_a_redirect_of_the_whole_request_is_followed_on_the_same_host(status):
    async with server(answer(status, "Location: /new/place"), JSON) as (api, seen):
        got = await api.call("POST", "/x", op="ask", payload={"a": 1}, headers={"JOB-TOKEN": Secret("t")})
    assert (got.status, len(seen)) == (200, 2)
    first, second = (head.decode().split("\r\n") for head in seen)
    assert second[0] == '{"a":1}POST /new/place HTTP/1.1'  # behind the body of the first
    assert {line.lower() for line in first[1:]} == {line.lower() for line in second[1:]}


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.2:9/x",
        "http://user:word@127.0.0.1:9/x",
        "ftp://127.0.0.1/x",
        "//127.0.0.2/x",
        "http://[",
        "",
    ],
)
async def test_a_redirect_elsewhere_is_told_and_not_followed(location):
    async with server(answer(308, f"Location: {location}")) as (api, seen):
        assert (await api.call("POST", "/x", op="ask", payload={})).status == 308
        assert len(seen) == 1


async def test_redirects_in_a_circle_end():
    async with server(answer(307, "Location: /x")) as (api, seen):
        assert (await api.call("POST", "/x", op="ask")).status == 307
    assert len(seen) == 3


def test_tls_is_never_left_by_a_redirect():
    asked = httpx.URL("https://git.example/api")
    for place, followed in (("http://git.example/api", False), ("https://git.example:8443/x", True)):
        there = Response(status=307, headers={"location": place}, body=b"")
        assert (_same_host(asked, there) is not None) is followed


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("https://git.example/x?token=secret#a", "answered 301: redirects to https://git.example/x"),
        ("https://user:word@git.example/x", "answered 301: redirects to https://git.example/x"),
        ("https://git.example/" + "x" * 5000, "answered 301: redirects to https://git.example/" + "x" * 180),
        ("http://[", "answered 301"),
        ("", "answered 301"),
    ],
)
def test_where_a_redirect_leads_is_told_without_what_may_be_secret(location, told):
    assert Response(status=301, headers={"location": location}, body=b"").summary == told


@pytest.mark.parametrize("value", ["t\u200b", "\udc80"])
async def test_what_cannot_be_sent_is_refused_once_and_for_all(value):
    async with server(JSON) as (api, seen):
        with pytest.raises(Rejected, match="cannot be sent"):
            await api.call("GET", "/x", op="look", headers={"JOB-TOKEN": Secret(value)})
    assert seen == []


async def test_a_port_that_is_none_is_refused():
    api = Http()("http://127.0.0.1:99999", service="test")
    with pytest.raises(Rejected, match="cannot be sent"):
        await api.call("GET", "/x", op="look")
    await api.aclose()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (coordinator_at("https://gitlab.example"), ServiceKind.COORDINATOR),
        (git_remote_at("https://user:canary@git.example:8443/app.git"), ServiceKind.GIT),
        (receiver_of("notices on call"), ServiceKind.RECEIVER),
        ("Clever Cloud", ServiceKind.CLOUD),
        ("github hosts", ServiceKind.CLOUD),
        ("my receiver of jobs", ServiceKind.CLOUD),
    ],
)
def test_the_kind_of_a_service_follows_from_its_name(name, kind):
    assert kind_of(name) is kind
    assert "canary" not in name
