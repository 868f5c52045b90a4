"""Limits and quota are never exceeded, whoever asks when; and whoever may not ask is told why."""

from datetime import timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paas_runner.job import events as ev
from paas_runner.job.capacity import (
    MOST_REPORTS_OWED,
    Bound,
    Load,
    Reservation,
    next_to_ask,
)
from paas_runner.job.lease import Allotment
from paas_runner.job.lifecycle import apply
from paas_runner.job.limits import Flavors, Limits, QuotaRule, jobs_at_once
from paas_runner.job.room import MOST_WAITING, Room
from paas_runner.job.tracked import Host, Phase
from tests.support.records import FAILURE, NOW, job, job_in

LIMITS = Limits(concurrent=3, provisioning=2, per_runner={"a": 0, "b": 1})
SIZES = {"S": 4.0, "M": 10.0, "L": 24.0}
RULE = QuotaRule(reference_runner="a", reference_flavor="M", reference_jobs=5)  # a quota of 50
ROOMY = Limits(concurrent=99, provisioning=99, per_runner={"a": 0, "b": 0}, quota=RULE)


def load(limits=LIMITS, *, jobs=(), reservations=()):
    return Load.of(jobs, limits, reservations=[Reservation(runner) for runner in reservations])


def weighed(rule=RULE, *, jobs=(), reservations=(), weights=None):
    known = {"a": SIZES, "b": SIZES} if weights is None else weights
    flavors = {runner: Flavors(weights=each) for runner, each in known.items()}
    return Load.of(jobs, attrs.evolve(ROOMY, quota=rule), reservations=reservations, flavors=flavors)


def heavy(job_id, weight, runner="a"):
    return attrs.evolve(job(job_id, runner=runner), expected_weight=weight)


def held(job_id, weight, runner="a"):
    """A job whose host was asked for."""
    return apply(heavy(job_id, weight, runner), ev.ProvisionIntended(), NOW)


def test_requests_in_flight_take_a_place():
    assert next_to_ask(["a"], load()) == "a"
    assert next_to_ask(["a"], load(reservations="a")) == "a"
    assert next_to_ask(["a"], load(reservations="aa")) is None


def unreported(job_id, runner):
    return apply(job(job_id, runner=runner), ev.Failed(failure=FAILURE), NOW)


def test_a_coordinator_that_takes_no_reports_keeps_no_other_runner_from_jobs_and_gets_no_more_itself():
    jobs = [unreported(number, "b") for number in range(1, MOST_REPORTS_OWED + 1)]
    limits = attrs.evolve(LIMITS, per_runner={"a": 0, "b": 0})
    assert load(limits, jobs=jobs).obstacle("a") is None
    assert load(limits, jobs=jobs).obstacle("b").bound is Bound.REPORTS
    assert load(limits, jobs=jobs[1:]).obstacle("b") is None


def test_jobs_that_run_take_no_place_among_those_being_provisioned():
    running = job_in(Phase.RUNNING)
    assert next_to_ask(["a"], load(jobs=[running, running])) == "a"
    assert load(jobs=[running, running, running]).obstacle("a").bound is Bound.CONCURRENT
    assert load(jobs=[job(1), job(2)]).obstacle("a").bound is Bound.PROVISIONING


def test_a_runner_at_its_own_limit_lets_the_others_pass():
    busy = load(jobs=[job(1, runner="b")])
    assert next_to_ask(["b", "a"], busy) == "a"
    assert busy.obstacle("b").bound is Bound.LIMIT


def test_who_waits_longest_is_next():
    assert next_to_ask(["b", "a"], load()) == "b"


