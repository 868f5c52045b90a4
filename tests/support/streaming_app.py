"""An application asked in process whose answers come in pieces, as they do from a socket, on any clock."""

import asyncio
from collections.abc import AsyncIterator

import httpx
from starlette.types import ASGIApp, Message


class StreamingApp(httpx.AsyncBaseTransport):
    """Whoever closes an answer before its end has gone away, as the application sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        body = await request.aread()
        answer = _Answer(body)
        scope = {
            "type": "http",
            "method": request.method,
            "scheme": request.url.scheme,
            "path": request.url.path,
            "raw_path": request.url.raw_path.partition(b"?")[0],
            "query_string": request.url.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "server": (request.url.host, 80),
            "client": ("127.0.0.1", 1),
            "extensions": {},
        }
        answer.task = asyncio.create_task(self._app(scope, answer.receive, answer.send))
        answer.task.add_done_callback(lambda _: answer.messages.put_nowait(None))
        start = await answer.next()
        if start is None:
            raise httpx.RemoteProtocolError("no answer")
        return httpx.Response(start["status"], headers=start["headers"], stream=answer, request=request)


class _Answer(httpx.AsyncByteStream):
    task: asyncio.Task[None]

    def __init__(self, body: bytes) -> None:
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self._body: bytes | None = body

    async def receive(self) -> Message:
        body, self._body = self._body, None
        if body is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Message) -> None:
        self.messages.put_nowait(message)

    async def next(self) -> Message | None:
        """The next message; raises what the application has raised, None at its end."""
        message = await self.messages.get()
        if message is None and not self.task.cancelled() and (error := self.task.exception()):
            raise error
        return message

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (message := await self.next()) is not None:
            if message["type"] == "http.response.body":
                yield message.get("body", b"")
                if not message.get("more_body"):
                    return

    async def aclose(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
