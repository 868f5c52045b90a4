"""Services behind a proxy: what is passed on, what goes through a tunnel, and who gets which password."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from paas_runner.errors import Transient
from paas_runner.http import Http, HttpClient, Tls
from tests.support.wire_server import OK, listening


class Proxy:
    """Opens tunnels for who has the password; passes nothing on, but answers by itself."""

    def __init__(self, refusal: bytes = b"") -> None:
        self.heard: list[bytes] = []
        self._refusal = refusal

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                self.heard.append(head)
                if self._refusal:
                    writer.write(self._refusal)
                elif head.startswith(b"CONNECT"):
                    await self._tunnel(int(head.split()[1].rpartition(b":")[2]), reader, writer)
                else:
                    writer.write(OK)

    async def _tunnel(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")

        async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65536):
                    target.write(data)
            target.close()

        try:
            await asyncio.gather(pump(reader, back), pump(there, writer))
        finally:
            back.transport.abort()


@asynccontextmanager
async def behind(
    proxy: Proxy, url: str, *, secure: ssl.SSLContext | None = None, tls: Tls | None = None
) -> AsyncIterator[HttpClient]:
    async with listening(proxy, secure) as port:
        address = f"{'https' if secure else 'http'}://me:p%40ss@127.0.0.1:{port}"
        api = Http(environ={"HTTP_PROXY": address, "HTTPS_PROXY": address})(url, service="test", tls=tls)
        try:
            yield api
        finally:
            await api.aclose()


CREDENTIALS = b"Proxy-Authorization: Basic bWU6cEBzcw=="


async def test_a_proxy_gets_the_whole_address_and_its_password_with_each_request() -> None:
    proxy = Proxy()
    async with behind(proxy, "http://gitlab.example:8080/base") as api:
        for _ in range(2):
            await api.call("GET", "/x", op="look", params={"a": "b"})
    assert len(proxy.heard) == 2
    for head in proxy.heard:
        assert head.startswith(b"GET http://gitlab.example:8080/base/x?a=b HTTP/1.1\r\n")
        assert CREDENTIALS in head
        assert b"Host: gitlab.example:8080\r\n" in head


@pytest.fixture
def secure(certificates):
    """A server's side of TLS, whose authority is in the `ca.pem` beside it."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    return context


@pytest.fixture
def reachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing on loopback is reached by a proxy, so the tests' server has to lie elsewhere."""
    monkeypatch.setattr("paas_runner.proxies.Proxies._is_exempt", lambda *_: False)


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("safe_proxy", [False, True])
async def test_tls_goes_through_a_tunnel_which_alone_knows_the_proxys_password(
    certificates, secure: ssl.SSLContext, safe_proxy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates / "ca.pem"))  # which the proxy is judged by
    heard = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                heard.append(head)
                writer.write(OK)

    proxy = Proxy()
    trusting = Tls(ca_file=certificates / "ca.pem")
    async with (
        listening(serve, secure) as port,
        behind(
            proxy, f"https://127.0.0.1:{port}", secure=secure if safe_proxy else None, tls=trusting
        ) as api,
    ):
        for _ in range(2):
            assert (await api.call("GET", "/x", op="look")).body == b"{}"
    assert [head.split()[0] for head in proxy.heard] == [b"CONNECT"]
    assert CREDENTIALS in proxy.heard[0]
    assert [head.split(b"\r\n")[0] for head in heard] == [b"GET /x HTTP/1.1"] * 2
    assert not any(b"proxy-authorization" in head.lower() for head in heard)


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize(
    "refusal",
    [
        b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 Connected\r\n\r\nand more that is no TLS",
        b"garbage\r\n\r\n",
    ],
)
async def test_a_tunnel_that_does_not_come_about_is_no_answer(refusal: bytes) -> None:
    async with behind(Proxy(refusal), "https://gitlab.example") as api:
        with pytest.raises(Transient, match="no answer") as caught:
            await api.call("GET", "/x", op="look")
    assert "p%40ss" not in repr(caught.value)
