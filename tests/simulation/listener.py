"""Somebody who is told what goes wrong in a simulated world, and does not change it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from paas_runner.config.notify import Receiver
from paas_runner.secret import Secret
from tests.simulation.edges import RECEIVER
from tests.simulation.world import SimulatedWorld


def listen(world: SimulatedWorld) -> Sequence[Mapping[str, Any]]:
    """The notices of that world as they come, each once: a delivery is repeated after a crash."""
    told: dict[str, Mapping[str, Any]] = {}
    notices: list[Mapping[str, Any]] = []

    async def receive(request: Request) -> PlainTextResponse:
        document = await request.json()
        if told.setdefault(document["id"], document) is document:
            notices.append(document)
        return PlainTextResponse(json.dumps("thanks"))

    app = Starlette(routes=[Route("/hook", receive, methods=["POST"])])
    world._apps[f"http://{RECEIVER}"] = app
    read = world.configuration
    receiver = Receiver(name="ops", url=Secret(f"http://{RECEIVER}/hook"), cost_per_hour=0.5)
    world.configuration = lambda: attrs.evolve(read(), notify=(receiver,))
    return notices
