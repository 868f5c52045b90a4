"""How a connection comes about: straight, or by a proxy, which passes requests on or opens a tunnel."""

import asyncio
import base64
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import httpx

from paas_runner.http.connection import Connection, Headers
from paas_runner.secret import Secret

CONNECT_SECONDS = 10.0
_NEXT_ADDRESS_SECONDS = 0.25  # RFC 8305 §5
_PORTS = {"http": 80, "https": 443}


SSLProtocol.max_size = 64 * 1024  # of the buffer that each has from the first: 256 KiB, times all connections

MakeContext = Callable[[], ssl.SSLContext]


@attrs.frozen(kw_only=True)
class Opening:
    """Of connections to one service; `proxy` may have credentials in its address."""

    context: MakeContext
    context_of_proxy: MakeContext
    proxy: Secret | None = None
    server_name: str = ""

    async def __call__(self, url: httpx.URL) -> Connection:
        """Raises `httpx.TransportError`: nothing of the request has been sent then."""
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                if not self.proxy:
                    return await self._connected(url, self.context, self.server_name)
                return await self._by(httpx.URL(self.proxy.reveal()), url)
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx.ConnectError("no connection") from error

    def request_line(self, url: httpx.URL) -> bytes:
        """The target of a request: for a proxy that passes it on it is the whole address."""
        return (
            url.raw_path
            if not self._is_passed_on(url)
            else b"%b://%b%b" % (url.raw_scheme, url.netloc, url.raw_path)
        )

    def headers(self, url: httpx.URL) -> Headers:
        """Those that the proxy gets with each request that it passes on."""
        return self._credentials if self._is_passed_on(url) else ()

    def _is_passed_on(self, url: httpx.URL) -> bool:
        return self.proxy is not None and url.scheme == "http"

    @property
    def _credentials(self) -> Headers:
        address = httpx.URL(self.proxy.reveal() if self.proxy else "")
        if not address.userinfo:
            return ()
        words = base64.b64encode(f"{address.username}:{address.password}".encode())
        return ((b"Proxy-Authorization", b"Basic " + words),)

    async def _by(self, proxy: httpx.URL, url: httpx.URL) -> Connection:
        connection = await self._connected(proxy, self.context_of_proxy)
        if url.scheme == "https":
            with _aborted_on_failure(connection):
                await self._tunnel(connection, url)
        return connection

    async def _connected(self, url: httpx.URL, context: MakeContext, name: str = "") -> Connection:
        loop = asyncio.get_running_loop()
        host = url.raw_host.decode("ascii")
        secure = context() if url.scheme == "https" else None
        options: dict[str, Any] = {}
        if isinstance(loop, asyncio.BaseEventLoop):  # another one tries address after address
            options["happy_eyeballs_delay"] = _NEXT_ADDRESS_SECONDS
        _, connection = await loop.create_connection(Connection, host, _port(url), **options)
        if secure:
            with _aborted_on_failure(connection):
                await connection.become_tls(secure, name or host)
        return connection

    async def _tunnel(self, connection: Connection, url: httpx.URL) -> None:
        host = url.raw_host.decode("ascii")
        place = (f"[{host}]:{_port(url)}" if ":" in host else f"{host}:{_port(url)}").encode()
        answer = await connection.ask("CONNECT", place, [(b"Host", place), *self._credentials])
        if not 200 <= answer.status_code < 300:
            raise httpx.ProxyError(f"the proxy answered {answer.status_code}")
        await connection.become_tls(self.context(), self.server_name or host)


@contextmanager
def _aborted_on_failure(connection: Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.abort()
        raise


def _port(url: httpx.URL) -> int:
    return url.port or _PORTS[url.scheme]
