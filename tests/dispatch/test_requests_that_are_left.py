"""What becomes of requests in flight, and of turns asked for, when a runner is to ask no more."""

import asyncio

import attrs
import pytest

from paas_runner.coordinator.protocol import JobAnswer
from paas_runner.dispatch.pace import AT_ONCE_USUALLY
from paas_runner.job.limits import Limits
from paas_runner.loop.heartbeat import Heartbeats
from paas_runner.testing.virtual_time import run_virtual
from tests.support.asking import Asking, body
from tests.support.outside_world import RHYTHM, RUNNER

MANY = attrs.evolve(RHYTHM, at_once=AT_ONCE_USUALLY)
OTHERS = {"b": 0, "c": 0, "d": 0}


def granted(number, *, update=""):
    return JobAnswer(payload=body(number), last_update=update, holds=True)


class Script:
    """Each request gets its own answer after its own time, the last one all further requests."""

    def __init__(self, *answers):
        self._answers = answers
        self.seen = []

    async def request_job(self, *, seen=""):
        seconds, answer = self._answers[min(len(self.seen), len(self._answers) - 1)]
        self.seen.append(seen)
        await asyncio.sleep(seconds)
        return answer


def test_a_request_that_told_nothing_is_not_cut_off_by_an_answer_that_tells_nothing():
    script = Script(
        (0.1, granted(1, update="v")),
        (0.1, granted(2, update="v")),
        (50, JobAnswer(released=True, holds=True)),
        (6, granted(3)),  # the application works on it
        (6, JobAnswer(holds=True)),
        (0.1, JobAnswer(holds=True)),  # a conflict, in answer to the question for the last update
    )
    limits = Limits(concurrent=6, provisioning=9, per_runner={RUNNER: 0, **OTHERS})
    asking = run_virtual(Asking(script, limits=limits, rhythm=MANY).run(2))
    assert script.seen == ["", "v", "v", "", "", ""]
    assert [job.key.job_id for job in asking.started] == [1, 2, 3]


@pytest.mark.parametrize("steps", range(1, 8))
def test_a_runner_that_is_retired_at_any_moment_waits_for_no_turn_any_more(steps):
    async def main():
        limits = Limits(concurrent=9, provisioning=9, per_runner={RUNNER: 0}, paused=frozenset({RUNNER}))
        asking = Asking(Script((0, JobAnswer())), limits=limits)
        running = asyncio.ensure_future(asking.run(60))
        for _ in range(steps):
            await asyncio.sleep(0)
        asking.ending.set()
        asking.registry.dismiss(RUNNER)
        await asyncio.sleep(30)
        waiting = asking.registry.waiting
        await running
        return waiting

    assert list(run_virtual(main())) == []


def test_a_turn_that_comes_in_the_moment_in_which_its_runner_is_retired_is_not_used():
    async def main():
        script = Script((0, granted(1)), (0, granted(2)))
        limits = Limits(concurrent=1, provisioning=9, per_runner={RUNNER: 0})
        asking = Asking(script, limits=limits)
        running = asyncio.ensure_future(asking.run(60))
        await asyncio.sleep(30)
        assert list(asking.registry.waiting) == [RUNNER]
        asking.registry.remove(asking.started[0].key)
        asking.ending.set()
        asking.registry.dismiss(RUNNER)
        await running
        return script

    assert len(run_virtual(main()).seen) == 1


def test_a_runner_without_room_is_not_taken_for_hung_after_the_disk_refused_a_job_of_its_last_request():
    async def main():
        heartbeats = Heartbeats()
        script = Script((1, granted(1)), (1, granted(2)), (1, granted(3)), (2, granted(4)))
        limits = Limits(concurrent=4, provisioning=9, per_runner={RUNNER: 0})
        asking = Asking(script, limits=limits, rhythm=MANY)
        running = asyncio.ensure_future(
            heartbeats.watched("asking", lambda: asking.run(5000), round_seconds=600)
        )
        await asyncio.sleep(2.5)
        asking.world.store.refusals = 1
        await asyncio.sleep(4000)
        assert len(asking.started) == 4
        overdue = heartbeats.overdue()
        await running
        return overdue

    assert run_virtual(main()) == []
