"""Starting and stopping servers inside the running loop."""

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from paas_runner.server.listening import Listener


async def quick(_: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def never(_: Request) -> PlainTextResponse:
    await asyncio.Event().wait()
    return PlainTextResponse("never")


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener(Starlette(routes=[Route("/quick", quick), Route("/never", never)]))
    await listener.start()
    yield listener
    await listener.stop()


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


async def test_it_answers_on_loopback(listener: Listener, client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{listener.url}/quick")).text == "ok"


async def test_stopping_does_not_wait_for_requests_in_progress(
    listener: Listener, client: httpx.AsyncClient
) -> None:
    pending = asyncio.create_task(client.get(f"{listener.url}/never", timeout=60))
    await asyncio.sleep(0.05)
    async with asyncio.timeout(0.5):
        await listener.stop()
    with pytest.raises(httpx.TransportError):
        await pending
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_it_can_stop_and_listen_again_on_the_same_port(
    listener: Listener, client: httpx.AsyncClient
) -> None:
    url = listener.url
    await listener.stop()
    with pytest.raises(httpx.ConnectError):
        await client.get(f"{url}/quick")
    await listener.start()
    assert listener.url == url
    assert (await client.get(f"{url}/quick")).text == "ok"


async def test_stopping_twice_is_harmless(listener: Listener) -> None:
    await listener.stop()
    await listener.stop()


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:1234", 200),
        ("[::1]:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("[", 421),
    ],
)
async def test_only_loopback_names_are_answered(
    listener: Listener, client: httpx.AsyncClient, host: str, status: int
) -> None:
    response = await client.get(f"{listener.url}/quick", headers={"Host": host})
    assert response.status_code == status


async def test_an_answer_does_not_wait_for_the_clients_word_on_its_head(
    listener: Listener, client: httpx.AsyncClient
) -> None:
    """Head and body are two segments: by Nagle's algorithm a connection had 25 answers a second."""
    await client.get(f"{listener.url}/quick")
    state = listener._connections._state
    assert state is not None
    sockets = [each.transport.get_extra_info("socket") for each in state.connections]
    assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets] == [1]
