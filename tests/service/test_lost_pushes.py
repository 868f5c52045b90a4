"""A push whose answer is lost, doubled or nonsense: its job is launched once, and nobody waits for it."""

import pytest

from paas_runner.sandbox.faults import Answer, Delay, DropAfter, DropBefore, Garbage, Hang, Truncated, Twice

QUESTION, PUSH = ("GET", "/git/*/info/refs"), ("POST", "/git/*/git-receive-pack")


@pytest.mark.parametrize("fault", [DropAfter(), Garbage(), Truncated(), Twice()], ids=repr)
def test_a_push_that_was_made_is_known_at_once_whatever_its_answer(play, fault):
    async def story(world):
        method, path = PUSH
        rule = world.cloud_faults.add(fault, method=method, path=path, times=1)
        async with world.service():
            job = world.submit("sleep 60")
            await world.settled(job)
        assert rule.applied == 1
        assert job.status == "success"
        assert list(world.launches.values()) == [1]
        asked = world.cloud.ledger.requests
        pushes = {route: count for route, count in asked.items() if "/git/" in route}
        assert pushes == {
            "GET /git/{application}.git/info/refs": 2,
            "POST /git/{application}.git/git-receive-pack": 1 + isinstance(fault, Twice),
        }

    play(story)


@pytest.mark.parametrize("where", [QUESTION, PUSH], ids=["question", "push"])
@pytest.mark.parametrize(
    "fault", [DropBefore(), Hang(), Delay(300), Answer(404), Answer(503), Answer(429), Answer(200)], ids=repr
)
def test_a_push_that_was_not_made_or_came_late_is_made_once(play, where, fault):
    async def story(world):
        method, path = where
        rule = world.cloud_faults.add(fault, method=method, path=path, times=1)
        async with world.service():
            job = world.submit("sleep 600")
            await world.settled(job)
        assert rule.applied == 1
        assert job.status == "success"
        assert list(world.launches.values()) == [1]

    play(story)
