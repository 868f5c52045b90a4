"""The coordinator's book is the same after the disk, and answers as the one in memory does."""

import json
import random
import stat
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from paas_pipelines.store.coordinator_book import MOST_LEDGER_LINES, DiskBook
from paas_pipelines.store.disk import DiskJournal

from paas_runner.job.variables import Variable
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.jobs import GitRepository, Project, apply, created
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.reports import Artifact, StateReport
from paas_runner.pipelines.runners import JobRunner, RunnerRecord, RunnerType
from paas_runner.pipelines.spec import (
    ArtifactSpec,
    CacheSpec,
    ImageSpec,
    JobSpec,
    Pipeline,
    Retry,
    RunWhen,
    ServiceSpec,
)
from paas_runner.pipelines.states import Acquired, Enqueued, JobState, Reserved, StateReported, Succeeded
from paas_runner.secret import Secret
from paas_runner.store.protocol import StoreError
from tests.pipelines import test_book
from tests.support.memory_journal import MemoryJournal

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SPEC = JobSpec(
    name="deploy",
    script=("make", "é\ud800"),
    stage="deploy",
    before_script=("b",),
    after_script=("a",),
    variables=(Variable(key="TOKEN", value="s", masked=True), Variable(key="x", value="", raw=True)),
    image=ImageSpec(name="debian", entrypoint=("",), pull_policy=("always",)),
    services=(ServiceSpec(name="postgres", command=("x",), variables=(Variable(key="a", value="b"),)),),
    needs=("build",),
    dependencies=(),
    artifacts=ArtifactSpec(paths=("dist",), reports={"junit": ("a.xml",)}),
    caches=(CacheSpec(key="k", paths=("c",)),),
    timeout=timedelta(minutes=90),
    allowed_exit_codes=frozenset({3, 137}),
    retry=Retry(times=2, reasons=frozenset({"script_failure", "api_failure"})),
    when=RunWhen.ALWAYS,
    tags=("big",),
)

RUNNER = JobRunner(runner_id=1, system_id="s", tags=("big",), maximum_timeout=timedelta(hours=1))


class Place:
    """One data folder, its book opened again and again."""

    def __init__(self, folder):
        self.folder = folder
        self.journal = MemoryJournal()

    def trace_path(self, job):
        return self.folder / "logs" / f"run-{job.pipeline_id}" / f"{job.spec.name}-stdout.log"

    async def book(self):
        book = DiskBook(self.journal, self.folder / "artifacts", self.trace_path)
        await book.load()
        return book

    async def crashed(self, book, *, texts):
        """What another process finds whose predecessor died with these records on the disk."""
        self.journal = MemoryJournal()
        self.journal.texts = dict(texts)
        return await self.book()


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


PROMISES = {name: check for name, check in vars(test_book).items() if name.startswith("test_")}


@pytest.mark.parametrize("promise", sorted(PROMISES))
async def test_it_promises_what_any_book_does(promise, place):
    PROMISES[promise](await place.book())


def facts(book):
    """All that a book has to say."""
    jobs = list(book.jobs().values())
    return {
        "jobs": jobs,
        "waiting": list(book.waiting()),
        "active": book.active(),
        "reserved": book.reserved(),
        "pipelines": {job.pipeline_id: book.predecessors(job.pipeline_id) for job in jobs},
        "tokens": [book.job_with(job.token.reveal()) for job in jobs],
        "traces": [book.trace(job.job_id) for job in jobs],
        "artifacts": [
            {kind: (artifact, artifact.read()) for kind, artifact in book.artifacts(job.job_id).items()}
            for job in jobs
        ],
        "runners": book.runners(),
    }


def new_job(book, spec=SPEC, **changes):
    pipeline_id = book.open_pipeline({"build": frozenset(), "deploy": frozenset({"build", "a"})})
    job = created(
        spec,
        NOW,
        job_id=book.new_job_id(),
        pipeline_id=pipeline_id,
        project=Project(project_id=3, repository=GitRepository(url="https://x", sha="f00")),
        token=Secret(f"t-{pipeline_id}"),
        **changes,
    )
    book.save(job)
    return job


