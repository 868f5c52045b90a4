"""Which host on standby a job may have, which goes for room, and when it goes (H141, H142, H143)."""

from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job import events as ev
from paas_runner.job.capacity import Load
from paas_runner.job.decision import Act, Action, Policy, Settle, Wait, next_action
from paas_runner.job.lifecycle import apply, resumed
from paas_runner.job.limits import Flavors, Limits, QuotaRule
from paas_runner.job.orphans import HostKind, KnownJobs, judge
from paas_runner.job.room import Room
from paas_runner.job.standing import STATES, HostState, hosts_for, hosts_to_let_go, state_of, weight_of
from paas_runner.job.tracked import Host, HostName, JobKey, Phase, SeenHost
from tests.support.records import NOW, job, job_in

RUNNER = "abc123xyz"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
KEEPING = Policy(standby=2 * MINUTE)
LASTING = Host(ref="app_1", flavor="M", weight=8.0, series="alike", price=6.0)
FLAVORS = Flavors(weights={"M": 8.0, "XL": 24.0}, most_weight=24.0)


def left(job_id=1, *, weight=8.0, series="alike", runner=RUNNER, since=NOW):
    host = attrs.evolve(LASTING, ref=f"app_{job_id}", weight=weight, series=series)
    return job_in(Phase.STANDBY, key=JobKey(runner, job_id), host=host, since=since)


def ids(jobs):
    return [each.key.job_id for each in jobs]


# --- states and choices ------------------------------------------------------------------------------------


def test_the_state_of_a_host_follows_from_the_phase_of_its_job():
    assert set(STATES) == set(Phase)
    assert state_of(left()) is HostState.STANDBY
    assert state_of(job_in(Phase.RUNNING)) is HostState.BUSY
    assert state_of(job()) is None


@pytest.mark.parametrize(
    ("weight", "fits"), [(7.99, False), (8.0, True), (9.19, True), (9.2, False), (24.0, False), (None, False)]
)
def test_a_host_fits_that_weighs_as_much_as_is_wanted_or_up_to_15_percent_more(weight, fits):
    assert bool(hosts_for(RUNNER, "alike", 8.0, [left(weight=weight)])) is fits


def test_another_series_or_none_fits_nobody():
    assert not hosts_for(RUNNER, "alike", 8.0, [left(series="other"), left(2, series="")])
    assert not hosts_for(RUNNER, "", 8.0, [left(series="")])


def test_the_own_runner_comes_first_and_then_the_host_that_has_waited_longest():
    hosts = [left(1, runner="else", since=NOW - MINUTE), left(2), left(3, since=NOW - SECOND)]
    assert ids(hosts_for(RUNNER, "alike", 8.0, hosts)) == [3, 2, 1]


hosts_on_standby = st.lists(
    st.tuples(st.sampled_from([1.0, 8.0, 24.0]), st.sampled_from([RUNNER, "else"]), st.integers(0, 99)),
    max_size=6,
).map(
    lambda rows: [
        left(number, weight=weight, runner=runner, since=NOW - age * SECOND)
        for number, (weight, runner, age) in enumerate(rows, 1)
    ]
)


@given(hosts=hosts_on_standby, needed=st.floats(0, 80))
def test_exactly_as_many_go_as_the_room_takes_and_none_where_all_are_too_little(hosts, needed):
    going = hosts_to_let_go(needed, RUNNER, hosts)
    weights = {host.key: weight_of(host) for host in hosts}
    if sum(weights.values()) < needed or needed <= 0:
        assert going == []
    else:
        assert sum(weights[key] for key in going) >= needed > sum(weights[key] for key in going[:-1])


# --- what is decided ---------------------------------------------------------------------------------------


def over(**changes):
    return attrs.evolve(apply(job_in(Phase.RUNNING, host=LASTING), ev.Ended(), NOW), **changes)


