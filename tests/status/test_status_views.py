"""The report as people read it."""

import re
from datetime import timedelta
from pathlib import Path

import attrs

from paas_runner.commands.output import show
from paas_runner.job import events as ev
from paas_runner.job.decision import Policy
from paas_runner.job.lifecycle import apply
from paas_runner.job.tracked import Phase
from paas_runner.job.wording import describe_history
from paas_runner.logs import redactor
from paas_runner.secret import Secret
from paas_runner.status import report
from paas_runner.status.views import JobExplanation, changes, format_explanation, page
from tests.support.records import NOW, job_in

KEY = "abc123xyz"


def runner(state=report.RunnerState.POLLING, **changes):
    known = {"name": "acme", "runner": KEY, "why": ""}
    return report.RunnerReport(**{**known, "state": state, **changes})


def shown(*records, at=NOW, state=report.ServiceState.RUNNING, runners=None, blocked="", **more):
    return report.StatusReport(
        at=at,
        service=report.ServiceReport(
            state=state,
            version="1.2.3",
            state_file=Path("/state.json"),
            pid=42,
            since=NOW - timedelta(hours=3),
        ),
        capacity=report.Capacity(
            concurrent=report.Use(used=len(records), limit=10),
            provisioning=report.Use(used=0, limit=5),
            quota=more.get("quota"),
            standby_weight=more.get("standby_weight", 0.0),
        ),
        runners=[runner()] if runners is None else runners,
        jobs=report.jobs(
            records, at, names={KEY: "acme"}, policies=more.get("policies", {KEY: Policy()}), blocked=blocked
        ),
        standby=more.get("standby", ()),
    )


def waiting():
    record = apply(
        job_in(Phase.PROVISIONING), ev.HostCreated(host=job_in(Phase.RUNNING).host, doubtful=False), NOW
    )
    for _ in range(3):
        record = apply(record, ev.NotYet(until=NOW + timedelta(seconds=4)), NOW)
    return record


def test_a_page_tells_the_service_its_room_its_runners_and_its_jobs():
    text = page(shown(waiting(), quota=report.Use(used=2.5, limit=None)))
    lines = text.splitlines()
    assert lines[0] == "paas-runner 1.2.3 is running, process 42, up 3 h 0 min"
    assert lines[1] == "1/10 jobs, 0/5 in provisioning, 2.5/? of the weight quota"
    assert lines[3].split() == ["RUNNER", "TOKEN", "STATE", "JOBS", "WHY"]
    assert lines[4].split() == ["acme", KEY, "polling", "0"]
    assert lines[7].split() == ["1", "acme", "provisioning", "0", "s", "0", "s", "M", "-", "app_1"]
    assert lines[8] == (
        "    last 12:00:00 the host does not take the job yet (3 times, last 12:00:00): "
        "its provider is still preparing it; again 4.0 s later"
    )
    assert lines[9] == (
        "    next in 4.0 s: ask whether the host takes the job: "
        "the host is there, but did not take the job yet"
    )


def test_a_page_without_jobs_says_so():
    assert page(shown()).endswith("no tracked jobs")


def test_a_service_that_is_down_is_said_to_be_and_nothing_is_announced():
    text = page(shown(waiting(), state=report.ServiceState.DOWN, blocked="the service is not running"))
    assert text.startswith("paas-runner is not running; this is what it left in the store beside /state.json")
    assert "next nothing is done: the service is not running" in text


def test_a_job_of_a_runner_that_is_not_served_says_what_to_do():
    text = page(shown(waiting(), policies={}))
    assert "nothing is done: its runner is not in the configuration: put it back, or remove its host" in text


def test_a_runner_that_keeps_away_says_until_when_and_why_on_one_line():
    away = runner(report.RunnerState.BACKING_OFF, why="503\n  try later", until=NOW + timedelta(seconds=24))
    [line] = [line for line in page(shown(runners=[away])).splitlines() if line.startswith("acme")]
    assert line.endswith("backing off  0     next try at 12:00:24: 503 try later")


def test_only_what_has_changed_is_a_line():
    first, second = shown(waiting()), shown(waiting(), at=NOW + timedelta(seconds=2))
    *others, job = (line.partition(" ")[2] for line in changes(None, first))
    assert others == ["service: running", "runner acme: polling"]
    assert job.startswith(f"job {KEY}/1: provisioning: the host does not take the job yet (3 times")
    assert list(changes(first, second)) == []


def test_what_is_counted_once_more_or_worded_anew_is_no_change_and_another_event_in_the_phase_is_one():
    later = NOW + timedelta(seconds=2)
    before = shown(waiting())
    again = apply(waiting(), ev.NotYet(until=later), later)
    assert list(changes(before, shown(again, at=later))) == []
    [job] = before.jobs
    reworded = attrs.evolve(job, last=attrs.evolve(job.last, what="it still boots", why="be patient"))
    assert list(changes(before, attrs.evolve(before, jobs=[reworded]))) == []
    another = apply(again, ev.Checked(), later)
    [line] = changes(before, shown(another, at=later))
    assert line == f"12:00:02 job {KEY}/1: provisioning: the coordinator still wants the job: so it goes on"


