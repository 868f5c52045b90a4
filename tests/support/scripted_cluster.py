"""A cluster that answers as a test says, over real sockets."""

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import attrs

from paas_runner.http import Http, Tls
from paas_runner.kubernetes.api import Cluster
from paas_runner.kubernetes.config import Configuration, User
from tests.support.wire_server import listening


@attrs.frozen(kw_only=True)
class Asked:
    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@attrs.frozen
class Pieces:
    """A body in chunks; `whole` says whether it has an end, `held` whether the connection stays after it."""

    pieces: list[bytes]
    whole: bool = True
    held: bool = False


def status(code: int, reason: str, message: str, **details: Any) -> tuple[int, dict[str, Any]]:
    told = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code}
    return code, {**told, "reason": reason, "message": message, "details": details}


class ScriptedCluster:
    """`answer` gets what was asked, and gives a status and an object, bytes, or `Pieces`."""

    def __init__(self, answer: Callable[[Asked], Any]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                asked = await _read(reader)
                self.asked.append(asked)
                if not await self._replied(writer, self.answer(asked)):
                    return

    async def _replied(self, writer: asyncio.StreamWriter, found: Any) -> bool:
        code, body = found if isinstance(found, tuple) else (200, found)
        if isinstance(body, Pieces):
            writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for piece in body.pieces:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
                await writer.drain()
            writer.write(b"0\r\n\r\n" if body.whole else b"")
            await writer.drain()
            if body.held:
                await asyncio.sleep(3600)
            return body.whole
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        more = "Retry-After: 0\r\n" if code == 429 else ""
        head = f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\n{more}Content-Length: {len(data)}"
        writer.write(head.encode() + b"\r\n\r\n" + data)
        await writer.drain()
        return True


async def _read(reader: asyncio.StreamReader) -> Asked:
    first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in rest)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split()
    parts = urlsplit(target)
    return Asked(
        method=method,
        path=parts.path,
        params=dict(parse_qsl(parts.query)),
        headers=headers,
        body=json.loads(body) if body else None,
    )


@asynccontextmanager
async def cluster_of(
    scripted: ScriptedCluster,
    *,
    user: User | None = None,
    tls: Tls | None = None,
    secure: ssl.SSLContext | None = None,
) -> AsyncIterator[Cluster]:
    async with listening(scripted, secure) as port:
        configuration = Configuration(
            server=f"{'https' if secure else 'http'}://127.0.0.1:{port}",
            tls=tls or Tls(),
            user=user or User(),
            namespace="ci",
            source="a test",
        )
        cluster = Cluster(configuration, Http())
        try:
            yield cluster
        finally:
            await cluster.aclose()
