"""Which requests of the inner runner go through a proxy: those that the service's would."""

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from paas_runner.inner.runner import InnerRunner
from paas_runner.inner.settings import InnerRunnerError

EXEMPT = "[::1], fd00::/64, 127.0.0.0/8, ::1, .internal.example, nonsense/99, 10.0.0.0/8"


@asynccontextmanager
async def listener():
    """Its address, and the first line of each request that it has answered."""
    heard = []

    async def answer(reader, writer):
        heard.append((await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}", heard


@pytest.fixture
async def proxy(monkeypatch):
    """The requests that came to the proxy of the environment."""
    for name in ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    async with listener() as (url, heard):
        monkeypatch.setenv("HTTP_PROXY", url)
        monkeypatch.setenv("NO_PROXY", EXEMPT)
        yield heard


def client(url="http://gitlab.example"):
    return InnerRunner(clock=lambda: datetime.now(UTC), trust_environment=True)._client(url, verify=True)


async def test_the_coordinator_is_reached_through_the_proxy_whatever_is_exempt(proxy):
    async with client() as http:
        assert (await http.get("/api")).status_code == 200
        assert (await http.get("http://elsewhere.example/artifact")).status_code == 200
    assert proxy == [
        "GET http://gitlab.example/api HTTP/1.1",
        "GET http://elsewhere.example/artifact HTTP/1.1",
    ]


async def test_what_is_on_loopback_or_exempt_is_reached_without_it(proxy):
    async with listener() as (url, heard), client(url) as http:
        assert (await http.get("/api")).status_code == 200
        for nobody in ("http://[::1]:9", "http://[fd00::9]:9", "http://a.internal.example:9"):
            with pytest.raises(httpx.TransportError):
                await http.get(nobody, timeout=0.2)
    assert (heard, proxy) == (["GET /api HTTP/1.1"], [])


async def test_a_proxy_that_cannot_be_used_is_said_in_words_before_the_job_begins(proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "socks5://user:canary@proxy.example")
    with pytest.raises(InnerRunnerError, match=r"\$HTTP_PROXY: .* not supported") as refused:
        client()
    assert "canary" not in str(refused.value)
    assert not proxy


async def test_and_where_only_an_artifact_needs_it_that_is_a_failed_request(proxy, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://proxy.example")
    async with listener() as (url, _), client(url) as http:
        assert (await http.get("/api")).status_code == 200
        with pytest.raises(httpx.RequestError, match="HTTPS_PROXY"):
            await http.get("https://elsewhere.example")
    assert not proxy
