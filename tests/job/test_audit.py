"""Which jobs were lost on their way to us, from what the coordinator lists and what is known here."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.audit import APART, MOST_OWED, BelievedJob, compare, owed_as_text, owed_from_text
from tests.support.records import NOW


def believed(*numbers):
    return [BelievedJob(job_id=number, project_id=7) for number in numbers]


def test_what_is_unknown_at_one_look_is_not_lost_yet():
    found = compare(believed(1, 2), known={2}, unknown_before={}, now=NOW)
    assert dict(found.unknown) == {1: NOW}
    assert not found.lost


def test_what_is_unknown_at_two_looks_far_apart_is_lost():
    found = compare(believed(1, 1), known=(), unknown_before={1: NOW - APART}, now=NOW)
    assert found.lost == believed(1)
    assert dict(found.unknown) == {1: NOW - APART}


def test_two_looks_soon_after_each_other_prove_nothing():
    before = {1: NOW - APART + timedelta(seconds=1)}
    assert not compare(believed(1), known=(), unknown_before=before, now=NOW).lost


def test_what_was_known_or_not_listed_meanwhile_begins_anew():
    for jobs, known in ((believed(1), {1}), ([], ())):
        assert not compare(jobs, known, {1: NOW - APART}, NOW).unknown


LOOKS = st.lists(
    st.tuples(st.frozensets(st.integers(1, 5)), st.frozensets(st.integers(1, 5)), st.integers(0, 400)),
    max_size=12,
)


@given(LOOKS)
def test_only_what_was_listed_and_unknown_all_the_time_is_lost_and_all_of_it(looks):
    unknown, now, since = {}, NOW, {}
    for listed, known, seconds in looks:
        now += timedelta(seconds=seconds)
        found = compare(believed(*listed), known, unknown, now)
        since = {number: since.get(number, now) for number in listed - known}
        assert {job.job_id for job in found.lost} == {n for n, at in since.items() if now - at >= APART}
        unknown = found.unknown


def test_what_is_owed_is_read_as_it_was_written_and_the_latest_stay():
    jobs = believed(*range(1, MOST_OWED + 11))
    assert owed_from_text(owed_as_text(jobs)) == jobs[10:]
    assert owed_from_text(owed_as_text([])) == owed_from_text("") == []


@given(st.text() | st.from_regex(r"\[\[[0-9]{1,5}, ?(null|true|\"x\"|[0-9.]{1,4})\]\]", fullmatch=True))
def test_of_a_damaged_text_nothing_is_owed_that_is_no_job(text):
    for job in owed_from_text(text):
        assert type(job.job_id) is int
        assert type(job.project_id) is int
