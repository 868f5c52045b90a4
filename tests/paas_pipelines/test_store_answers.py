"""Answers go out once the disk has what they tell of; where it takes nothing, the answer says so."""

import asyncio
import random
from datetime import UTC, datetime

import httpx
import pytest
from paas_pipelines.store.answers import AnsweredWhenWritten
from paas_pipelines.store.coordinator_book import DiskBook

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import JobSpec
from paas_runner.secret import Secret
from paas_runner.server.api import create_app
from paas_runner.store.protocol import StoreError
from tests.support.memory_journal import MemoryJournal


class SlowDisk(MemoryJournal):
    """Has what was put only when the test says so, or says that it takes nothing."""

    def __init__(self):
        super().__init__()
        self.written = asyncio.Event()
        self.full = False
        self.trouble = ""

    async def flushed(self):
        await self.written.wait()
        if self.full:
            raise StoreError("full")


@pytest.fixture
async def world(tmp_path):
    journal = SlowDisk()
    book = DiskBook(journal, tmp_path / "artifacts", lambda job: tmp_path / f"{job.job_id}" / "log")
    await book.load()
    options = CoordinatorOptions(registration_token=Secret("r"), admin_token=Secret("a"))
    coordinator = Coordinator(lambda: datetime(2026, 11, 29, tzinfo=UTC), options, random.Random(7), book)
    app = AnsweredWhenWritten(create_app(coordinator), journal)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x/api/v4") as client:
        yield coordinator, journal, client, tmp_path


async def job(world):
    """One that a runner has: its id and token."""
    coordinator, journal, client, _ = world
    journal.written.set()
    runner = coordinator.runners.add()
    coordinator.submit_job(JobSpec(name="deploy", script=("x",)))
    answer = await client.post("/jobs/request", json={"token": runner.token.reveal()})
    assert answer.status_code == 201
    return runner, answer.json()["id"], answer.json()["token"]


async def test_no_job_is_handed_out_before_the_disk_knows_who_has_it(world):
    coordinator, journal, client, _ = world
    runner = coordinator.runners.add()
    coordinator.submit_job(JobSpec(name="deploy", script=("x",)))
    asking = asyncio.create_task(client.post("/jobs/request", json={"token": runner.token.reveal()}))
    async with asyncio.timeout(60):
        while not coordinator.jobs[1].active:
            await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert not asking.done()
    journal.written.set()
    assert (await asking).status_code == 201


async def test_a_trace_is_acknowledged_once_it_is_there(world):
    coordinator, journal, client, _ = world
    _, job_id, token = await job(world)
    journal.written.clear()
    headers = {"JOB-TOKEN": token, "Content-Range": "0-4"}
    patching = asyncio.create_task(client.patch(f"/jobs/{job_id}/trace", content=b"hello", headers=headers))
    async with asyncio.timeout(60):
        while not coordinator.trace(job_id):
            await asyncio.sleep(0)
    await asyncio.sleep(0.02)
    assert not patching.done()
    journal.written.set()
    assert (await patching).status_code == 202


async def test_a_request_that_is_held_is_answered_when_there_is_news(world):
    coordinator, _, client, _ = world
    runner, _, _ = await job(world)
    body = {"token": runner.token.reveal()}
    seen = (await client.post("/jobs/request", json=body)).headers["X-GitLab-Last-Update"]
    held = asyncio.create_task(client.post("/jobs/request", json={**body, "last_update": seen}))
    await asyncio.sleep(0.05)
    assert not held.done()
    coordinator.submit_job(JobSpec(name="another"))
    async with asyncio.timeout(60):
        assert (await held).status_code == 204


async def test_where_the_disk_takes_nothing_the_answer_is_503_and_says_when_to_come_again(world):
    _, journal, client, _ = world
    runner, _, _ = await job(world)
    journal.full = True
    answer = await client.post("/runners/verify", json={"token": runner.token.reveal()})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "cannot be written" in answer.json()["message"]


async def test_as_long_as_that_is_known_no_job_is_handed_out(world):
    coordinator, journal, client, _ = world
    runner, _, _ = await job(world)
    waiting = coordinator.submit_job(JobSpec(name="another"))
    journal.trouble = "full"
    answer = await client.post("/jobs/request", json={"token": runner.token.reveal()})
    assert (answer.status_code, coordinator.jobs[waiting.job_id].active) == (503, False)
    journal.trouble = ""
    assert (await client.post("/jobs/request", json={"token": runner.token.reveal()})).status_code == 201


async def test_a_trace_that_cannot_be_written_may_come_again(world):
    coordinator, _, client, folder = world
    _, job_id, token = await job(world)
    (folder / f"{job_id}").write_text("in the way")
    headers = {"JOB-TOKEN": token, "Content-Range": "0-4"}
    answer = await client.patch(f"/jobs/{job_id}/trace", content=b"hello", headers=headers)
    assert (answer.status_code, coordinator.jobs[job_id].trace_bytes) == (503, 0)
    (folder / f"{job_id}").unlink()
    answer = await client.patch(f"/jobs/{job_id}/trace", content=b"hello", headers=headers)
    assert (answer.status_code, coordinator.trace(job_id)) == (202, b"hello")