@pytest.mark.parametrize(
    ("record", "policy", "action"),
    [
        (over(), KEEPING, Action.RELEASE),
        (over(), Policy(), Action.DECOMMISSION),
        (over(unfit=True), KEEPING, Action.DECOMMISSION),
        (over(host_doubtful=True), KEEPING, Action.DECOMMISSION),
        (over(canceling_since=NOW), KEEPING, Action.DECOMMISSION),
        (over(attempts=4), KEEPING, Action.DECOMMISSION),
        (over(host=attrs.evolve(LASTING, series="")), KEEPING, Action.DECOMMISSION),
        (over(), Policy(standby=MINUTE, standby_cost=0.0), Action.DECOMMISSION),
        (job_in(Phase.DECOMMISSIONING, host=LASTING), KEEPING, Action.DECOMMISSION),
    ],
    ids=[
        "it went well",
        "not configured",
        "unfit",
        "two hosts",
        "canceled",
        "tries",
        "goes",
        "money",
        "failed",
    ],
)
def test_only_the_host_of_a_job_that_went_well_is_kept(record, policy, action):
    assert next_action(record, NOW, policy) == Act(action)


def test_where_all_hosts_go_none_is_cleaned_first():
    assert next_action(over(), NOW, KEEPING, let_go="drained") == Act(Action.DECOMMISSION)


def test_it_waits_hears_of_us_three_times_a_lease_and_goes_in_time():
    record = apply(over(), ev.HostReleased(until=NOW + 2 * MINUTE, lease=MINUTE), NOW)
    assert next_action(record, NOW, KEEPING) == Wait(NOW + 20 * SECOND)
    assert next_action(record, NOW + 20 * SECOND, KEEPING) == Act(Action.RENEW)
    renewed = apply(record, ev.HostRenewed(lease=MINUTE), NOW + 20 * SECOND)
    assert next_action(renewed, NOW + 20 * SECOND, KEEPING) == Wait(NOW + 40 * SECOND)
    gone = next_action(renewed, NOW + 80 * SECOND, KEEPING)
    assert isinstance(gone, Settle)
    assert "lease is over" in gone.event.why
    record = attrs.evolve(record, lease=timedelta(hours=1))
    assert next_action(record, NOW + 2 * MINUTE, KEEPING) == Settle(
        ev.StandbyOver(why="no job has come for it in time")
    )
    assert next_action(record, NOW, KEEPING, let_go="drained") == Settle(ev.StandbyOver(why="drained"))


def test_a_renewal_that_fails_is_put_off_but_never_beyond_the_lease():
    record = apply(over(), ev.HostReleased(until=NOW + 9 * MINUTE, lease=MINUTE), NOW)
    later = apply(record, ev.Deferred(until=NOW + 5 * MINUTE, trouble="503"), NOW + 20 * SECOND)
    assert next_action(later, NOW + 21 * SECOND, KEEPING) == Wait(NOW + MINUTE)


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(hours=3)])
def test_a_clock_that_jumped_makes_no_host_wait_longer(jump):
    record = apply(over(), ev.HostReleased(until=NOW + 2 * MINUTE, lease=MINUTE), NOW)
    found = resumed(record, NOW + jump)
    assert found.standby_until <= NOW + jump + 2 * MINUTE
    assert found.lease_end <= NOW + jump + MINUTE


def test_a_job_looks_for_a_host_on_standby_before_anything_else_once_it_is_known_to_be_wanted():
    wanted = apply(job(), ev.Checked(), NOW)
    assert next_action(job(), NOW, KEEPING, reusable=True) == Act(Action.TOUCH)
    for room in Room:
        assert next_action(wanted, NOW, KEEPING, room, reusable=True) == Act(Action.REUSE)
    canceling = apply(wanted, ev.Checked(canceling=True), NOW)
    assert isinstance(next_action(canceling, NOW, KEEPING, reusable=True), Settle)


# --- the quota, and the search for orphans -----------------------------------------------------------------


