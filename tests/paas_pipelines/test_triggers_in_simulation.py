"""No start is lost and none is doubled, wherever the server is killed, whatever the clock and the disk do."""

import asyncio

import pytest

from paas_runner.testing import VirtualTimeLoop
from tests.paas_pipelines.worlds.triggered_servers import Mood, World
from tests.support.often import often


def judged(seed, **given):
    world = World(seed, **given)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return world, runner.run(world.run())


@pytest.mark.parametrize("seed", range(often(5)))
def test_seeds(seed):
    _, broken = judged(seed)
    assert broken == []


CALM = Mood(repeats=0.5)


@pytest.mark.long
def test_killed_at_every_write():
    """A short story, once for each place at which it may be killed: before and after each transaction."""
    kills_at, was_reached = 0, True
    while was_reached:
        world, broken = judged(4, mood=CALM, kills_at=kills_at, deliveries=2, hours=0.3)
        assert broken == [], kills_at
        was_reached = world.points[0] > kills_at
        kills_at += 1
    assert kills_at > 30


@pytest.mark.parametrize(
    "plant", ["answers early", "forgets keys", "event later", "cursor later", "end unseen"]
)
def test_a_planted_fault_is_found(plant):
    bad = Mood(kill_at_write=0.02, life=100, latency=0.01)
    assert any(judged(seed, mood=bad, plant=plant)[1] for seed in range(10))