def test_as_many_requests_as_jobs_may_wait_keep_nothing_of_the_quota_and_each_other_all_it_may_need():
    assert weighed().heaviest("a") == 24.0
    two = [Reservation("a", 24.0)] * 2
    assert weighed(reservations=two).weight == 0.0
    assert weighed(reservations=two, jobs=[held(1, 26.0)]).obstacle("a") is None
    full = weighed(reservations=two, jobs=[held(1, 27.0)])
    assert full.obstacle("b") is None
    assert full.obstacle("a").bound is Bound.QUOTA
    assert full.obstacle("a").text == "a job may weigh 24.0, and 27.0 of the quota of 50.0 is taken"
    assert weighed(reservations=[*two, Reservation("a", 24.0)]).weight == 24.0


def test_a_runner_may_use_no_more_than_its_share():
    halved = attrs.evolve(RULE, shares={"a": 0.5})
    two = [Reservation("a", 24.0)] * 2
    assert weighed(halved, jobs=[held(1, 4.0)], reservations=two).obstacle("a").bound is Bound.SHARE
    assert weighed(halved, jobs=[held(1, 4.0)]).obstacle("b") is None
    assert weighed(halved, jobs=[held(1, 4.0, runner="b")], reservations=two).obstacle("a") is None


def test_a_quota_smaller_than_the_largest_size_caps_the_size_and_stops_nothing():
    small = attrs.evolve(RULE, reference_jobs=1)  # 10: an L does not fit
    assert weighed(small).heaviest("a") == 10.0
    assert weighed(small).obstacle("a") is None


def test_a_quota_smaller_than_every_size_is_told():
    tiny = attrs.evolve(RULE, reference_flavor="S", reference_jobs=1, shares={"a": 0.5})
    assert weighed(tiny).obstacle("a").bound is Bound.QUOTA_TOO_SMALL
    assert weighed(tiny).obstacle("b") is None


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({}, "what its hosts weigh is not known yet"),
        ({"b": SIZES}, "what the hosts of `reference_runner` weigh is not known yet"),
        ({"a": {"XS": 1.0}, "b": SIZES}, '`reference_flavor` = "M" is not on offer; there are: XS'),
    ],
)
def test_no_job_is_asked_for_before_its_weight_could_be_judged(weights, words):
    obstacle = weighed(weights=weights).obstacle("b")
    assert (obstacle.bound, obstacle.text) == (Bound.UNKNOWN_WEIGHTS, words)


def test_what_a_host_weighs_counts_and_not_what_was_expected():
    lighter = Host(ref="app_1", weight=4.0)
    assert weighed(jobs=[attrs.evolve(held(1, 24.0), host=lighter)]).weight == 4.0
    assert weighed(jobs=[attrs.evolve(held(1, 24.0), host=Host(ref="app_1"))]).weight == 24.0


def test_a_job_of_unknown_weight_counts_as_much_as_any():
    assert weighed(jobs=[job(1, runner="a")]).weight == 24.0


def test_a_job_that_gets_no_host_weighs_nothing():
    assert weighed(jobs=[attrs.evolve(heavy(1, 24.0), failure=FAILURE)]).weight == 0.0
    gone = apply(job_in(Phase.FAILING, expected_weight=24.0), ev.Decommissioned(), NOW)
    assert weighed(jobs=[gone]).weight == 0.0


def test_a_request_may_be_kept_waiting_only_while_the_others_could_ask_too():
    assert load().room_besides({"a", "b"})
    assert not load(jobs=[job(1)]).room_besides({"a", "b"})


def test_starts_are_planned_at_a_distance():
    distance = timedelta(seconds=30)
    limits = attrs.evolve(ROOMY, launch_distance=distance)
    assert limits.planned_start(None, NOW) is None
    assert limits.planned_start(NOW - distance, NOW) is None
    assert limits.planned_start(NOW, NOW) == NOW + distance
    assert limits.planned_start(NOW + distance, NOW) == NOW + 2 * distance


def test_the_reference_may_be_a_size_that_no_job_of_the_runner_gets():
    capped = {"a": Flavors(weights=SIZES, most_weight=4.0)}
    known = attrs.evolve(weighed(), flavors=capped)
    assert (known.quota, known.heaviest("a")) == (50.0, 4.0)


