"""A Docker engine seen through an ASGI application, in front of which faults can be injected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
from starlette.types import Receive, Scope, Send

from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from paas_runner.server.listening import Listener


@asynccontextmanager
async def engine_behind(faults: FaultPlan, url: str) -> AsyncIterator[str]:
    """A tcp:// URL for the engine at a unix:// one, as long as the block lasts."""
    transport = httpx.AsyncHTTPTransport(uds=urlsplit(url).path)
    async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=60) as client:
        listener = Listener(FaultInjector(_Proxy(client), faults))
        await listener.start()
        try:
            yield listener.url.replace("http://", "tcp://")
        finally:
            await listener.stop()


class _Proxy:
    """Passes each request on whole, and each answer."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        answer = await self._client.request(
            scope["method"],
            httpx.URL(path=scope["path"], query=scope["query_string"]),
            headers=[pair for pair in scope["headers"] if pair[0] in (b"content-type", b"x-registry-config")],
            content=body,
        )
        kept = ("content-type", "content-length")  # without a length it is sent in chunks, as it came
        headers = [(name.encode(), answer.headers[name].encode()) for name in kept if name in answer.headers]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content})
