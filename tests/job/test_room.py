"""Who has room under the weight quota, who waits for it, and that nobody waits for ever."""

import heapq
import random
from datetime import timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paas_runner.job import events as ev
from paas_runner.job.capacity import Load, Reservation
from paas_runner.job.lifecycle import apply
from paas_runner.job.limits import Flavors, Limits, QuotaRule
from paas_runner.job.room import MOST_WAITING, Room, Short
from tests.support.records import NOW, job

CLEVER = {
    name: memory**1.25 for name, memory in {"XS": 2, "S": 4, "M": 8, "L": 16, "XL": 32, "2XL": 48}.items()
}
M, L, XL = CLEVER["M"], CLEVER["L"], CLEVER["XL"]
QUOTA = 12 * M


def needing(number, weight, runner="a"):
    record = job(number, runner=runner)
    return attrs.evolve(record, expected_weight=weight, acquired_at=NOW + timedelta(seconds=number))


def holding(number, weight, runner="a"):
    return apply(needing(number, weight, runner), ev.ProvisionIntended(), NOW)


def load(*jobs, requests="", jobs_of_m=12, shares=None):
    rule = QuotaRule(
        reference_runner="a", reference_flavor="M", reference_jobs=jobs_of_m, shares=shares or {}
    )
    limits = Limits(concurrent=99, provisioning=99, per_runner=dict.fromkeys("abc", 0), quota=rule)
    flavors = dict.fromkeys("abc", Flavors(weights=CLEVER))
    known = Load.of(jobs, limits, flavors=flavors)
    reservations = [Reservation(runner, known.heaviest(runner)) for runner in requests]
    return attrs.evolve(known, reservations=reservations)


def those_that_wait(*jobs, **more):
    return [key.job_id for key in load(*jobs, **more).waiting]


def test_what_fits_has_room_and_what_does_not_waits_and_says_why():
    now = load(holding(1, XL), holding(2, XL), needing(3, L), needing(4, 5.0))
    assert [now.room(needing(number, 1.0)) for number in (3, 4)] == [Room.LATER, Room.THERE]
    assert now.why_it_waits(needing(3, L)) == "its host weighs 32.0, and 152.2 of the quota of 161.5 is taken"
    assert now.weight == pytest.approx(2 * XL + 5.0)


def test_a_job_may_pass_one_that_waits_only_if_both_and_all_that_passed_before_fit_together():
    first = holding(1, XL), needing(2, CLEVER["2XL"])
    assert those_that_wait(*first) == [2]
    assert those_that_wait(*first, needing(3, L, "b")) == [2]
    assert those_that_wait(*first, holding(3, L, "b"), needing(4, CLEVER["XS"], "c")) == [2]
    assert those_that_wait(*first, holding(3, L, "b"), needing(4, M, "c")) == [2, 4]


def test_who_waits_for_its_own_share_keeps_no_other_runner_waiting():
    shares = {"a": 0.5}
    jobs = holding(1, XL), needing(2, L), needing(3, XL, "b")
    now = load(*jobs, shares=shares)
    assert next(iter(now.waiting.values())).short is Short.SHARE
    assert [key.job_id for key in now.waiting] == [2]
    assert "its runner's share of 80.7" in now.why_it_waits(jobs[1])


def test_a_job_that_can_never_fit_any_more_finds_no_room_and_keeps_nobody_waiting():
    heavy = needing(1, XL)
    now = load(heavy, needing(2, M), jobs_of_m=3)
    assert (now.room(heavy), now.room(needing(2, M))) == (Room.NEVER, Room.THERE)
    assert now.why_it_waits(heavy) == "its host weighs 76.1, and the quota is no more than 40.4"


def test_while_weights_are_unknown_everybody_waits_and_without_a_quota_nobody():
    unknown = attrs.evolve(load(needing(1, M)), flavors={})
    assert unknown.room(needing(1, M)) is Room.LATER
    assert unknown.why_it_waits(needing(1, M)) == "what hosts weigh is not known yet"
    free = attrs.evolve(unknown, limits=attrs.evolve(unknown.limits, quota=None))
    assert free.room(needing(1, M)) is Room.THERE


def test_a_runner_asks_until_two_of_its_jobs_wait_and_then_says_which():
    full = [holding(1, XL), holding(2, XL)]
    assert load(*full).obstacle("a") is None
    assert load(*full, requests="a").obstacle("a") is None
    assert load(*full, needing(3, L), requests="a").obstacle("a")
    blocked = load(*full, needing(3, L), needing(4, M)).obstacle("a")
    assert blocked.text == (
        "job 3 waits for room: its host weighs 32.0, and 152.2 of the quota of 161.5 is taken"
    )
    assert load(*full, needing(3, L), needing(4, M)).obstacle("b") is None


