"""What is told when: for every course of events."""

from collections import Counter
from datetime import timedelta

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.job.notice import JobMention, NoticeKind, NoticeState
from paas_runner.notify.book import MOST_JOBS, Book, Incident, Reading, Rules
from paas_runner.notify.mailbox import book_as_text, book_of
from tests.support.records import NOW

RULES = Rules(
    group=timedelta(minutes=2), repeat=timedelta(minutes=20), quota=timedelta(minutes=10), most_per_hour=6
)
HAPPENING = [NoticeKind.LAUNCH_FAILED, NoticeKind.ORPHAN_FOUND]
LASTING = [NoticeKind.COORDINATOR_FAILING, NoticeKind.QUOTA_EXHAUSTED]
SUBJECTS = ["a", "b"]

incidents = st.builds(
    Incident,
    kind=st.sampled_from(HAPPENING),
    subject=st.sampled_from(SUBJECTS),
    job=st.builds(JobMention, runner=st.just("a"), job=st.integers(1, 30)),
    why=st.text(max_size=3),
)
troubles = st.builds(
    Reading, kind=st.sampled_from(LASTING), subject=st.sampled_from(SUBJECTS), trouble=st.booleans()
)
steps = st.lists(
    st.tuples(
        st.integers(0, 40),  # minutes that pass before
        st.lists(incidents, max_size=4),
        st.lists(troubles, max_size=3),
        st.integers(0, 3),  # places for notices
        st.booleans(),  # whether the process is another one from here on
    ),
    max_size=20,
)


def played(course):
    """Each notice with the time at which it was made, and the book at the end."""
    book, now, told, there = Book(), NOW, [], {}
    for minutes, happened, read, places, restart in course:
        for _ in range(minutes):
            now += timedelta(minutes=1)
            book, notices = book.told(RULES, now, places=places)
            assert len(notices) <= places
            begun = [each for each in notices if each.state is NoticeState.BEGUN]
            assert all(there[each.kind, each.subject] for each in begun)
            told += [(now, notice) for notice in notices]
        for incident in happened:
            book = book.happened(incident, now)
        book = book.read(read, now)
        there |= {(each.kind, each.subject): each.trouble for each in read}
        if restart:
            book = book_of(book_as_text(book)).resumed(now)
    return told, book


@settings(deadline=None, max_examples=60)
@given(steps)
def test_whatever_happens_is_counted_in_one_notice_or_still_waits(course):
    happened = Counter((each.kind, each.subject) for _, incidents_, *_ in course for each in incidents_)
    told, book = played(course)
    counted = Counter()
    for _, notice in told:
        if notice.state is NoticeState.HAPPENED:
            counted[notice.kind, notice.subject] += notice.count
    for matter in book.matters:
        if not matter.lasting and matter.count:
            counted[matter.kind, matter.subject] += matter.count
    assert counted == happened


@settings(deadline=None, max_examples=60)
@given(steps)
def test_never_more_than_so_many_an_hour_nor_the_same_soon_after_the_other(course):
    told, _ = played(course)
    times = [at for at, _ in told]
    for at in times:
        assert sum(at - timedelta(hours=1) < other <= at for other in times) <= RULES.most_per_hour
    events = [(at, each) for at, each in told if each.state is NoticeState.HAPPENED]
    for number, (at, notice) in enumerate(events):
        before = [when for when, each in events[:number] if each.kind == notice.kind]
        same = [
            when
            for when, each in events[:number]
            if (each.kind, each.subject) == (notice.kind, notice.subject)
        ]
        assert all(at - when >= RULES.repeat for when in same), before
        assert at - notice.since >= RULES.group
        assert len(notice.jobs) <= min(MOST_JOBS, notice.count)
        assert len(set(notice.jobs)) == len(notice.jobs)


@settings(deadline=None, max_examples=60)
@given(steps)
def test_of_what_lasts_beginnings_and_ends_take_turns_and_both_have_lasted(course):
    told, _ = played(course)
    for kind in LASTING:
        for subject in SUBJECTS:
            own = [(at, each) for at, each in told if (each.kind, each.subject) == (kind, subject)]
            for number, (at, notice) in enumerate(own):
                assert notice.state is (NoticeState.OVER if number % 2 else NoticeState.BEGUN)
                if notice.state is NoticeState.BEGUN:
                    assert at - notice.since >= RULES.lasting(kind)
                else:
                    assert at - notice.until >= RULES.group


@settings(deadline=None, max_examples=30)
@given(steps)
def test_a_book_is_the_same_after_it_was_written_and_read(course):
    _, book = played(course)
    assert book_of(book_as_text(book)) == book


def test_a_clock_that_went_back_holds_nothing_up():
    book = Book().happened(Incident(kind=NoticeKind.LAUNCH_FAILED, subject="a"), NOW)
    book, [_] = book.told(RULES, NOW + RULES.group, places=9)
    earlier = NOW - timedelta(days=300)
    book = book.resumed(earlier).happened(Incident(kind=NoticeKind.LAUNCH_FAILED, subject="a"), earlier)
    _, [notice] = book.told(RULES, earlier + RULES.repeat, places=9)
    assert notice.count == 1


def test_the_last_words_are_all_that_happened_and_nothing_of_what_lasts():
    book = Book().happened(Incident(kind=NoticeKind.LAUNCH_FAILED, subject="a"), NOW)
    book = book.read([Reading(kind=NoticeKind.COORDINATOR_FAILING, subject="a", trouble=True)], NOW)
    book, notices = book.last_words(RULES, NOW, places=9)
    assert [notice.kind for notice in notices] == [NoticeKind.LAUNCH_FAILED]
    assert any(matter.lasting for matter in book.matters)


def test_a_drain_is_told_at_once_and_each_time():
    drained = Incident(kind=NoticeKind.DRAIN_DONE)
    book, [_] = Book().happened(drained, NOW).told(RULES, NOW, places=9)
    later = NOW + timedelta(minutes=1)
    _, [again] = book.happened(drained, later).told(RULES, later, places=9)
    assert again.count == 1


def test_rules_of_a_receiver_bound_what_waits_by_kinds_and_subjects_alone():
    book = Book()
    for number in range(1000):
        job = JobMention(runner="a", job=number)
        book = book.happened(Incident(kind=NoticeKind.LAUNCH_FAILED, subject="a", job=job), NOW)
    assert len(book.matters) == 1
    assert attrs.asdict(book.matters[0])["count"] == 1000
