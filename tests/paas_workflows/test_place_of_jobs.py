"""Containers as jobs of a coordinator in memory, in virtual time, with a runner that a test plays."""

import asyncio
import random
from datetime import timedelta

import attrs
import pytest
from paas_workflows.running.jobs import BEFORE_START, LATE, JobsPlace

from paas_runner.container import Ended, Line, Stream, Wanted
from paas_runner.errors import Rejected
from paas_runner.pipelines.book import MemoryBook
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.reports import StateReport
from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import run_virtual, virtual_now

SECOND = timedelta(seconds=1)
NAME = "workflow-a-b"
WANTED = Wanted(name=NAME, image="an/image:1", environment={"A": Secret("$B 'x'")}, ends_after=60 * SECOND)


class World:
    """What outlives the program: the book."""

    def __init__(self):
        self.book = MemoryBook()
        self.writes = 0
        self.job = None
        self.restart()
        self.runner = self.coordinator.runners.add(description="far")

    def restart(self):
        options = CoordinatorOptions(registration_token=Secret("r"), admin_token=Secret("a"))
        self.coordinator = Coordinator(virtual_now, options, random.Random(1), self.book)
        self.place = JobsPlace(
            coordinator=self.coordinator,
            written=self.written,
            forget=lambda job: self.book.forget(job.pipeline_id),
            now=virtual_now,
        )

    async def written(self):
        self.writes += 1

    async def started(self):
        await self.place.prepare(WANTED)
        await self.place.create(WANTED)
        await self.place.start(NAME)
        self.job = self.coordinator.acquire(self.runner.runner_id, features=frozenset({"cancel_gracefully"}))

    def says(self, text):
        job = self.coordinator.latest(self.job.job_id)
        assert self.coordinator.append_trace(job.job_id, job.trace_bytes, text).status == 202

    def begins(self):
        second = int(virtual_now().timestamp())
        self.says(b"section_start:%d:step_script\r\x1b[0K\x1b[36;1mExecuting\x1b[0;m\n" % second)

    def ends(self, state="success", **report):
        second = int(virtual_now().timestamp())
        self.says(b"section_end:%d:step_script\r\x1b[0K\n" % second)
        assert self.coordinator.update(self.job.job_id, StateReport(state=state, **report)).status == 200

    async def lines(self):
        return [line async for line in self.place.lines(NAME)]


def in_world(test):
    def wrapped():
        async def run():
            await test(World())

        run_virtual(run())

    wrapped.__name__ = test.__name__
    return wrapped


@in_world
async def test_a_runner_is_told_of_image_and_environment_and_of_no_script_that_would_succeed(world):
    await world.started()
    payload = job_payload(world.job, url="http://here", options=world.coordinator.options)
    assert payload["program"] == {"environment": {"A": "$B 'x'"}}
    assert payload["image"]["name"] == "an/image:1"
    assert payload["steps"][0]["script"][0].endswith("exit 125")
    assert payload["runner_info"]["timeout"] == (60 * SECOND + BEFORE_START).total_seconds()
    assert "$B" not in repr(world.job)
    assert world.writes == 1


@in_world
async def test_only_what_the_container_says_comes_byte_for_byte(world):
    await world.started()
    reading = asyncio.create_task(world.lines())
    world.says(b"\x1b[0KRunning with\nKOG:{}\n")
    world.begins()
    result = b'KOG:{"context":{"a":"' + b"\xc3\xa4" * 400_000 + b'"}}'
    for piece in (
        b"stdou",
        b"t: one\r\nstderr: stdout: two\n",
        b"stdout: " + result[:70_001],
        result[70_001:],
    ):
        world.says(piece)
        await asyncio.sleep(1)
    world.says(b"\nstdout: \n")
    world.ends()
    lines = [Line(b"one\r"), Line(b"stdout: two", Stream.ERRORS), Line(result), Line(b"")]
    assert await reading == lines
    assert await world.lines() == lines
    assert await world.place.wait(NAME, 60 * SECOND) == Ended(code=0)


@in_world
async def test_another_process_finds_the_job_by_its_name(world):
    await world.started()
    world.restart()
    await world.place.create(WANTED)
    await world.place.start(NAME)
    assert len(world.coordinator.jobs) == 1
    world.begins()
    world.ends("failed", failure_reason="script_failure", exit_code=137)
    assert await world.place.wait(NAME) == Ended(code=137, cause="it was ended by SIGKILL")
    for _ in "ab":
        await world.place.remove(NAME)
    assert not world.coordinator.jobs
    with pytest.raises(Rejected) as caught:
        await world.place.wait(NAME)
    assert caught.value.status == 404


@in_world
async def test_one_that_was_not_created_here_cannot_be_started(world):
    with pytest.raises(Rejected, match="create it again"):
        await world.place.start(NAME)


@in_world
async def test_the_limit_counts_from_the_container_on_and_not_from_the_host(world):
    await world.started()
    await asyncio.sleep(600)
    waiting = asyncio.create_task(world.place.wait(NAME, 10 * SECOND))
    world.begins()
    began = virtual_now()
    await asyncio.sleep(5)
    assert not waiting.done()
    assert await waiting is None
    assert virtual_now() - began <= 10 * SECOND + LATE + SECOND


@in_world
async def test_what_has_ended_in_time_has_although_it_is_told_late(world):
    await world.started()
    world.begins()
    await asyncio.sleep(9)
    world.says(b"section_end:%d:step_script\r\x1b[0K\n" % int(virtual_now().timestamp()))
    await asyncio.sleep(30)
    waiting = asyncio.create_task(world.place.wait(NAME, 10 * SECOND))
    await asyncio.sleep(5)
    world.coordinator.update(world.job.job_id, StateReport(state="success"))
    assert await waiting == Ended(code=0)


@in_world
async def test_a_stopped_one_has_time_and_then_it_is_ended(world):
    await world.started()
    began = virtual_now()
    await world.place.stop(NAME, 10 * SECOND)
    assert virtual_now() - began == 70 * SECOND
    assert world.coordinator.latest(world.job.job_id).ended
    await world.place.stop("another", SECOND)


@in_world
async def test_what_the_host_could_not_do_is_told_in_its_words(world):
    await world.started()
    world.says(b"\x1b[0KPulling\n\x1b[31;1mERROR: Job failed: no such image\x1b[0;m\n")
    world.coordinator.update(
        world.job.job_id, StateReport(state="failed", failure_reason="image_pull_failure")
    )
    with pytest.raises(Rejected, match=r"image_pull_failure\): ERROR: Job failed: no such image$"):
        await world.place.wait(NAME)


@in_world
async def test_output_that_was_cut_is_told_of(world):
    await world.started()
    world.begins()
    world.says(b"stdout: o\nstdout: on\n\x1b[33;1mJob's log exceeded limit of 20 bytes.\n")
    world.ends()
    with pytest.raises(Rejected, match="`output_limit`"):
        await world.lines()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"volumes": ("a:/b",)}, "volumes"),
        ({"takes_input": True}, "input"),
        ({"image": "A B"}, "no image name"),
    ],
)
async def test_what_cannot_be_is_said_before(changed, words):
    with pytest.raises(Rejected, match=words):
        await World().place.prepare(attrs.evolve(WANTED, **changed))