def test_ten_jobs_of_the_reference_size_fit_a_quota_of_ten():
    weights = {"a": {"M": 8**1.25}}
    rule = QuotaRule(reference_runner="a", reference_flavor="M", reference_jobs=10)
    nine = [heavy(number, 8**1.25) for number in range(1, 10)]
    assert not weighed(rule, jobs=[*nine, heavy(10, 8**1.25)], weights=weights).waiting
    assert weighed(rule, jobs=[*nine, heavy(10, 8**1.25), heavy(11, 8**1.25)], weights=weights).waiting


runners = st.sampled_from(["a", "b", "c"])


@given(
    st.lists(runners, max_size=10),
    st.lists(st.tuples(runners, st.sampled_from([Phase.ACQUIRED, Phase.RUNNING])), max_size=6),
    st.integers(1, 6),
    st.integers(1, 6),
    st.dictionaries(runners, st.integers(0, 3)),
)
def test_however_often_turns_are_given_no_limit_is_passed(waiting, tracked, concurrent, provisioning, own):
    limits = Limits(concurrent=concurrent, provisioning=provisioning, per_runner=own)
    records = [
        job_in(phase, key=job(number, runner=runner).key) for number, (runner, phase) in enumerate(tracked, 1)
    ]
    asking: list[str] = []
    while runner := next_to_ask(waiting, load(limits, jobs=records, reservations=asking)):
        asking.append(runner)
        waiting.remove(runner)
    if asking:
        assert len(records) + len(asking) <= concurrent
        for runner, limit in own.items():
            taken = sum(record.key.runner == runner for record in records)
            assert not limit or runner not in asking or taken + asking.count(runner) <= limit


def test_a_request_that_was_promised_more_by_an_older_catalogue_is_kept_room_for():
    earlier = [Reservation("b", 24.0), Reservation("b", 10.0)]
    weights = {"a": SIZES, "b": {"S": 4.0, "M": 10.0}}
    tracked = [held(1, 24.0), held(2, 4.0)]
    for jobs, may_ask in (tracked, False), (tracked[1:], True):
        now = weighed(attrs.evolve(RULE, shares={"b": 0.5}), jobs=jobs, reservations=earlier, weights=weights)
        assert (now.obstacle("b") is None) is may_ask
        if may_ask:
            more = attrs.evolve(now, reservations=[*earlier, Reservation("b", 10.0)])
            assert more.weight <= 50.0


def in_order(*records):
    return [
        attrs.evolve(record, acquired_at=NOW + timedelta(seconds=number))
        for number, record in enumerate(records)
    ]


def test_what_has_passed_a_waiting_job_and_has_no_host_may_have_to_wait_after_all():
    """So it counts as if it waited: a request more would bring a third that waits."""
    first, light, claim, *passing = in_order(*map(heavy, (1, 2, 3, 4, 5), (24.0, 4.0, 24.0, 10.0, 10.0)))
    before = weighed(jobs=[first, light, claim, passing[0]])
    assert list(before.waiting) == [claim.key]
    assert before.obstacle("a").bound is Bound.QUOTA
    after = weighed(
        jobs=[first, claim, *passing]
    )  # had it been asked for another one, and the light one gone
    assert list(after.waiting) == [each.key for each in passing]
    with_host = apply(passing[0], ev.ProvisionIntended(), NOW)
    assert weighed(jobs=[first, light, claim, with_host]).obstacle("a") is None


def test_room_that_a_request_gives_back_with_its_job_may_be_taken_by_an_older_one_of_another_runner():
    """Then more is kept for requests than there is; hosts, and what has room for one, never weigh more."""
    weights = {"a": SIZES, "b": SIZES, "c": {"S": 4.0}}
    tracked = in_order(heavy(1, 14.0, "b"), heavy(2, 24.0), heavy(3, 4.0))
    of_c = [Reservation("c", 4.0)] * 5
    before = weighed(jobs=tracked, reservations=of_c, weights=weights)
    assert (before.weight, list(before.waiting)) == (50.0, [tracked[2].key])
    tracked = in_order(*tracked, heavy(4, 4.0, "c"))
    after = weighed(jobs=tracked, reservations=of_c[1:], weights=weights)
    assert (after.weight, list(after.waiting)) == (54.0, [tracked[3].key])
    assert after.obstacle("c").bound is Bound.QUOTA
    assert with_room(after, tracked) == 42.0


