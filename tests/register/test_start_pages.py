"""What docs/start/ says to type registers a runner that can be served: on Clever Cloud, and with Heptapod."""

import re
import shlex
from pathlib import Path

import pytest

START = Path(__file__).parents[2] / "docs" / "start"


def registration_of(page):
    """The arguments behind the program's name, without the configuration's path."""
    text = (START / page).read_text().replace("\\\n", " ")
    [line] = re.findall(r"^sudo .* heptapod-paas-runner-register (.*)$", text, re.MULTILINE)
    return shlex.split(line)[:-1]


@pytest.mark.parametrize("page", ["clever-cloud.md", "heptapod.md"])
async def test_what_the_page_says_to_type_registers_a_runner(world, page):
    created = world.sandbox.coordinator.runners.add(description="created there")
    result = await world.run(
        *registration_of(page),
        world.config,
        CI_SERVER_URL=world.sandbox.coordinator_url,
        CI_SERVER_TOKEN=created.token.reveal(),
        CC_ORGA_ID=world.sandbox.organisation_id,
        CC_TOKEN=world.sandbox.cloud_token.reveal(),
    )
    assert result.code == 0, result
    assert created.token.reveal() in world.config.read_text()
