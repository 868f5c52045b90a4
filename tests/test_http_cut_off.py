"""Exchanges that end before their time, with and without TLS: what is left of them is nobody's."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from paas_runner.http import Http, HttpClient, Tls, opening
from tests.support.wire_server import OK, listening


@pytest.fixture(params=["http", "https"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def client(serve, scheme: str, certificates: Path) -> AsyncIterator[HttpClient]:
    secure = None
    if scheme == "https":
        secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        secure.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    async with listening(serve, secure) as port:
        url = f"{scheme}://127.0.0.1:{port}"
        api = Http()(url, service="test", at_once=1, tls=Tls(ca_file=certificates / "ca.pem"))
        try:
            yield api
        finally:
            await api.aclose()


async def test_after_an_early_answer_the_rest_of_the_request_stands_before_no_other(
    scheme: str, certificates: Path
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        if head.startswith(b"GET"):
            writer.write(OK)
        else:
            writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            await asyncio.sleep(3600)  # and reads no more

    async with client(serve, scheme, certificates) as api:
        refused = await api.call("POST", "/pack", op="push", content=b"x" * 20_000_000, within=20.0)
        assert refused.status == 413
        assert (await api.call("GET", "/x", op="look", within=5.0)).status == 200


async def test_a_call_may_be_cancelled_at_any_moment_and_the_next_gets_its_own_answer(
    scheme: str, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # asyncio's race between addresses, cut off as one wins, leaves its socket to the garbage collector
    monkeypatch.setattr(opening, "_NEXT_ADDRESS_SECONDS", None)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if head.startswith(b"POST"):
                    await reader.readexactly(100_000)
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for letter in head.split()[1]:
                    await asyncio.sleep(0)
                    writer.write(b"1\r\n%c\r\n" % letter)
                writer.write(b"0\r\n\r\n")

    async def call(path: str, steps: int | None = None) -> bytes | None:
        content = b"x" * 100_000 if path[1] == "p" else None
        calling = asyncio.ensure_future(
            api.call("POST" if content else "GET", path, op="look", content=content, within=5.0)
        )
        while not calling.done() and steps != 0:
            await asyncio.sleep(0)
            steps = steps and steps - 1
        calling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            return (await calling).body
        return None

    async with client(serve, scheme, certificates) as api:
        for kind in ("g", "p"):
            steps, body = 0, None
            while body is None:
                steps += 1
                body = await call(f"/{kind}{steps}", steps)
                assert body in (None, f"/{kind}{steps}".encode())
                if steps % 3:
                    assert await call(f"/{kind}-after-{steps}") == f"/{kind}-after-{steps}".encode()
            assert steps > 3