def test_every_change_is_a_line_with_its_time():
    later = NOW + timedelta(seconds=2)
    record = apply(waiting(), ev.HostReady(), later)
    away = runner(report.RunnerState.PAUSED, why="the operator has paused the runner")
    before = shown(waiting())
    assert list(changes(before, shown(record, at=later, runners=[away]))) == [
        "12:00:02 runner acme: paused: the operator has paused the runner",
        f"12:00:02 job {KEY}/1: provisioned: the host takes the job: after 2.0 s",
    ]
    down = shown(at=later, state=report.ServiceState.STOPPING)
    assert list(changes(before, down)) == ["12:00:02 service: stopping", f"12:00:02 job {KEY}/1: gone"]


def test_an_explanation_has_dates_where_they_change_and_long_reasons_under_their_line():
    tomorrow = NOW + timedelta(days=1)
    failure = attrs.evolve(job_in(Phase.FAILING).failure, text="No host.\n  Last answer: 503")
    record = apply(waiting(), ev.Failed(failure=failure), tomorrow)
    [job] = report.jobs([record], tomorrow, names={}, policies={KEY: Policy()})
    text = format_explanation(
        JobExplanation(at=tomorrow, key=record.key, job=job, history=describe_history(record.history))
    )
    lines = text.splitlines()
    assert lines[0] == f"job 1 of runner {KEY} is failing, for 0 s of the 24 h 0 min since it was acquired"
    assert lines[1] == f"host hpd-job-{KEY}-1: app_1, flavor M"
    assert [line for line in lines if re.fullmatch(r"\d{4}-.*", line)] == ["2026-11-20 UTC", "2026-11-21 UTC"]
    at = lines.index("  12:00:00  the job cannot be run: runner_system_failure: No host.")
    assert lines[at + 1] == "              Last answer: 503"
    assert lines[-1].startswith("      next  now: tell the author in the job's log: ")


def test_the_history_of_a_job_that_is_gone_announces_nothing():
    gone = job_in(Phase.GONE)
    text = format_explanation(
        JobExplanation(at=NOW, key=gone.key, job=None, history=describe_history(gone.history))
    )
    assert text.startswith(f"job 1 of runner {KEY} is gone: nothing is left to be done about it")
    assert "next" not in text


def test_what_comes_from_elsewhere_can_neither_move_the_cursor_nor_break_the_output(capsys):
    redactor.add([Secret("status-view-canary")])
    show("a \x1b[2J\r\x07 half a pair \ud83d\nstatus-view-canary")
    assert capsys.readouterr().out == "a  [2J   half a pair  \n[secret]\n"


def on_standby(at, **more):
    host = attrs.evolve(job_in(Phase.STANDBY).host, flavor="XL", weight=4.0, price=3.0)
    record = job_in(Phase.STANDBY, tenant="acme", host=host, host_since=NOW - timedelta(hours=1))
    kept = Policy(standby=timedelta(minutes=2))
    return report.standby(
        [record, job_in(Phase.RUNNING)], at, names={KEY: "build"}, policies={KEY: kept}, **more
    )


def test_a_host_on_standby_is_shown_beside_the_jobs():
    """H140: how long it still waits, what for and for whom, and what its wait has cost."""
    at = NOW + timedelta(seconds=36)
    quota = report.Use(used=4, limit=16)
    lines = page(shown(at=at, quota=quota, standby_weight=4.0, standby=on_standby(at))).splitlines()
    assert "0/10 jobs, 0/5 in provisioning, 4/16 of the weight quota, and 4 of it on standby" in lines
    assert "no tracked jobs" in lines
    assert [line.split() for line in lines[-2:]] == [
        ["HOST", "ON", "STANDBY", "RUNNER", "LEFT", "FLAVOR", "TENANT", "SO", "FAR", "LEFT", "BY", "JOB"],
        ["app_1", "build", "1", "min", "24", "s", "XL", "acme", "0.03", "1"],
    ]


def test_what_happens_to_a_host_on_standby_next_is_told():
    [host] = on_standby(NOW)
    assert (host.seconds_left, host.cost_so_far, host.next.at) == (120, 0, NOW + timedelta(minutes=2))
    [host] = on_standby(NOW + timedelta(hours=1), blocked="stopping")
    assert (host.seconds_left, host.next, host.blocked) == (0, None, "stopping")


def test_hosts_that_come_to_wait_and_go_are_changes():
    waits = shown(standby=on_standby(NOW))
    assert list(changes(shown(), waits)) == [
        "12:00:00 host app_1: on standby, 2 min 0 s left, of job abc123xyz/1"
    ]
    assert list(changes(waits, shown())) == ["12:00:00 host app_1: on standby no longer"]


def test_a_job_is_explained_as_over_while_its_host_waits():
    record = job_in(Phase.STANDBY)
    [found] = shown(record).jobs
    told = format_explanation(
        JobExplanation(at=NOW, key=record.key, job=found, history=describe_history(record.history))
    )
    assert "is over, and its host waits for another one, for 0 s of the 0 s since" in told