def load(*jobs, quota=24.0, share=1.0):
    rule = QuotaRule(
        reference_runner=RUNNER, reference_flavor="M", reference_jobs=quota / 8, shares={RUNNER: share}
    )
    limits = Limits(concurrent=2, provisioning=9, per_runner={RUNNER: 0}, quota=rule)
    return Load.of(jobs, limits, flavors={RUNNER: FLAVORS})


def with_host(job_id):
    return job_in(Phase.RUNNING, key=JobKey(RUNNER, job_id), host=LASTING)


def waiting_for(weight):
    return attrs.evolve(job(9), expected_weight=weight, acquired_at=NOW + MINUTE)


def test_hosts_on_standby_are_in_nobodys_way_who_asks_for_jobs():
    standing = load(left(1), left(2), left(3))
    assert standing.obstacle(RUNNER) is None
    assert (standing.weight, standing.standby_weight, standing.jobs) == (0.0, 24.0, 0)
    assert standing.in_use.weight == 24.0


def test_but_no_host_is_asked_for_before_its_weight_is_free():
    standing, waiting = left(1), waiting_for(24.0)
    found = load(standing, waiting)
    assert found.room(waiting) is Room.LATER
    assert found.lacking(waiting) == 8.0
    assert load(standing, waiting_for(8.0)).lacking(waiting_for(8.0)) == 0.0
    going = apply(standing, ev.StandbyOver(why="its room is wanted"), NOW)
    assert load(going, waiting).lacking(waiting) == 0.0
    assert load(going, waiting).room(waiting) is Room.LATER


def test_a_host_on_standby_is_taken_within_the_runners_share_only():
    busy, wanting = with_host(1), waiting_for(8.0)
    assert not load(busy, left(2), wanting, share=0.5).may_reuse(wanting, 8.0)
    assert load(left(2), wanting, share=0.5).may_reuse(wanting, 8.0)
    assert load(busy, left(2), wanting).may_reuse(wanting, 8.0)
    assert not load(busy, left(2), wanting, share=2 / 3).may_reuse(wanting, 9.0)


def test_no_job_passes_one_that_waits_by_taking_a_host_on_standby():
    busy, large, small = (
        with_host(1),
        waiting_for(24.0),
        attrs.evolve(waiting_for(8.0), key=JobKey(RUNNER, 10)),
    )
    assert not load(busy, left(2), large, small).may_reuse(small, 8.0)
    lighter = attrs.evolve(large, expected_weight=16.0)
    assert not load(busy, left(2), lighter, small).may_reuse(small, 8.0)  # the room is the older one's
    assert load(busy, with_host(3), left(2), lighter, small).may_reuse(small, 8.0)


def test_a_host_that_is_used_again_is_tracked_though_its_name_is_that_of_a_job_which_is_over():
    taker = apply(
        job(2), ev.HostReused(host=attrs.evolve(LASTING, name=f"hpd-job-{RUNNER}-1"), doubtful=False), NOW
    )
    assert taker.host_name == f"hpd-job-{RUNNER}-1"
    known = KnownJobs(
        runner=RUNNER,
        jobs={taker.key: taker},
        ended={JobKey(RUNNER, 1)},
        unknown_before={"app_1"},
        keeping=False,
    )
    seen = SeenHost(
        name=HostName(taker.host_name), ref="app_1", created_at=NOW - timedelta(days=3), busy=False
    )
    assert judge([seen], known, NOW)[0].kind is HostKind.TRACKED
    assert judge([attrs.evolve(seen, ref="app_7")], known, NOW)[0].kind is not HostKind.TRACKED


def test_a_host_that_goes_after_it_has_waited_takes_weight_but_no_jobs_place():
    going = apply(left(), ev.StandbyOver(why="its room is wanted"), NOW)
    found = load(going)
    assert (going.takes_room, going.takes_place) == (True, False)
    assert (found.in_use.jobs, found.weight) == (0, 8.0)
