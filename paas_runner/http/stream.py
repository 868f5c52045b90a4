"""An answer that goes on for as long as something happens, read piece by piece."""

import asyncio
from collections.abc import AsyncIterator

import attrs
import httpx

from paas_runner.errors import Transient
from paas_runner.http.response import Response, cause

MOST_ERROR_BYTES = 256 * 1024


@attrs.frozen
class Stream:
    """As `HttpClient.stream` opens it."""

    _response: httpx.Response
    _service: str
    _op: str

    @property
    def status(self) -> int:
        """Of the answer; its body is no stream unless this is 200."""
        return self._response.status_code

    async def answer(self) -> Response:
        """All of it, an error, cut where it is too long; raises `Transient`."""
        body = bytearray()
        async for piece in self.pieces(silence=10.0):
            body += piece
            if len(body) > MOST_ERROR_BYTES:
                break
        headers = {name.lower(): value for name, value in self._response.headers.items()}
        return Response(status=self.status, headers=headers, body=bytes(body))

    async def pieces(self, *, silence: float) -> AsyncIterator[bytes]:
        """The body as it comes, to its end.

        Raises `Transient` where it breaks off, and where nothing has come for `silence` seconds.
        """
        pieces = aiter(self._response.stream)  # type: ignore[arg-type]
        while True:
            try:
                async with asyncio.timeout(silence):
                    piece = await anext(pieces, None)
            except (httpx.RequestError, TimeoutError) as error:
                text = f"broke off ({cause(error)})"
                raise Transient(text, service=self._service, op=self._op, status=self.status) from error
            if piece is None:
                return
            yield piece
