"""A service to be looked at, and a browser without JavaScript."""

import httpx
import pytest

from tests.support.watched_world import watched_world


@pytest.fixture
def world(tmp_path):
    made = watched_world(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def look(world):
    """Ask the page as whoever is on this machine."""
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield client.get
