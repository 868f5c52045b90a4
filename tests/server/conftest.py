import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import httpx
import pytest

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.sandbox.control_api import create_coordinator_app
from tests.support.coordinator_world import OPTIONS, Clock, World
from tests.support.live_records import added


@pytest.fixture
async def make_world() -> AsyncIterator[Callable[..., World]]:
    clients: list[httpx.AsyncClient] = []

    def make(**options: Any) -> World:
        clock = Clock()
        coordinator = Coordinator(clock, attrs.evolve(OPTIONS, **options), random.Random(7))
        transport = httpx.ASGITransport(create_coordinator_app(coordinator))
        client = httpx.AsyncClient(transport=transport, base_url="http://gitlab.test:8929")
        clients.append(client)
        runner = added(coordinator, description="one", tags=("docker",))
        return World(clock, coordinator, runner, client, {"PRIVATE-TOKEN": "glpat-admin"})

    yield make
    for client in clients:
        await client.aclose()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()
