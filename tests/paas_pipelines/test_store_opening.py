"""A data folder opened again has everything as it was: runs, the coordinator's jobs, their logs."""

import asyncio
import random
import shutil
from datetime import UTC, datetime

import pytest
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.engine import Engine
from paas_pipelines.store.disk import UNNEEDED
from paas_pipelines.store.logs import Stream
from paas_pipelines.store.opening import opened

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.spec import JobSpec, Retry
from paas_runner.secret import Secret
from paas_runner.store.protocol import StoreError
from tests.support.memory_journal import MemoryJournal

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
DEFINITION = Definition(
    name="p",
    source="x",
    concurrency=9,
    retention_count=1,
    tasks={"deploy": TaskDefinition(script=("x",), runner="big"), "local": TaskDefinition(script=("x",))},
)


class World:
    """Engine and coordinator on one store."""

    def __init__(self, store):
        self.store = store
        self.engine = Engine(lambda: NOW, store.runs, {"p": DEFINITION})
        options = CoordinatorOptions(registration_token=Secret("r"), admin_token=Secret("a"))
        self.coordinator = Coordinator(lambda: NOW, options, random.Random(7), store.jobs)

    def submitted(self):
        """A run whose remote task is a job that a runner has."""
        run = self.engine.schedule("p", variables={})
        job = self.coordinator.submit_job(JobSpec(name="deploy", retry=Retry(times=1)))
        self.engine.submitted(run.run_id, "deploy", job.job_id)
        return run.run_id, job.job_id

    def acquired(self):
        runner = self.coordinator.runners.add()
        return self.coordinator.acquire(runner.runner_id)


def in_folder(folder):
    return opened(folder, most_log_bytes=1000)


async def test_runs_jobs_and_logs_are_as_they_were(tmp_path):
    async with in_folder(tmp_path) as store:
        world = World(store)
        run_id, job_id = world.submitted()
        world.acquired()
        world.coordinator.append_trace(job_id, 0, b"hello")
        before = (list(store.runs.runs()), dict(store.jobs.jobs()), store.jobs.runners())
    async with in_folder(tmp_path) as store:
        assert (list(store.runs.runs()), dict(store.jobs.jobs()), store.jobs.runners()) == before
        assert store.jobs.trace(job_id) == store.logs.read(run_id, "deploy", Stream.STDOUT) == b"hello"
        heard = []
        store.logs.grown.subscribe(lambda: heard.append(1))
        assert World(store).coordinator.append_trace(job_id, 5, b" again").status == 202
        assert store.logs.read(run_id, "deploy", Stream.STDOUT) == b"hello again"
        assert heard == [1]


async def test_a_job_that_takes_anothers_place_writes_into_the_same_log(tmp_path):
    async with in_folder(tmp_path) as store:
        world = World(store)
        run_id, job_id = world.submitted()
        world.coordinator._progress.fail(world.acquired(), "script_failure")
    async with in_folder(tmp_path) as store:
        world = World(store)
        again = world.acquired()
        assert again.retry_of == job_id
        assert world.coordinator.append_trace(again.job_id, 0, b"second").status == 202
        assert store.logs.read(run_id, "deploy", Stream.STDOUT) == b"second"


async def test_with_a_run_its_jobs_are_forgotten(tmp_path):
    async with in_folder(tmp_path) as store:
        world = World(store)
        run_id, first = world.submitted()
        world.coordinator._progress.fail(world.acquired(), "script_failure")
        kept, second = world.submitted()
        store.runs.remove(run_id)
    async with in_folder(tmp_path) as store:
        assert [run.run_id for run in store.runs.runs()] == [kept]
        assert list(store.jobs.jobs()) == [second]
        assert first < second


async def test_with_a_run_its_logs_go_also_where_the_server_dies_in_between(tmp_path, monkeypatch):
    def dies(_folder, **_how):
        raise asyncio.CancelledError

    async with in_folder(tmp_path) as store:
        run_id, _ = World(store).submitted()
        kept, _ = World(store).submitted()
        for each in (run_id, kept):
            with store.logs.output(each, "local") as output:
                output.stdout(b"said")
        await store.journal.flushed()
        monkeypatch.setattr(shutil, "rmtree", dies)
        store.runs.remove(run_id)
        while not await store.journal.stored(UNNEEDED):
            await asyncio.sleep(0)
        assert store.logs.folder(run_id).exists()
        assert run_id not in await store.journal.stored("run")
    monkeypatch.undo()
    async with in_folder(tmp_path):
        pass
    assert not store.logs.folder(run_id).exists()
    async with in_folder(tmp_path) as store:
        assert await store.journal.stored(UNNEEDED) == {}
    assert store.logs.read(kept, "local", Stream.STDOUT) == b"said"


async def test_a_trace_of_a_job_that_is_nobodys_is_kept_apart(tmp_path):
    async with in_folder(tmp_path) as store:
        world = World(store)
        job = world.coordinator.submit_job(JobSpec(name="../odd"))
        world.acquired()
        world.coordinator.append_trace(job.job_id, 0, b"hello")
        assert (tmp_path / "logs" / f"job-{job.job_id}" / "trace-stdout.log").read_bytes() == b"hello"


async def test_a_broken_record_stops_the_start_and_the_folder_is_free_again(tmp_path):
    async with in_folder(tmp_path) as store:
        store.journal.put("run", "a-1", '{"number": "s3cret"}')
    for _ in range(2):
        with pytest.raises(StoreError, match=r"run a-1.*number") as refused:
            async with in_folder(tmp_path):
                pass
    assert "s3cret" not in str(refused.value)


async def test_the_journal_of_tests_is_like_the_one_on_a_disk(tmp_path):
    async with in_folder(tmp_path) as store:
        public = {name for name in dir(store.journal) if not name.startswith("_")} - {"open", "aclose"}
        assert public <= {name for name in dir(MemoryJournal()) if not name.startswith("_")}