# --- in time -----------------------------------------------------------------------------------------------


@attrs.define
class Course:
    """Queues of jobs (flavor, seconds) by runner, served as the dispatcher does, in virtual time."""

    queues: dict[str, list]
    since: dict[str, float] = attrs.field(factory=dict)
    """When a queue begins; at once where nothing is said."""

    weights: dict = attrs.field(factory=dict)
    begun: dict = attrs.field(factory=dict)
    acquired: dict = attrs.field(factory=dict)
    restarts: random.Random | None = None
    use: list = attrs.field(factory=list)
    """Pairs of a span of time and the weight in it, as long as jobs are queued or waiting."""

    def run(self):
        records, now, number = {}, 0.0, 0
        ends = sorted((begin, None) for begin in self.since.values())
        queues = {runner: list(queue) for runner, queue in self.queues.items()}
        lasts = {}
        while any(queues.values()) or records:
            changed = True
            while changed:
                changed = False
                for runner in sorted(queues, key=lambda each: sum(key.runner == each for key in records)):
                    if self.since.get(runner, 0.0) > now or not queues[runner]:
                        continue
                    if load(*records.values()).obstacle(runner) is None:
                        number += 1
                        weight, lasts[number] = queues[runner].pop(0)
                        self.weights[number] = weight
                        record = needing(number, weight, runner)
                        records[record.key] = record
                        self.acquired[number] = now
                        changed = True
                present = load(*self._in_any_order(records.values()))
                for key, record in records.items():
                    if record.needs_room and present.room(record) is Room.THERE:
                        records[key] = apply(record, ev.ProvisionIntended(), NOW)
                        self.begun[key.job_id] = now
                        heapq.heappush(ends, (now + lasts[key.job_id], key))
                        changed = True
                        break
                self._judge(records)
            waiting = load(*records.values()).waiting
            end, key = heapq.heappop(ends)
            if any(queues.values()) or waiting:
                self.use.append((end - now, load(*records.values()).weight))
            now = end
            records.pop(key, None)
        return self

    def _in_any_order(self, records):
        records = list(records)
        if self.restarts:
            self.restarts.shuffle(records)
        return records

    @staticmethod
    def _judge(records):
        present = load(*records.values())
        taken = sum(map(present.weight_of, records.values()))
        assert taken <= QUOTA * (1 + 1e-6)
        for runner in "abc":
            assert sum(key.runner == runner for key in present.waiting) <= MOST_WAITING
        if first := next(iter(present.waiting.values()), None):
            assert QUOTA - present.weight < first.weight * (1 + 1e-6)

    @property
    def mean_use(self):
        return sum(span * weight for span, weight in self.use) / sum(span for span, _ in self.use) / QUOTA


kinds = st.tuples(st.sampled_from(list(CLEVER.values())), st.integers(1, 100))
queues = st.fixed_dictionaries({runner: st.lists(kinds, max_size=12) for runner in "abc"})


@settings(max_examples=60, deadline=None)
@given(queues)
def test_the_quota_is_kept_less_is_idle_than_the_first_that_waits_needs_and_all_come_to_run(queued):
    course = Course(queued).run()
    assert len(course.begun) == sum(map(len, queued.values()))


@settings(max_examples=30, deadline=None)
@given(queues, st.integers(0, 99))
def test_a_restart_changes_nothing_since_all_follows_from_the_records(queued, seed):
    assert Course(queued).run().begun == Course(queued, restarts=random.Random(seed)).run().begun


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([CLEVER["XS"], CLEVER["S"], M]), st.integers(10, 60)), max_size=60))
def test_a_large_job_waits_no_longer_than_what_ran_when_it_came_however_many_small_ones_follow(small):
    queued = {"a": [(M, 60)] * 12, "b": [(CLEVER["2XL"], 10)], "c": small}
    course = Course(queued, since={"b": 1.0, "c": 2.0}).run()
    [large] = [number for number, weight in course.weights.items() if weight == CLEVER["2XL"]]
    assert course.acquired[large] == 1.0
    assert course.begun[large] <= 60


@pytest.mark.parametrize(
    ("mix", "least"),
    [(("S", "M", "L", "XL"), 0.85), (("S", "M", "L"), 0.85), (("S",), 0.80), (("M",), 0.80)],
)
def test_the_quota_is_used_with_mixed_jobs_and_with_small_ones_alone(mix, least):
    count = 24 if len(mix) > 1 else 120
    queue = [(CLEVER[mix[number % len(mix)]], 60) for number in range(count)]
    course = Course({"a": queue}).run()
    assert course.mean_use >= least
