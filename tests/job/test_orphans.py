"""Which hosts may go: the rules one by one, and that no live host ever does."""

from datetime import timedelta

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paas_runner.job.orphans import (
    GRACE,
    IDLE_GRACE,
    LONGEST_JOB,
    HostKind,
    KnownJobs,
    job_of,
    judge,
    merged,
    missing,
    unknown_hosts,
)
from paas_runner.job.tracked import Host, HostName, JobKey, Phase, SeenHost, host_name
from tests.support.records import HOST, NOW, job_in

RUNNER = "abc123xyz"
KEY = JobKey(RUNNER, 1)
NAME = host_name(KEY)
ENDED = KnownJobs(runner=RUNNER, jobs={}, ended={KEY}, unknown_before={"app_1"}, keeping=False)
UNKNOWN = attrs.evolve(ENDED, ended=())


def seen(age=2 * GRACE, *, name=NAME, ref="app_1", busy=False):
    created_at = None if age is None else NOW - age
    return SeenHost(name=HostName(name), ref=ref, created_at=created_at, busy=busy)


def tracked(phase, **changes):
    record = job_in(phase, **changes)
    assert record.key == KEY
    return attrs.evolve(ENDED, jobs=merged([record]))


def kind(host, known=ENDED):
    [verdict] = judge([host], known, NOW)
    assert verdict.host is host
    assert verdict.why
    assert verdict.to_delete == (verdict.kind in (HostKind.ORPHAN, HostKind.DUPLICATE))
    return verdict.kind


def test_a_host_of_a_job_that_is_over_is_an_orphan_at_the_second_look():
    assert kind(seen()) is HostKind.ORPHAN
    assert kind(seen(), attrs.evolve(ENDED, unknown_before=())) is HostKind.SEEN_ONCE


@pytest.mark.parametrize("busy", [True, False, None])
def test_it_is_one_even_when_it_is_busy_because_the_coordinator_said_that_the_job_is_over(busy):
    assert kind(seen(busy=busy)) is HostKind.ORPHAN


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (GRACE, HostKind.ORPHAN),
        (GRACE - timedelta(seconds=1), HostKind.YOUNG),
        (-GRACE, HostKind.YOUNG),
        (None, HostKind.YOUNG),
    ],
)
def test_a_host_is_left_alone_until_it_is_known_to_be_old_enough(age, expected):
    assert kind(seen(age)) is expected


@pytest.mark.parametrize(
    ("age", "busy", "expected"),
    [
        (GRACE, False, HostKind.YOUNG),
        (IDLE_GRACE, False, HostKind.ORPHAN),
        (IDLE_GRACE, None, HostKind.BUSY),
        (IDLE_GRACE, True, HostKind.BUSY),
        (LONGEST_JOB - timedelta(seconds=1), True, HostKind.BUSY),
        (LONGEST_JOB, True, HostKind.ORPHAN),
        (LONGEST_JOB, None, HostKind.ORPHAN),
        (None, True, HostKind.BUSY),
    ],
)
def test_a_host_of_whose_job_nothing_is_known_is_left_alone_for_longer(age, busy, expected):
    assert kind(seen(age, busy=busy), UNKNOWN) is expected


@pytest.mark.parametrize(
    "name",
    [
        "website",
        "hpd-job-",
        f"hpd-job-{RUNNER}-",
        f"hpd-job-{RUNNER}-0",
        f"hpd-job-{RUNNER}-01",
        f"hpd-job-{RUNNER}-١",
        f"hpd-job-{RUNNER}-1\n",
        f"hpd-job-{RUNNER}-1-copy",
        f"hpd-job-{RUNNER}-2-1",
        f"hpd-job-{RUNNER}x-1",
        f"x-hpd-job-{RUNNER}-1",
        f"hpd-job-{RUNNER}-" + "1" * 30,
    ],
)
def test_a_name_that_this_runner_would_not_have_given_is_foreign(name):
    assert job_of(HostName(name), RUNNER) is None
    assert kind(seen(name=name)) is HostKind.FOREIGN


def test_a_name_leads_back_to_its_job():
    for number in (1, 42, 10**17):
        assert job_of(host_name(JobKey(RUNNER, number)), RUNNER) == JobKey(RUNNER, number)


def test_a_configuration_that_keeps_hosts_keeps_them():
    assert kind(seen(), attrs.evolve(ENDED, keeping=True)) is HostKind.KEPT
    keeping = attrs.evolve(tracked(Phase.RUNNING), keeping=True)
    assert kind(seen(ref="app_2"), attrs.evolve(keeping, unknown_before={"app_2"})) is HostKind.KEPT


@pytest.mark.parametrize("phase", list(Phase))
@pytest.mark.parametrize("busy", [True, False, None])
def test_the_host_of_a_record_of_any_phase_has_an_owner(phase, busy):
    assert kind(seen(10 * LONGEST_JOB, busy=busy), tracked(phase)) is HostKind.TRACKED


