"""Records to start a test from."""

from datetime import UTC, datetime

import attrs

from paas_runner.job.events import (
    Checked,
    Decommissioned,
    Failed,
    HostCreated,
    HostReady,
    Launched,
    LaunchIntended,
    LifeSeen,
    ProvisionIntended,
    Reported,
)
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.lifecycle import acquired, apply
from paas_runner.job.payload import read
from paas_runner.job.tracked import Host, Phase, TrackedJob

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOST = Host(ref="app_1", flavor="M", details={"deploy_url": "https://push.example/app_1.git"})
FAILURE = Failure(reason=FailureReason.SYSTEM, text="No host today.")


def payload(job_id: int = 1, **more):
    return read({"id": job_id, "token": f"job-token-{job_id}", "variables": [], **more})


def job(job_id: int = 1, runner: str = "abc123xyz") -> TrackedJob:
    return acquired(runner, payload(job_id), NOW)


_WAY = [
    (Phase.ACQUIRED, Checked()),
    (Phase.PROVISIONING, ProvisionIntended()),
    (None, HostCreated(host=HOST, doubtful=False)),
    (Phase.PROVISIONED, HostReady()),
    (Phase.LAUNCHING, LaunchIntended()),
    (Phase.LAUNCHED, Launched()),
    (Phase.RUNNING, LifeSeen()),
    (Phase.FAILING, Failed(failure=FAILURE)),
    (Phase.DECOMMISSIONING, Reported()),
    (Phase.GONE, Decommissioned()),
]


def job_in(phase: Phase, **changes) -> TrackedJob:
    """A job that came to `phase` the ordinary way."""
    record = job()
    for reached, event in _WAY:
        if record.phase is phase and record.acknowledged:
            break
        record = apply(record, event, NOW)
        assert reached is None or record.phase is reached
    return attrs.evolve(record, **changes)