async def test_a_job_with_all_that_it_may_have_is_the_same_in_every_state(place):
    book = await place.book()
    job = new_job(book, retry_of=1)
    for events in (
        [Enqueued()],
        [Reserved(runner=RUNNER, until=NOW)],
        [Acquired(runner=RUNNER), StateReported(state="running")],
        [Succeeded(exit_code=0)],
    ):
        for event in events:
            job = apply(job, event, NOW)
        book.save(job)
        again = await place.book()
        assert again.job(job.job_id) == job
        assert facts(again) == facts(book)


async def test_a_whole_story_goes_on_after_a_restart_at_any_point(place):
    """The coordinator itself on the book, opened again after each verb."""
    rng = random.Random(7)
    options = CoordinatorOptions(registration_token=Secret("r"), admin_token=Secret("a"))

    async def coordinator():
        return Coordinator(lambda: NOW, options, rng, await place.book())

    now = await coordinator()
    runner = now.runners.add(description="big", tags=("a",), maximum_timeout=timedelta(minutes=20))
    now.runners.seen(runner.runner_id, "machine", {"name": "gitlab-runner", "features": {"x": True}})
    now = await coordinator()
    [found] = now.runners
    assert found.managers == {"machine": {"name": "gitlab-runner", "features": {"x": True}}}
    assert now.runners.authenticate(runner.token.reveal()) == found
    spec = JobSpec(name="one", retry=Retry(times=1), tags=("a",))
    other = JobSpec(name="two", needs=("one",))
    submitted = now.submit(Pipeline(jobs=(spec, other)))
    for attempt in (1, 2):
        now = await coordinator()
        job = now.acquire(runner.runner_id, features=frozenset({"x"}), system_id="machine")
        assert (job.spec, job.retry_of is None) == (spec, attempt == 1)
        now = await coordinator()
        assert now.append_trace(job.job_id, 0, b"hello\n").status == 202
        now = await coordinator()
        assert now.append_trace(job.job_id, 6, b"world\n").status == 202
        assert (await coordinator()).trace(job.job_id) == b"hello\nworld\n"
        now = await coordinator()
        assert (
            now.update(job.job_id, StateReport(state="failed", failure_reason="script_failure")).status == 200
        )
        now = await coordinator()
        place.trace_path(job).unlink()
    assert now.latest(submitted.jobs["one"]).status is JobState.FAILED
    assert now.jobs[submitted.jobs["two"]].status is JobState.SKIPPED


async def test_ids_never_come_again_although_what_had_them_is_forgotten(place):
    book = await place.book()
    job = new_job(book)
    runner = RunnerRecord(runner_id=book.new_runner_id(), token=Secret("x"))
    book.save_runner(runner)
    book.forget(job.pipeline_id)
    book.remove_runner(runner.runner_id)
    book = await place.book()
    assert facts(book)["jobs"] == []
    assert (book.new_job_id(), book.open_pipeline({}), book.new_runner_id()) == (2, 2, 2)


async def test_runners_keep_what_is_known_of_them(place):
    book = await place.book()
    runner = RunnerRecord(
        runner_id=book.new_runner_id(),
        token=Secret("glrt-t3_x"),
        runner_type=RunnerType.PROJECT,
        description="d",
        paused=True,
        tags=("a", "b"),
        maximum_timeout=timedelta(hours=2),
        managers={"m": {"ip": "::1"}},
    )
    book.save_runner(runner)
    assert (await place.book()).runners() == (runner,)


# --- files --------------------------------------------------------------------------------------------------


def running(book):
    job = apply(apply(new_job(book), Enqueued(), NOW), Acquired(runner=RUNNER), NOW)
    book.save(job)
    return job


def extended(book, job, data):
    job = attrs.evolve(job, trace_bytes=job.trace_bytes + len(data))
    book.extend_trace(job, data)
    return job


async def test_a_trace_is_a_log_and_what_was_not_acknowledged_is_cut(place):
    book = await place.book()
    job = extended(book, running(book), b"one ")
    before = dict(place.journal.texts)
    extended(book, job, b"two ")
    assert place.trace_path(job).read_bytes() == b"one two "
    assert stat.S_IMODE(place.trace_path(job).stat().st_mode) == 0o600
    book = await place.crashed(book, texts=before)
    assert place.trace_path(job).read_bytes() == book.trace(job.job_id) == b"one "
    extended(book, book.job(job.job_id), b"three")
    assert (await place.book()).trace(job.job_id) == b"one three"


