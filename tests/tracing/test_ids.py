"""Ids of traces follow from what is known of a job, and from nothing else."""

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from paas_runner.job.lifecycle import acquired, resumed
from paas_runner.spans import SpanContext, bounded, derived, nanoseconds, parsed_traceparent
from paas_runner.tracing.job_spans import phase_of, root_of
from tests.support.records import payload

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def root(mark="mark-1", runner="abc", job_id=7, at=NOW, ratio=1.0):
    return root_of(acquired(runner, payload(job_id=job_id), at), mark=mark, ratio=ratio)


def test_one_job_has_one_trace_however_often_it_is_asked_for():
    assert root() == root()
    assert phase_of(root(), "running") == phase_of(root(), "running")
    assert len({root().span_id, phase_of(root(), "running").span_id, phase_of(root(), "gone").span_id}) == 3


@pytest.mark.parametrize(
    "other", [{"mark": "mark-2"}, {"runner": "abd"}, {"job_id": 8}, {"at": NOW + timedelta(microseconds=1)}]
)
def test_another_installation_runner_job_or_acquisition_has_another(other):
    assert root(**other).trace_id != root().trace_id


def test_a_start_after_a_clock_went_back_changes_nothing():
    job = acquired("abc", payload(job_id=7), NOW)
    later = resumed(job, NOW - timedelta(hours=2))
    assert later.acquired_at != job.acquired_at
    assert root_of(later, mark="mark-1", ratio=1.0) == root()


def test_names_that_only_look_alike_together_are_different():
    assert derived("a", "bc", ratio=1.0) != derived("ab", "c", ratio=1.0)


def test_a_share_of_the_traces_is_sampled_and_all_of_it_with_more():
    drawn = [(root(job_id=n, ratio=0.3), root(job_id=n, ratio=0.6)) for n in range(1, 1001)]
    assert 250 < sum(less.sampled for less, _ in drawn) < 350
    assert all(more.sampled for less, more in drawn if less.sampled)
    assert all(root(job_id=n).sampled for n in range(1, 100))


def test_a_traceparent_is_read_as_it_was_written():
    for sampled in (True, False):
        context = attrs.evolve(root(), sampled=sampled)
        assert parsed_traceparent(context.traceparent) == context
    unknown_flags = f"{root().traceparent[:-2]}03"
    assert parsed_traceparent(unknown_flags) == root()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    ],
)
def test_what_is_no_traceparent_is_none(text):
    assert parsed_traceparent(text) is None


def test_moments_are_exact_and_texts_bounded():
    assert nanoseconds(NOW + timedelta(microseconds=1)) == int(NOW.timestamp()) * 10**9 + 1000
    assert bounded("a\x00\n b") == "a b"
    assert len(bounded("x" * 10_000)) == 200
    assert isinstance(root(), SpanContext)
