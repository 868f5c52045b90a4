"""The program is killed at every write and at every call to the place: what is over never runs again."""

import pytest
from structlog.testing import capture_logs

from tests.paas_workflows.executions import World, path_of
from tests.support.logged_events import events_in
from tests.support.memory_place import MemoryPlace, Program, says

STORY = """\
name: story
workflows:
  run:
    start: {action: old, success: refused}
    refused: {action: needs, abort: slow}
    slow: {action: slow, timeout: last, duration: 60s}
    last: {action: last, failure: end}
    end: {action: nothing}
actions:
  old: {image: old}
  needs: {image: old, requirements: {env: [NOT_THERE]}}
  slow: {image: slow}
  last: {image: last}
"""
PATH = [
    ("start", "success", 0),
    ("refused", "abort", 0),
    ("slow", "timeout", 124),
    ("last", "failure", 3),
    ("end", "abort", 0),
]


def story():
    place = MemoryPlace(
        old=Program(lines=says(context=lambda given: {**given, "made": 1}), environment={}),
        slow=Program(lines=says(), pause=60.0),
        last=Program(lines=says("failure", rc=3), pause=5.0),
    )
    return World(place, STORY)


def undisturbed():
    world = story()
    end = world.run()
    assert path_of(end) == PATH
    return world


UNDISTURBED = undisturbed()


def check(world, downtime):
    end = world.run(downtime)
    assert path_of(end) == PATH
    assert (end.status, end.rc) == ("abort", 0)
    assert end.ended is not None
    assert world.place.containers == {}
    steps = [each.context["step_name"] for each in world.place.history]
    assert steps == ["start", "slow", "last"]
    assert world.place.history[0].data
    assert world.place.history[2].context["made"] == 1
    assert world.place.history[1].stopped - world.place.history[1].started >= 60


@pytest.mark.parametrize("downtime", [0.0, 7.0, 100.0])
@pytest.mark.parametrize("is_written", [False, True])
def test_at_every_write(is_written, downtime):
    for number in range(UNDISTURBED.writes):
        world = story()
        world.killed_at_write = (number, is_written)
        check(world, downtime)


@pytest.mark.parametrize("downtime", [0.0, 7.0])
@pytest.mark.parametrize("is_done", [False, True])
def test_at_every_call(is_done, downtime):
    for number in range(len(UNDISTURBED.place.calls)):
        world = story()
        world.place.killed_at = (number, is_done)
        check(world, downtime)


def test_a_container_that_somebody_has_removed_meanwhile_is_told_and_the_step_runs_again():
    world = story()
    world.place.killed_at = (UNDISTURBED.place.calls.index("wait"), True)
    containers = world.place.containers

    original = world._program
    deaths = []

    async def program():
        if deaths:
            containers.clear()
        deaths.append(1)
        return await original()

    world._program = program
    with capture_logs() as logged:
        end = world.run(1.0)
    assert path_of(end) == PATH
    assert [each.context["step_name"] for each in world.place.history] == ["start", "start", "slow", "last"]
    assert [event["step"] for event in events_in(logged, "step_lost")] == ["start"]


def test_a_cancellation_goes_on_after_a_death():
    for number in range(3, 9):
        world = story()
        world.cancel_after = 1.0
        world.killed_at_write = (number, True)
        end = world.run()
        assert end.status == "abort"
        assert world.place.containers == {}
        assert len(world.place.history) <= 1


def test_a_step_that_ends_while_nobody_is_there_is_over_and_its_lines_are_read():
    world = story()
    world.killed_at_write = (2, True)
    world.place.killed_at = None
    check(world, 1000.0)
