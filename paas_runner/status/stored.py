"""What a service that is down has left in its store: read without a lock, and never changed."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from paas_runner import __version__
from paas_runner.config import Config, load
from paas_runner.executor.contract import installed
from paas_runner.job.capacity import Load
from paas_runner.job.decision import Policy
from paas_runner.job.wording import describe_history
from paas_runner.logs import redactor
from paas_runner.status import report
from paas_runner.status.views import JobExplanation
from paas_runner.store.snapshot import Snapshot, take

DOWN = "the service is not running, it goes on at its next start"


def stored_report(path: Path) -> report.StatusReport:
    """The records as the service left them; raises `ConfigError` or `StoreError`."""
    config, snapshot, now = *_left(path), datetime.now(UTC)
    paused = {runner.key for runner in snapshot.runners if runner.paused}
    return report.StatusReport(
        at=now,
        service=report.ServiceReport(
            state=report.ServiceState.DOWN, version=__version__, state_file=config.state_file
        ),
        capacity=report.capacity(Load.of(snapshot.jobs, config.limits)),
        runners=[
            report.RunnerReport(
                name=name,
                runner=key,
                state=report.RunnerState.DOWN,
                why="paused by the operator" if key in paused else "",
                jobs=sum(job.key.runner == key for job in snapshot.jobs),
            )
            for key, name in _names(config).items()
        ],
        jobs=_jobs(config, snapshot, now),
    )


def stored_explanations(path: Path, job_id: int) -> Sequence[JobExplanation]:
    """What the service knew of the jobs with that id that it tracks; raises `ConfigError`, `StoreError`."""
    config, snapshot, now = *_left(path), datetime.now(UTC)
    records = {record.key: record for record in snapshot.jobs}
    tracked = [job for job in _jobs(config, snapshot, now) if job.job == job_id]
    return [
        JobExplanation(at=now, key=job.key, job=job, history=describe_history(records[job.key].history))
        for job in tracked
    ]


def _left(path: Path) -> tuple[Config, Snapshot]:
    config = load(path, environ=os.environ, executors=installed())
    redactor.add(config.secrets)
    snapshot = take(config.store_path)
    config, _ = config.recognised(snapshot.runners)
    return config, snapshot


def _names(config: Config) -> dict[str, str]:
    return {runner.short_token: runner.title for runner in config.runners}


def _jobs(config: Config, snapshot: Snapshot, now: datetime) -> Sequence[report.JobReport]:
    names = _names(config)
    return report.jobs(snapshot.jobs, now, names=names, policies=dict.fromkeys(names, Policy()), blocked=DOWN)