@pytest.mark.parametrize("phase", list(Phase))
def test_a_second_host_goes_when_the_job_has_settled_on_the_first(phase):
    known = attrs.evolve(tracked(phase), unknown_before={"app_2"})
    settled = phase in (Phase.PROVISIONED, Phase.LAUNCHING, Phase.LAUNCHED, Phase.RUNNING)
    assert kind(seen(ref="app_2"), known) is (HostKind.DUPLICATE if settled else HostKind.TRACKED)


@pytest.mark.parametrize("busy", [True, None])
def test_a_second_host_stays_when_it_may_run_something(busy):
    known = attrs.evolve(tracked(Phase.RUNNING), unknown_before={"app_2"})
    assert kind(seen(10 * LONGEST_JOB, ref="app_2", busy=busy), known) is HostKind.TRACKED


def test_a_host_stays_when_the_record_knows_of_none_yet():
    known = attrs.evolve(tracked(Phase.RUNNING, host=None), unknown_before={"app_2"})
    assert kind(seen(ref="app_2"), known) is HostKind.TRACKED


def test_a_host_that_had_an_owner_at_the_last_look_is_seen_for_the_first_time():
    first = judge([seen()], tracked(Phase.DECOMMISSIONING), NOW)
    assert kind(seen(), attrs.evolve(ENDED, unknown_before=unknown_hosts(first))) is HostKind.SEEN_ONCE


def test_of_two_readings_the_later_one_counts_and_nothing_is_lost():
    early, late = job_in(Phase.PROVISIONING), job_in(Phase.RUNNING)
    assert merged([early], [late]) == {KEY: late}
    assert merged([early], []) == {KEY: early}


def test_hosts_that_should_be_there_are_missed():
    jobs = [job_in(Phase.RUNNING), job_in(Phase.DECOMMISSIONING), job_in(Phase.ACQUIRED)]
    assert list(missing(jobs, {})) == [HOST]
    assert not missing(jobs, {HOST.ref})


# --- no live host, ever -----------------------------------------------------------------------------------

refs = st.sampled_from([f"app_{number}" for number in range(6)])
ages = st.none() | st.timedeltas(-GRACE, 2 * LONGEST_JOB)
names = st.one_of(
    st.integers(1, 4).map(lambda job_id: host_name(JobKey(RUNNER, job_id))),
    st.integers(1, 4).map(lambda job_id: host_name(JobKey("other", job_id))),
    st.text(max_size=30).map(lambda end: HostName(f"hpd-job-{RUNNER}-{end}")),
)
listings = st.lists(
    st.builds(
        seen,
        ages,
        name=names,
        ref=refs,
        busy=st.sampled_from([True, False, None]),
    ),
    max_size=8,
    unique_by=lambda host: host.ref,
)
records = st.lists(
    st.builds(
        lambda job_id, phase, ref: attrs.evolve(
            job_in(phase), key=JobKey(RUNNER, job_id), host=Host(ref=ref) if ref else None
        ),
        st.integers(1, 4),
        st.sampled_from(Phase),
        st.none() | refs,
    ),
    max_size=4,
)
overs = st.frozensets(st.integers(1, 4).map(lambda job_id: JobKey(RUNNER, job_id)))


@given(listings, records, overs, st.frozensets(refs), st.booleans())
def test_no_live_host_is_ever_to_be_deleted(hosts, jobs, ended, seen_before, keeping):
    known = KnownJobs(
        runner=RUNNER, jobs=merged(jobs), ended=ended, unknown_before=seen_before, keeping=keeping
    )
    for verdict in judge(hosts, known, NOW):
        host = verdict.host
        if not verdict.to_delete:
            continue
        key = job_of(host.name, RUNNER)
        assert key is not None, "foreign"
        assert host_name(key) == host.name
        assert not keeping
        assert host.ref in seen_before, "seen once"
        assert host.created_at is not None
        age = NOW - host.created_at
        assert age >= GRACE, "young"
        record = known.jobs.get(key)
        if record is not None:
            assert verdict.kind is HostKind.DUPLICATE
            assert record.host is not None
            assert record.host.ref != host.ref, "the job's own"
            assert record.phase not in (Phase.ACQUIRED, Phase.PROVISIONING), "an intent to create is open"
            assert host.busy is False
        elif key not in ended:
            assert age >= (IDLE_GRACE if host.busy is False else LONGEST_JOB), "it may be running"


@given(listings, records, overs, st.frozensets(refs))
def test_the_recorded_host_of_any_record_is_safe(hosts, jobs, ended, seen_before):
    known = KnownJobs(
        runner=RUNNER, jobs=merged(jobs), ended=ended, unknown_before=seen_before, keeping=False
    )
    own = {(job.host_name, job.host.ref) for job in known.jobs.values() if job.host}
    for verdict in judge(hosts, known, NOW):
        if (verdict.host.name, verdict.host.ref) in own:
            assert verdict.kind is HostKind.TRACKED
