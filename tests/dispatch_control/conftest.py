"""Stories in the virtual world with an operator in it."""

import asyncio

import pytest

from tests.dispatch_control.operated_world import OperatedWorld
from tests.virtual_time import run_virtual


@pytest.fixture
def operate(tmp_path):
    """Run a story in a world of its own; nothing may be left of it."""

    def run(story, **world_options):
        async def main():
            world = OperatedWorld(tmp_path, **world_options)
            try:
                return await asyncio.wait_for(story(world), 24 * 3600)
            finally:
                await world.aclose()

        return run_virtual(main())

    return run
