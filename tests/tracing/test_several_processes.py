"""Two services with one store: a job that changes hands is one trace, and nobody keeps what is another's."""

import asyncio
import random

import httpx
import pytest

from paas_runner.config.telemetry import Traces
from paas_runner.dispatch.view import served_job
from paas_runner.http import Exchange, Http
from paas_runner.job.tracked import Phase
from paas_runner.tracing import Tracing
from tests.support.records import NOW, job_in
from tests.support.shared_world import SharedWorld
from tests.support.trace_receiver import TraceReceiver

RECEIVER = "http://receiver.test"
TRACES = f"""
[traces]
  endpoint = "{RECEIVER}"
"""


@pytest.fixture
def receiver():
    return TraceReceiver()


@pytest.fixture
def play(tmp_path, receiver):
    def play(story):
        async def traced(world):
            world._apps[RECEIVER] = receiver.app
            await story(world)

        SharedWorld.play(tmp_path, traced, tail=TRACES)

    return play


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_job_whose_section_changes_hands_in_the_middle_is_one_trace_of_both(play, receiver, end):
    async def story(world):
        first = world.process("first")
        await world.held_by(first, 0)
        second = world.process("second")
        job = world.submit("sleep 100")
        await asyncio.sleep(40)
        await getattr(first, end)()
        await world.held_by(second, 0)
        await world.settled(job)
        await second.stop()
        root = receiver.only("job")
        assert {span.trace_id for span in receiver.spans} == {root.trace_id}
        assert receiver.twice == []
        phases = [name for name, _ in receiver.tree(root) if name.startswith("phase")]
        assert phases == [
            "phase acquired",
            "phase provisioning",
            "phase provisioned",
            "phase launching",
            "phase launched",
            "phase running",
            "phase decommissioning",
        ]
        assert len(receiver.named("request a job")) == 1

    play(story)


async def test_of_a_job_that_has_left_no_span_is_made_any_more():
    connect = Http(rng=random.Random(1), transport=lambda _: httpx.ASGITransport(TraceReceiver().app))
    job = job_in(Phase.RUNNING)
    wanted = Traces(endpoint=RECEIVER)
    traces = Tracing(wanted, mark="mark", connect=connect, clock=lambda: NOW, jobs=[job])
    call = Exchange(service="Clever Cloud", op="look", method="GET", seconds=0.1, attempt=1, answer=None)
    served_job.set(job.key)
    traces.call_ended(call)
    told = len(traces._export._waiting)
    traces.left(job.key.runner, [job])
    traces.call_ended(call)
    assert (told, len(traces._export._waiting)) == (1, 1)
    assert traces._traced == {}