def shared(weight, **more):
    """The load of one process of several, which may use so much weight."""
    now = weighed(**more)
    allotted = Allotment(jobs=9, provisioning=9, weight=weight)
    return attrs.evolve(now, limits=attrs.evolve(now.limits, allotted=allotted))


def test_what_a_request_may_bring_takes_no_weight_of_other_processes():
    """It waits there: of two jobs that wait and a request that may bring a third, none has a host."""
    waiting = in_order(heavy(1, 10.0), heavy(2, 10.0))
    now = shared(4.0, jobs=waiting, reservations=[Reservation("a", 24.0)])
    assert (now.weight, list(now.waiting)) == (24.0, [each.key for each in waiting])
    assert now.in_use.weight == 4.0
    assert shared(4.0, jobs=[held(1, 10.0)]).in_use.weight == 10.0, "a host is there, whatever was allotted"


def test_who_waits_for_the_room_of_a_host_on_standby_takes_no_weight_of_other_processes():
    standing = attrs.evolve(held(1, 24.0), phase=Phase.STANDBY)
    now = shared(26.0, jobs=[standing, heavy(2, 24.0)])
    assert (now.weight, now.standby_weight, now.room(heavy(2, 24.0))) == (24.0, 24.0, Room.LATER)
    assert now.in_use.weight == 26.0


def with_room(now, jobs):
    """What hosts weigh, and what has room for one."""
    return sum(
        now.weight_of(each) if not each.needs_room else each.expected_weight
        for each in jobs
        if now.room(each) is Room.THERE
    )


class QuotaMachine(RuleBasedStateMachine):
    """Requests, answers, hosts, ends and new readings of the catalogue, in any order."""

    asking = ("a", "b", "c")

    def __init__(self):
        super().__init__()
        self.weights = {"a": SIZES, "b": SIZES, "c": {"S": 4.0, "L": 24.0}}
        self.shares = {"b": 0.5, "c": 0.3}
        self.jobs, self.reservations, self.number = {}, [], 0

    @property
    def load(self):
        rule = attrs.evolve(RULE, shares=self.shares)
        limits = attrs.evolve(ROOMY, concurrent=12, quota=rule)
        jobs = list(self.jobs.values())
        flavors = {runner: Flavors(weights=weights) for runner, weights in self.weights.items()}
        return Load.of(jobs, limits, reservations=self.reservations, flavors=flavors)

    @rule(waiting=st.lists(runners, min_size=1))
    def ask(self, waiting):
        runner = next_to_ask([each for each in waiting if each in self.asking], self.load)
        if runner:
            self.reservations.append(Reservation(runner, self.load.heaviest(runner)))

    @precondition(lambda self: self.reservations)
    @rule(data=st.data())
    def nothing_came(self, data):
        self.reservations.remove(data.draw(st.sampled_from(self.reservations)))

    @precondition(lambda self: self.reservations)
    @rule(data=st.data())
    def a_job_came(self, data):
        reservation = data.draw(st.sampled_from(self.reservations))
        fitting = [
            each for each in self.weights[reservation.runner].values() if each <= reservation.most_weight
        ]
        self.reservations.remove(reservation)
        self.number += 1
        record = heavy(self.number, data.draw(st.sampled_from(fitting)), reservation.runner)
        self.jobs[record.key] = attrs.evolve(record, acquired_at=NOW + timedelta(seconds=self.number))

    @rule(data=st.data())
    def a_host_is_asked_for(self, data):
        able = [job for job in self.jobs.values() if job.needs_room and self.load.room(job) is Room.THERE]
        if able:
            record = data.draw(st.sampled_from(able))
            self.jobs[record.key] = apply(record, ev.ProvisionIntended(), NOW)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), lighter=st.booleans())
    def a_host_came(self, data, lighter):
        record = data.draw(st.sampled_from(list(self.jobs.values())))
        if record.phase is Phase.PROVISIONING and record.host is None:
            weight = min(4.0, record.expected_weight) if lighter else record.expected_weight
            made = ev.HostCreated(host=Host(ref="app", weight=weight), doubtful=False)
            self.jobs[record.key] = apply(record, made, NOW)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def a_job_went(self, data):
        del self.jobs[data.draw(st.sampled_from(list(self.jobs)))]

    @rule(without=st.sampled_from([None, "L", "S"]))
    def the_catalogue_was_read_again(self, without):
        self.weights["b"] = {size: weight for size, weight in SIZES.items() if size != without}

    @invariant()
    def the_quota_is_kept(self):
        """Of hosts, and of what has room for one; for what is kept beside that see the test above."""
        assert with_room(self.load, self.jobs.values()) <= 50.0 * (1 + 1e-6)
        assert sum(map(self.load.weight_of, self.jobs.values())) <= 50.0 * (1 + 1e-6)

    @invariant()
    def the_shares_are_kept(self):
        for runner, share in self.shares.items():
            used = sum(self.load.weight_of(each) for each in self.jobs.values() if each.key.runner == runner)
            assert used <= 50.0 * share * (1 + 1e-6)


