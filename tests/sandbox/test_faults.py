"""Each kind of fault, on a real connection and in process."""

import asyncio
from collections.abc import AsyncIterator

import attrs
import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from paas_runner.sandbox.faults import (
    Answer,
    Delay,
    DropAfter,
    DropBefore,
    Fault,
    FaultInjector,
    FaultPlan,
    Garbage,
    Hang,
    Truncated,
    Twice,
)
from paas_runner.server.listening import Listener


@attrs.frozen
class Spoilt:
    """A server that counts what it performs, behind a plan of faults."""

    plan: FaultPlan
    performed: list[bytes]
    client: httpx.AsyncClient

    async def post(self, path: str = "/orders/7") -> httpx.Response:
        return await self.client.post(path, content=b"order")


@pytest.fixture(params=["connection", "in process"])
async def spoilt(request: pytest.FixtureRequest) -> AsyncIterator[Spoilt]:
    performed: list[bytes] = []

    async def perform(http_request: Request) -> JSONResponse:
        performed.append(await http_request.body())
        return JSONResponse({"performed": len(performed)}, headers={"X-Kept": "yes"})

    plan = FaultPlan()
    app = FaultInjector(Starlette(routes=[Route("/{path:path}", perform, methods=["GET", "POST"])]), plan)
    if request.param == "in process":
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://server") as client:
            yield Spoilt(plan, performed, client)
        return
    listener = Listener(app)
    await listener.start()
    async with httpx.AsyncClient(base_url=listener.url, trust_env=False) as client:
        yield Spoilt(plan, performed, client)
    await listener.stop()


async def test_without_a_rule_nothing_is_spoilt(spoilt: Spoilt) -> None:
    assert (await spoilt.post()).json() == {"performed": 1}


async def test_delay(spoilt: Spoilt) -> None:
    spoilt.plan.add(Delay(0.02))
    began = asyncio.get_running_loop().time()
    assert (await spoilt.post()).json() == {"performed": 1}
    assert asyncio.get_running_loop().time() - began >= 0.02


async def test_a_status_comes_instead_of_performing(spoilt: Spoilt) -> None:
    spoilt.plan.add(Answer(502, {"Content-Type": "text/html", "Retry-After": "3"}, b"<h1>Bad Gateway</h1>"))
    response = await spoilt.post()
    assert (response.status_code, response.text) == (502, "<h1>Bad Gateway</h1>")
    assert response.headers["retry-after"] == "3"
    assert spoilt.performed == []


@pytest.mark.parametrize(("fault", "performed"), [(DropBefore(), []), (DropAfter(), [b"order"])])
async def test_a_dropped_connection_is_a_protocol_error(
    spoilt: Spoilt, fault: Fault, performed: list[bytes]
) -> None:
    spoilt.plan.add(fault, times=1)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        await spoilt.post()
    assert spoilt.performed == performed
    assert (await spoilt.post()).status_code == 200


async def test_garbage_replaces_the_body_of_a_performed_request(spoilt: Spoilt) -> None:
    spoilt.plan.add(Garbage(b"\xff{"))
    response = await spoilt.post()
    assert (response.status_code, response.content) == (200, b"\xff{")
    assert response.headers["x-kept"] == "yes"
    assert spoilt.performed == [b"order"]


async def test_truncated_json_has_lost_its_second_half(spoilt: Spoilt) -> None:
    spoilt.plan.add(Truncated())
    response = await spoilt.post()
    assert response.content == b'{"perfo'
    with pytest.raises(ValueError, match="Unterminated"):
        response.json()


async def test_a_hanging_request_ends_with_its_client(spoilt: Spoilt) -> None:
    spoilt.plan.add(Hang(), times=1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await spoilt.post()
    assert spoilt.performed == []
    assert (await spoilt.post()).status_code == 200


async def test_a_request_can_be_performed_twice(spoilt: Spoilt) -> None:
    spoilt.plan.add(Twice(), times=1)
    assert (await spoilt.post()).json() == {"performed": 2}
    assert spoilt.performed == [b"order", b"order"]


async def test_rules_match_method_path_and_count(spoilt: Spoilt) -> None:
    rule = spoilt.plan.add(Answer(500), method="POST", path="/orders/*", times=2)
    answers = [
        (await spoilt.client.get("/orders/1")).status_code,
        (await spoilt.post("/orders/1/lines")).status_code,
        (await spoilt.post("/orders/1")).status_code,
        (await spoilt.post("/orders/2")).status_code,
        (await spoilt.post("/orders/3")).status_code,
    ]
    assert answers == [200, 200, 500, 500, 200]
    assert (rule.applied, rule.left) == (2, 0)


async def test_rules_come_and_go_while_the_server_runs(spoilt: Spoilt) -> None:
    first = spoilt.plan.add(Answer(500), path="/orders/**")
    spoilt.plan.add(Answer(503))
    assert (await spoilt.post()).status_code == 500
    spoilt.plan.remove(first)
    assert (await spoilt.post()).status_code == 503
    spoilt.plan.clear()
    assert (await spoilt.post()).status_code == 200
