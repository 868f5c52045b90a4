"""What a book promises, shown on the one in memory; another kind is added to `BOOKS`."""

from collections.abc import Callable
from datetime import UTC, datetime

import attrs
import pytest

from paas_runner.pipelines.book import Book, MemoryBook
from paas_runner.pipelines.jobs import Job, Project, apply, created
from paas_runner.pipelines.reports import Artifact
from paas_runner.pipelines.runners import JobRunner, RunnerRecord
from paas_runner.pipelines.spec import JobSpec
from paas_runner.pipelines.states import (
    Acknowledged,
    Acquired,
    Enqueued,
    Event,
    Reserved,
    Succeeded,
    TraceExtended,
)
from paas_runner.secret import Secret

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACQUIRED = Acquired(runner=JobRunner(runner_id=1))
BOOKS: list[Callable[[], Book]] = [MemoryBook]


@pytest.fixture(params=BOOKS)
def book(request: pytest.FixtureRequest) -> Book:
    made: Book = request.param()
    return made


def submitted(book: Book, *names: str) -> list[Job]:
    pipeline_id = book.open_pipeline(dict.fromkeys(names, frozenset()))
    jobs = []
    for name in names:
        job_id = book.new_job_id()
        token = Secret(f"token-{job_id}")
        jobs.append(
            created(
                JobSpec(name=name),
                NOW,
                job_id=job_id,
                pipeline_id=pipeline_id,
                project=Project(),
                token=token,
            )
        )
    book.save(*jobs)
    return jobs


def changed(book: Book, job: Job, *events: Event) -> Job:
    for event in events:
        job = apply(job, event, NOW)
    book.save(job)
    return job


def test_a_job_is_found_as_it_was_saved_last_by_id_token_and_pipeline(book: Book) -> None:
    [a, b] = submitted(book, "a", "b")
    [other] = submitted(book, "a")
    a = changed(book, a, Enqueued())
    assert (book.job(a.job_id), book.job_with("token-1"), book.jobs()[a.job_id]) == (a, a, a)
    assert book.jobs_of(a.pipeline_id) == (a, b)
    assert book.jobs_of(other.pipeline_id) == (other,)
    assert list(book.jobs().values()) == [a, b, other]
    assert book.job_with("token") is None
    with pytest.raises(KeyError):
        book.job(4711)


def test_what_waits_and_what_a_runner_has_come_in_the_order_of_their_creation(book: Book) -> None:
    jobs = submitted(book, "a", "b", "c", "d")
    c = changed(book, jobs[2], Enqueued(), ACQUIRED)
    a = changed(book, jobs[0], Enqueued(), ACQUIRED)
    assert (list(book.waiting()), book.active()) == ([jobs[1], jobs[3]], (a, c))
    changed(book, a, Succeeded())
    assert (book.active(), book.reserved()) == ((c,), ())


def test_a_reserved_job_waits_and_is_active_until_it_is_acknowledged(book: Book) -> None:
    [job] = submitted(book, "a")
    job = changed(book, job, Enqueued(), Reserved(runner=ACQUIRED.runner, until=NOW))
    assert (list(book.waiting()), book.active(), book.reserved()) == ([job], (job,), (job,))
    job = changed(book, job, Acknowledged())
    assert (list(book.waiting()), book.active(), book.reserved()) == ([], (job,), ())


def test_those_that_wait_are_seen_as_they_are_when_it_is_their_turn_and_later_ones_are_not(
    book: Book,
) -> None:
    jobs = submitted(book, "a", "b")
    waiting = book.waiting()
    assert next(waiting) == jobs[0]
    b = changed(book, jobs[1], Enqueued())
    submitted(book, "late")
    assert list(waiting) == [b]


def test_a_trace_grows_together_with_its_job(book: Book) -> None:
    [job] = submitted(book, "a")
    assert book.trace(job.job_id) == b""
    job = changed(book, job, Enqueued(), ACQUIRED)
    for data in (b"one ", b"two"):
        job = apply(job, TraceExtended(count=len(data)), NOW)
        book.extend_trace(job, data)
    assert (book.trace(job.job_id), book.job(job.job_id).trace_bytes) == (b"one two", 7)


def test_artifacts_are_kept_by_type(book: Book) -> None:
    [job] = submitted(book, "a")
    assert book.artifacts(job.job_id) == {}
    archive, junit = (
        Artifact.of(b"PK", filename="a.zip"),
        Artifact.of(b"", filename="j", kind="junit"),
    )
    for artifact in (archive, junit):
        book.store_artifact(job, artifact)
    assert book.artifacts(job.job_id) == {"archive": archive, "junit": junit}


def test_of_a_pipeline_that_is_forgotten_nothing_is_left_and_its_ids_do_not_come_again(book: Book) -> None:
    [a, _] = submitted(book, "a", "b")
    [kept] = submitted(book, "kept")
    a = changed(book, a, Enqueued(), ACQUIRED)
    book.extend_trace(apply(a, TraceExtended(count=1), NOW), b"x")
    book.store_artifact(book.job(a.job_id), Artifact.of(b"PK", filename="a.zip"))
    for _ in range(2):
        book.forget(a.pipeline_id)
    assert list(book.jobs().values()) == list(book.waiting()) == [kept]
    assert (book.active(), book.job_with("token-1"), book.trace(a.job_id), book.artifacts(a.job_id)) == (
        (),
        None,
        b"",
        {},
    )
    with pytest.raises(KeyError):
        book.jobs_of(a.pipeline_id)
    [later] = submitted(book, "later")
    assert (later.job_id, later.pipeline_id) == (kept.job_id + 1, kept.pipeline_id + 1)


def test_a_removed_runner_is_forgotten(book: Book) -> None:
    one, two = (RunnerRecord(runner_id=book.new_runner_id(), token=Secret("x")) for _ in range(2))
    for runner in (one, two, attrs.evolve(one, paused=True)):
        book.save_runner(runner)
    assert [runner.paused for runner in book.runners()] == [True, False]
    book.remove_runner(one.runner_id)
    assert book.runners() == (two,)
    with pytest.raises(KeyError):
        book.runner(one.runner_id)