async def test_a_piece_that_was_half_written_leaves_nothing_behind(place):
    book = await place.book()
    job = extended(book, running(book), b"one ")
    with place.trace_path(job).open("ab") as file:
        file.write(b"half of it, and the disk was full")
    job = extended(book, job, b"two")
    assert place.trace_path(job).read_bytes() == b"one two"


async def test_where_a_trace_cannot_be_written_the_record_stays(place):
    book = await place.book()
    job = running(book)
    place.trace_path(job).parent.parent.mkdir(parents=True)
    place.trace_path(job).parent.write_text("in the way")
    with pytest.raises(StoreError, match=r"deploy-stdout\.log: cannot be written"):
        extended(book, job, b"x")
    assert (book.job(job.job_id), book.trace(job.job_id)) == (job, b"")


async def test_artifacts_are_files_that_are_read_when_asked_for(place):
    """The type is what a runner says: it leads nowhere."""
    book = await place.book()
    job = running(book)
    hostile = "../../../etc/passwd\ud800"
    for artifact in (
        Artifact.of(b"PK", filename="../a.zip", expires_at=NOW),
        Artifact.of(b"", filename="j", kind=hostile, form="raw"),
    ):
        book.store_artifact(job, artifact)
    book = await place.book()
    archive, other = book.artifacts(job.job_id)["archive"], book.artifacts(job.job_id)[hostile]
    assert (archive.size, archive.read(), archive.expires_at, other.read()) == (2, b"PK", NOW, b"")
    files = [path for path in place.folder.rglob("*") if path.is_file()]
    assert {path.parent for path in files} == {place.folder / "artifacts" / str(job.job_id)}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


async def test_an_upload_that_was_not_acknowledged_leaves_nothing_and_may_come_again(place):
    book = await place.book()
    job = running(book)
    before = dict(place.journal.texts)
    book.store_artifact(job, Artifact.of(b"PK", filename="a.zip"))
    book = await place.crashed(book, texts=before)
    assert book.artifacts(job.job_id) == {}
    assert [path for path in (place.folder / "artifacts").rglob("*") if path.is_file()] == []
    book.store_artifact(job, Artifact.of(b"PK2", filename="a.zip"))
    assert (await place.book()).artifacts(job.job_id)["archive"].read() == b"PK2"


async def test_of_what_is_forgotten_no_file_is_left(place):
    book = await place.book()
    job = running(book)
    book.store_artifact(job, Artifact.of(b"PK", filename="a.zip"))
    book.forget(job.pipeline_id)
    assert [path for path in (place.folder / "artifacts").rglob("*") if path.is_file()] == []
    assert {kind for kind, _ in place.journal.texts} == {"coordinator ids"}


async def test_a_job_that_runs_for_days_does_not_grow(place):
    book = await place.book()
    job = running(book)
    for _ in range(3 * MOST_LEDGER_LINES):
        job = apply(book.job(job.job_id), StateReported(state="running"), NOW)
        book.save(job)
    assert len(book.job(job.job_id).ledger) == MOST_LEDGER_LINES
    written = place.journal.texts["job", str(job.job_id)]
    assert len(written) < 100 * MOST_LEDGER_LINES


async def test_a_broken_record_is_named_and_shows_nothing(place):
    book = await place.book()
    job = running(book)
    whole = json.loads(place.journal.texts["job", str(job.job_id)])
    place.journal.put("job", str(job.job_id), json.dumps({**whole, "status": "s3cret"}))
    with pytest.raises(StoreError, match=r"job 1.*status") as refused:
        await place.book()
    assert "s3cret" not in str(refused.value)


async def test_on_the_real_disk_the_trace_is_there_before_its_record(tmp_path):
    journal = await DiskJournal.open(tmp_path)
    place = Place(tmp_path)
    place.journal = journal
    book = await place.book()
    job = extended(book, running(book), b"x" * 1000)
    book.store_artifact(job, Artifact.of(b"PK", filename="a.zip"))
    await journal.flushed()
    before = facts(book)
    assert facts(await place.book()) == before
    book.forget(job.pipeline_id)
    await journal.flushed()
    assert facts(await place.book())["jobs"] == []
    assert isinstance(before["pipelines"][1], Mapping)
    await journal.aclose()
