"""The way of each request: straight, or through the proxy that the environment names for its address.

By the rules of the service, which are those of GitLab Runner, instead of httpx's own: that ends with the
first entry of NO_PROXY which it cannot read, and asks a proxy for what is on loopback.
"""

import os
import ssl
from collections.abc import Mapping

import httpx

from paas_runner.inner.settings import InnerRunnerError
from paas_runner.proxies import Proxies, ProxyError


class ByEnvironment(httpx.AsyncBaseTransport):
    """The network as an environment has it; a transport for each proxy, made when it is needed."""

    def __init__(
        self, url: str, *, verify: ssl.SSLContext | bool, environ: Mapping[str, str] | None = None
    ) -> None:
        """Raises `InnerRunnerError` when there is no way to `url`, the coordinator's."""
        self._proxies = Proxies(environ=os.environ if environ is None else environ)
        self._verify = verify
        self._ways: dict[str, httpx.AsyncHTTPTransport] = {}
        try:
            self._proxies.of(url)
        except ProxyError as error:
            raise InnerRunnerError(str(error)) from None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it on its way; a proxy that cannot be used is as good as one that does not answer."""
        try:
            proxy = self._proxies.of(str(request.url))
        except ProxyError as error:
            raise httpx.ProxyError(str(error), request=request) from None
        return await self._way(proxy.reveal() if proxy else "").handle_async_request(request)

    async def aclose(self) -> None:
        for way in self._ways.values():
            await way.aclose()

    def _way(self, proxy: str) -> httpx.AsyncHTTPTransport:
        if proxy not in self._ways:
            self._ways[proxy] = httpx.AsyncHTTPTransport(verify=self._verify, proxy=proxy or None)
        return self._ways[proxy]
