"""What one of several processes says of them all."""

import json
from datetime import timedelta

import attrs
import pytest

from paas_runner.job.capacity import Load
from paas_runner.job.lease import Allotment
from paas_runner.job.limits import Limits
from paas_runner.status.report import RunnerState, StatusReport, from_data, to_data
from paas_runner.status.sharing import Role
from paas_runner.status.sharing_wording import role_line
from paas_runner.status.views import changes, page
from tests.support.records import NOW
from tests.support.sharing import ALPHA, BETA, STORE, holding, leases, standby
from tests.support.watched_world import BUILD, DEPLOY, NAMES, glance


def status_of(report):
    """As the standby itself tells it."""
    return glance([], elsewhere=frozenset(NAMES), sharing=report).status()


def test_a_standby_says_who_works_since_when_and_with_how_many_jobs():
    report = status_of(standby())
    lines = page(report).splitlines()
    assert lines[2] == f"shares {STORE}, mode standby: standby: alpha (2 runners) works"
    assert lines[4].startswith("PROCESS          VERSION  MODE     RUNNERS  PRESENT    LAST RENEWAL")
    assert lines[5].split(maxsplit=6)[:4] == ["alpha", "1.4.0", "standby", "2"]
    assert lines[5].endswith("3 h 0 min  3.0 s ago     20 jobs, 10 in provisioning, weight 24")
    assert lines[6].startswith("beta (this one)  1.5.0    standby  0        1 h 0 min  6.0 s ago")
    build, deploy = report.runners
    assert (build.state, build.jobs) == (RunnerState.ELSEWHERE, 14)
    assert build.why == "alpha has it since 2026-11-20 09:59:58, 14 jobs"
    assert deploy.jobs == 0


def test_without_a_quota_no_weight_is_told_and_one_job_is_one():
    one = attrs.evolve(ALPHA, allotment=Allotment(jobs=1, provisioning=1, weight=24))
    load = Load.of([], Limits(concurrent=20, provisioning=10))
    report = glance([], elsewhere=frozenset(NAMES), sharing=standby(members=(one, BETA)), load=load).status()
    assert page(report).splitlines()[5].endswith("1 job, 1 in provisioning")


def test_where_no_process_is_no_table_of_them_is_shown():
    assert "PROCESS" not in page(status_of(standby(members=())))


def test_a_runner_that_another_has_is_told_to_be_paused():
    load = Load.of([], Limits(concurrent=20, provisioning=10, paused=frozenset({BUILD})))
    report = glance([], elsewhere=frozenset(NAMES), sharing=standby(), load=load).status()
    build, deploy = report.runners
    assert build.why == "paused by the operator; alpha has it since 2026-11-20 09:59:58, 14 jobs"
    assert not deploy.why.startswith("paused")


def test_a_standby_that_drains_tells_the_jobs_that_others_have():
    report = glance([], elsewhere=frozenset(NAMES), sharing=standby(), draining=True).status()
    assert [(each.state, each.jobs) for each in report.runners] == [
        (RunnerState.DRAINING, 14),
        (RunnerState.DRAINING, 0),
    ]


def test_a_number_of_jobs_that_nobody_knows_is_not_told():
    section = standby(jobs_elsewhere=None).section(DEPLOY)
    assert section.jobs is None
    assert "jobs" not in section.said


@pytest.mark.parametrize(
    ("report", "role", "said"),
    [
        (holding(), Role.HOLDER, "works; standing by: beta"),
        (holding(members=(ALPHA,)), Role.HOLDER, "works; nobody stands by"),
        (
            holding(members=(ALPHA, attrs.evolve(BETA, seconds_left=-1.0))),
            Role.HOLDER,
            "works; nobody stands by",
        ),
        (
            holding(leases=leases("a1", "b2")),
            Role.HOLDER,
            "one of 2 that work: alpha (1 runner), beta (1 runner)",
        ),
        (
            standby(leases=leases("", "")),
            Role.STANDBY,
            "standby, and nobody works: runners are taken within seconds",
        ),
        (standby(stages={BUILD: "lost"}), Role.STANDBY, "standby: alpha (2 runners) works"),
    ],
)
def test_each_role_has_its_words(report, role, said):
    assert (report.role, role_line(report)) == (role, said)


def test_a_store_that_cannot_be_reached_is_said_with_its_reason_and_since_when():
    away = holding(trouble="connection\nrefused", silent_for=8.0)
    assert away.role is Role.HOLDER
    assert role_line(away).endswith(
        f"; {STORE} cannot be reached since {NOW - timedelta(seconds=8):%H:%M:%S}: connection refused"
    )
    later = holding(trouble="connection refused", silent_for=20.0, suspended=True)
    assert later.role is Role.CUT_OFF
    assert role_line(later).startswith("cut off from the store: no jobs are asked for, and another")


def test_a_section_that_nobody_has_is_not_anybodys():
    section = standby(leases=leases("a1", "")).section(DEPLOY)
    assert (section.holder, section.member, section.since) == ("", "", None)
    assert section.said.startswith("nobody has it")


def test_of_several_that_work_one_speaks_for_all():
    divided = leases("a1", "b2")
    first, second = holding(leases=divided), standby(leases=divided, stages={DEPLOY: "served"})
    assert [report.speaks for report in (first, second)] == [True, False]
    assert not standby().speaks


def test_a_change_of_roles_is_a_line_of_its_own():
    before, after = status_of(standby()), status_of(standby(stages=dict.fromkeys(NAMES, "taken")))
    assert "12:00:00 sharing: standby: alpha (2 runners) works" in changes(None, before)
    assert not [line for line in changes(before, before) if "sharing" in line]
    assert [line for line in changes(before, after) if "sharing" in line]


def test_what_is_told_as_json_is_read_again_and_has_only_numbers_that_json_has():
    report = status_of(holding())
    told = json.loads(json.dumps(to_data(report), allow_nan=False))
    assert to_data(from_data(told, StatusReport)) == told
    assert told["sharing"]["members"][0]["may_use"] == {"jobs": 20, "provisioning": 10, "weight": 24.0}
    assert status_of(None).sharing is None
