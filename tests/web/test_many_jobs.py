"""Five thousand jobs: how long a page of them takes, and whether the event loop goes on meanwhile."""

import asyncio
import subprocess
import sys
import time

import attrs
import pytest

from paas_runner.job.tracked import JobKey
from paas_runner.web.moment import MOST_WAITING
from tests.support.bounded import slowness
from tests.support.watched_world import MINUTE, record

MANY = 5000
WITHIN_SECONDS = 1.0  # of CPU: other tests run beside this one
LONGEST_TURN_SECONDS = 0.05


@pytest.fixture
def world(world):
    samples = [record(number, number * MINUTE) for number in range(1, 31)]
    world.jobs = [
        attrs.evolve(samples[number % 30], key=JobKey(samples[0].key.runner, number))
        for number in range(1, MANY + 1)
    ]
    return world


async def turns_until(done):
    """How often the event loop comes round meanwhile."""
    turns = 0
    while not done.done():
        await asyncio.sleep(0.002)
        turns += 1
    return turns


@pytest.mark.parametrize(
    ("path", "bars"), [("/", 100), ("/jobs?limit=5000", MANY), ("/api/v1/jobs?limit=1000", 0), ("/hosts", 0)]
)
async def test_five_thousand_jobs_take_less_than_a_second_and_delay_nobody(look, path, bars):
    await look("/static/page.css")  # what is made once
    for _ in range(6):  # counted in CPU and turns: other tests run beside this one
        slow, begun = slowness(), time.process_time()
        asking = asyncio.ensure_future(look(path))
        turns = await turns_until(asking)
        took = time.process_time() - begun
        answer = await asking
        assert answer.status_code == 200
        assert answer.text.count('<svg class="bar"') >= bars
        print(f"{path}: {took:.3f} s of CPU, {len(answer.content):,} bytes, {turns} turns of the loop")
        slow = max(slow, slowness())
        if took < WITHIN_SECONDS * slow and turns > took / LONGEST_TURN_SECONDS:
            return
    pytest.fail(f"{path}: {took:.3f} s, {turns} turns of the loop")


async def test_more_questions_than_can_be_answered_are_refused_at_once(world, look):
    world.jobs = []
    answers = await asyncio.gather(*(look("/") for _ in range(MOST_WAITING + 4)))
    refused = [answer for answer in answers if answer.status_code == 503]
    assert len(refused) == 4
    assert "Too much at a time" in refused[0].text


LOOKED_AT = """
import asyncio, time
from paas_runner.web.moment import Workroom

async def main():
    workroom = Workroom()
    asking = asyncio.create_task(workroom.run(time.sleep, 60))
    await asyncio.sleep(0.1)
    asking.cancel()
    workroom.close()

asyncio.run(main())
"""


def test_the_end_of_the_service_waits_for_no_answer():
    subprocess.run([sys.executable, "-c", LOOKED_AT], check=True, timeout=30)
