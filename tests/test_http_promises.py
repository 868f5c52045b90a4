"""What a call waits for, whom it trusts, and what it costs: the client's promises towards busy services."""

import asyncio
import random
import shutil
import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from paas_runner.http import Http, Response, Tls
from paas_runner.http.tls import Contexts
from paas_runner.testing.virtual_time import run_virtual, virtual_now

JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def wait(**headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status=429, headers=named, body=b"")


@pytest.mark.parametrize(
    ("told", "seconds"), [("17", 17.0), ("0", 0.0), ("-5", 0.0), ("86400", 600.0), ("1e300", 600.0)]
)
def test_what_a_service_wishes_is_followed_within_bounds(told, seconds):
    assert wait(retry_after=told).retry_after == seconds


def test_a_rate_limits_end_is_waited_for_where_nothing_else_is_said():
    at = datetime.now(UTC) + timedelta(seconds=90)
    told = at.strftime("%a, %d %b %Y %H:%M:%S GMT")
    assert 80 < wait(ratelimit_resettime=told).retry_after <= 90
    assert wait(ratelimit_resettime=told, retry_after="3").retry_after == 3.0


@pytest.mark.parametrize("zone", ["GMT", "+0000", "-0000"])
def test_the_date_of_an_answer_is_in_utc_whatever_it_says_of_its_zone(zone):
    answered = Response(status=200, headers={"date": f"Sat, 28 Nov 2026 12:00:00 {zone}"}, body=b"")
    assert answered.date == datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_a_call_that_is_repeated_waits_as_long_as_it_was_told():
    async def took():
        answers = iter([httpx.Response(503, headers={"Retry-After": "7"}), httpx.Response(200)])
        transport = httpx.MockTransport(lambda _request: next(answers))
        api = Http(rng=random.Random(1), transport=lambda _url: transport)("http://x", service="test")
        begun = virtual_now()
        await api.call("GET", "/", op="look", attempts=2)
        return (virtual_now() - begun).total_seconds()

    assert run_virtual(took()) == 7.0


class Counting:
    """A server on a real socket that takes its time, and counts connections and calls in flight."""

    def __init__(self, seconds=0.0):
        self.seconds = seconds
        self.connections = 0

    async def __call__(self, reader, writer):
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await asyncio.sleep(self.seconds)
                writer.write(JSON)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def calls(serve, work, *, tls=None, scheme="http", context=None, **options):
    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    api = Http()(f"{scheme}://127.0.0.1:{port}", service="test", tls=tls, **options)
    try:
        return await work(api)
    finally:
        await api.aclose()
        listening.close()


async def test_waiting_for_ones_place_costs_nothing_of_the_deadline():
    async def work(api):
        return await asyncio.gather(*(api.call("GET", "/", op="look", within=1.0) for _ in range(8)))

    answers = await calls(Counting(seconds=0.2), work, at_once=1)
    assert [answer.status for answer in answers] == [200] * 8


async def test_calls_in_a_row_share_one_connection():
    serve = Counting()

    async def work(api):
        for _ in range(5):
            await api.call("GET", "/", op="look")

    await calls(serve, work)
    assert serve.connections == 1


async def test_a_service_that_wants_our_certificate_gets_it(certificates):
    """And the private authority is trusted: without either there is no answer."""
    wanting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=certificates / "ca.pem")
    wanting.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    wanting.verify_mode = ssl.CERT_REQUIRED
    ours = Tls(
        ca_file=certificates / "ca.pem",
        cert_file=certificates / "cert.pem",
        key_file=certificates / "key.pem",
    )

    async def work(api):
        return await api.call("GET", "/", op="look")

    assert (await calls(Counting(), work, tls=ours, scheme="https", context=wanting)).status == 200


def test_certificates_are_read_once_for_all_that_want_the_same(certificates):
    contexts, trusting = Contexts(), Tls(ca_file=certificates / "ca.pem")
    ours, systems = contexts.of(trusting), contexts.of(Tls())
    assert contexts.of(Tls(ca_file=certificates / "ca.pem")) is ours
    assert contexts.of(Tls()) is systems
    assert ours is not systems
    shutil.copy(certificates / "server-cert.pem", certificates / "new.pem")
    (certificates / "new.pem").replace(certificates / "ca.pem")
    assert contexts.of(trusting) is not ours


def test_a_certificate_that_is_gone_is_an_os_error_at_once(tmp_path):
    with pytest.raises(FileNotFoundError):
        Http()("https://git.example", service="test", tls=Tls(ca_file=tmp_path / "ca.pem"))