class OneRunnerMachine(QuotaMachine):
    """Nobody else is in its way: so what is kept for its requests is there, and no third job has to wait."""

    asking = ("a",)

    @invariant()
    def what_is_kept_for_requests_is_within_the_quota(self):
        assert self.load.weight <= 50.0 * (1 + 1e-6)

    @invariant()
    def no_more_jobs_wait_than_may(self):
        assert len(self.load.waiting) <= MOST_WAITING


TestQuota, TestQuotaOfOne = QuotaMachine.TestCase, OneRunnerMachine.TestCase
TestQuota.settings = TestQuotaOfOne.settings = settings(
    max_examples=30, stateful_step_count=40, deadline=None
)


WEIGHTS = st.dictionaries(
    st.sampled_from("ABCDE"), st.floats(0.5, 200).map(lambda w: round(w, 2)), min_size=1
)


@settings(max_examples=60)
@given(weights=WEIGHTS, most=st.floats(1, 200), jobs=st.integers(1, 12), of_flavor=st.sampled_from("ABCDE"))
def test_the_jobs_at_once_that_are_told_are_those_that_come_to_run(weights, most, jobs, of_flavor):
    known = Flavors(weights={"M": 13.5, **weights}, most_weight=most)
    bound = 13.5 * jobs
    told = jobs_at_once(known, bound)
    weight = known.granted.get(of_flavor)
    if weight is None:
        assert of_flavor not in told
        return
    limits = attrs.evolve(
        ROOMY, concurrent=999, provisioning=999, quota=attrs.evolve(RULE, reference_jobs=jobs)
    )
    running = []
    while True:
        new = heavy(len(running) + 1, weight)
        now = Load.of([*running, new], limits, flavors={"a": known})
        assert Load.of(running, limits, flavors={"a": known}).obstacle("a") is None
        if now.room(new) is not Room.THERE:
            break
        running.append(apply(new, ev.ProvisionIntended(), NOW))
    assert told[of_flavor] == len(running)


def test_the_heaviest_flavor_keeps_no_other_from_the_quota():
    clever = {"M": 13.45, "2XL": 126.3}
    assert jobs_at_once(Flavors(weights=clever), 134.5) == {"M": 10, "2XL": 1}
    assert jobs_at_once(Flavors(weights=clever, most_weight=13.45), 134.5) == {"M": 10}
    assert jobs_at_once(Flavors(weights={"M": 13.45, "3XL": 181.0}), 134.5) == {"M": 10, "3XL": 0}
