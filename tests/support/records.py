"""Records to start a test from."""

from datetime import UTC, datetime, timedelta

import attrs

from paas_runner.job import events as ev
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.lifecycle import acquired, apply
from paas_runner.job.payload import read
from paas_runner.job.tracked import Host, JobKey, Phase, TrackedJob

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOST = Host(ref="app_1", flavor="M", details={"deploy_url": "https://push.example/app_1.git"})
FAILURE = Failure(reason=FailureReason.SYSTEM, text="No host today.")

EVENTS = {
    ev.ProvisionIntended: ev.ProvisionIntended(),
    ev.HostCreated: ev.HostCreated(host=HOST, doubtful=False),
    ev.HostReady: ev.HostReady(),
    ev.LaunchIntended: ev.LaunchIntended(),
    ev.Launched: ev.Launched(),
    ev.LifeSeen: ev.LifeSeen(),
    ev.Checked: ev.Checked(),
    ev.Unchecked: ev.Unchecked(until=NOW + timedelta(seconds=5)),
    ev.HostChecked: ev.HostChecked(until=NOW + timedelta(seconds=5)),
    ev.NotYet: ev.NotYet(until=NOW + timedelta(seconds=5)),
    ev.Deferred: ev.Deferred(until=NOW + timedelta(seconds=8), trouble="clever-cloud, create: 503"),
    ev.Failed: ev.Failed(failure=FAILURE),
    ev.Ended: ev.Ended(),
    ev.Explained: ev.Explained(),
    ev.Reported: ev.Reported(),
    ev.Decommissioned: ev.Decommissioned(),
    ev.HostReused: ev.HostReused(host=HOST, doubtful=False),
    ev.HostReleased: ev.HostReleased(until=NOW + timedelta(minutes=2), lease=timedelta(minutes=10)),
    ev.HostUnfit: ev.HostUnfit(),
    ev.HostRenewed: ev.HostRenewed(lease=timedelta(minutes=10)),
    ev.StandbyOver: ev.StandbyOver(why="drained"),
    ev.HostTaken: ev.HostTaken(by=JobKey("abc123xyz", 2)),
    ev.HostLeft: ev.HostLeft(),
}
"""Of each kind of event one."""


def payload(job_id: int = 1, **more):
    return read({"id": job_id, "token": f"job-token-{job_id}", "variables": [], **more})


def job(job_id: int = 1, runner: str = "abc123xyz") -> TrackedJob:
    return acquired(runner, payload(job_id), NOW)


_WAY = [
    (Phase.ACQUIRED, ev.Checked()),
    (Phase.PROVISIONING, ev.ProvisionIntended()),
    (None, ev.HostCreated(host=HOST, doubtful=False)),
    (Phase.PROVISIONED, ev.HostReady()),
    (Phase.LAUNCHING, ev.LaunchIntended()),
    (Phase.LAUNCHED, ev.Launched()),
    (Phase.RUNNING, ev.LifeSeen()),
    (Phase.FAILING, ev.Failed(failure=FAILURE)),
    (Phase.DECOMMISSIONING, ev.Reported()),
    (Phase.GONE, ev.Decommissioned()),
]


_TO_STANDBY = [(Phase.DECOMMISSIONING, ev.Ended()), (Phase.STANDBY, EVENTS[ev.HostReleased])]


def job_in(phase: Phase, **changes) -> TrackedJob:
    """A job that came to `phase` the ordinary way."""
    record = job()
    way = _WAY if phase is not Phase.STANDBY else [*_WAY[:7], *_TO_STANDBY]
    for reached, event in way:
        if record.phase is phase and record.acknowledged:
            break
        record = apply(record, event, NOW)
        assert reached is None or record.phase is reached
    return attrs.evolve(record, **changes)
