"""Deadlines, retries and what counts as transient, on real sockets."""

import asyncio
import random
import ssl
import subprocess
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from paas_runner.errors import Transient
from paas_runner.http import Http, Tls
from paas_runner.secret import Secret

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
    api = Http(rng=random.Random(1), on_response=listen)(
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


async def test_a_listener_hears_every_complete_answer_and_what_time_it_is_there():
    heard = []

    def listen(service, found):
        heard.append((service, found.status, found.date))

    dated = answer(503, "Date: Sun, 01 Mar 2026 10:00:00 GMT", "Retry-After: 0")
    async with server(None, dated, answer(404, "Date: now"), listen=listen) as (api, _):
        await api.call("GET", "/x", op="look", attempts=3)
    assert heard == [("test", 503, datetime(2026, 3, 1, 10, tzinfo=UTC)), ("test", 404, None)]


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
