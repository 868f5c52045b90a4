"""What is in the store of a service that is down, or runs elsewhere: read without a lock, never changed."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from paas_runner import __version__
from paas_runner.config import Config, load
from paas_runner.config.load import store_place
from paas_runner.executor.contract import installed
from paas_runner.job.capacity import Load
from paas_runner.job.decision import Policy
from paas_runner.job.lease import Allotment
from paas_runner.job.tracked import JobKey, Phase
from paas_runner.job.wording import describe_history
from paas_runner.logs import redactor
from paas_runner.status import report
from paas_runner.status.sharing import Observed, SharingReport, sharing
from paas_runner.status.views import JobExplanation
from paas_runner.store.snapshot import Snapshot, take

DOWN = "the service is not running, it goes on at its next start"


@attrs.frozen(kw_only=True)
class _Left:
    """A configuration, with the keys of its runners, and what is in its store."""

    config: Config
    snapshot: Snapshot
    now: datetime
    sharing: SharingReport | None
    """Who works on it; None where one process has it for itself."""

    @classmethod
    def by(cls, path: Path) -> "_Left":
        config = load(path, environ=os.environ, executors=installed())
        redactor.add(config.secrets)
        snapshot = take(config.store)
        config, _ = config.recognised(snapshot.runners)
        now = datetime.now(UTC)
        return cls(config=config, snapshot=snapshot, now=now, sharing=_sharing(config, snapshot, now))

    @property
    def names(self) -> dict[str, str]:
        return _names(self.config)

    def blocked(self, runner: str) -> str:
        """Why nothing is done here about a job."""
        section = self.sharing.section(runner) if self.sharing else None
        return f"{section.member} goes on with it" if section and section.member else DOWN

    def standby(self) -> Sequence[report.StandbyReport]:
        policies = dict.fromkeys(self.names, Policy())
        found = report.standby(
            self.snapshot.jobs, self.now, names=self.names, policies=policies, blocked=DOWN
        )
        return [attrs.evolve(host, blocked=self.blocked(host.runner)) for host in found]

    def jobs(self) -> Sequence[report.JobReport]:
        policies = dict.fromkeys(self.names, Policy())
        found = report.jobs(self.snapshot.jobs, self.now, names=self.names, policies=policies, blocked=DOWN)
        return [attrs.evolve(job, blocked=self.blocked(job.runner)) for job in found]

    def runner(self, key: str, name: str) -> report.RunnerReport:
        paused = any(runner.paused for runner in self.snapshot.runners if runner.key == key)
        why = ["paused by the operator"] if paused else []
        section = self.sharing.section(key) if self.sharing else None
        if section and section.member:
            why.append(section.said)
        return report.RunnerReport(
            name=name,
            runner=key,
            state=report.RunnerState.ELSEWHERE if section and section.member else report.RunnerState.DOWN,
            why="; ".join(why),
            jobs=sum(job.key.runner == key and not job.on_standby for job in self.snapshot.jobs),
        )


def _names(config: Config) -> dict[str, str]:
    return {runner.short_token: runner.title for runner in config.runners}


def _sharing(config: Config, snapshot: Snapshot, now: datetime) -> SharingReport | None:
    if snapshot.tenancy is None:
        return None
    return sharing(
        Observed(
            now=now,
            store=str(config.store),
            holder="",
            member=config.member,
            mode=config.mode,
            tenancy=snapshot.tenancy,
            answered_ago=0.0,
            stages={},
            allotment=Allotment(),
            trouble="",
            silent_for=None,
            suspended=False,
            names=_names(config),
            own_jobs={},
            jobs_elsewhere=Counter(job.key.runner for job in snapshot.jobs if not job.on_standby),
            counters={},
            absent=True,
        )
    )


def stored_report(path: Path) -> report.StatusReport:
    """The records as the service left them, or another goes on with; raises `ConfigError` or `StoreError`."""
    left = _Left.by(path)
    return report.StatusReport(
        at=left.now,
        service=report.ServiceReport(
            state=report.ServiceState.DOWN, version=__version__, state_file=left.config.state_file
        ),
        capacity=report.capacity(Load.of(left.snapshot.jobs, left.config.limits)),
        runners=[left.runner(key, name) for key, name in left.names.items()],
        jobs=[job for job in left.jobs() if job.phase is not Phase.STANDBY],
        sharing=left.sharing,
        standby=left.standby(),
    )


def stored_explanations(path: Path, job_id: int, *, but: Collection[JobKey] = ()) -> Sequence[JobExplanation]:
    """What is known of the tracked jobs with that id, without some; raises `ConfigError`, `StoreError`."""
    left = _Left.by(path)
    records = {record.key: record for record in left.snapshot.jobs}
    tracked = [job for job in left.jobs() if job.job == job_id and job.key not in but]
    return [
        JobExplanation(at=left.now, key=job.key, job=job, history=describe_history(records[job.key].history))
        for job in tracked
    ]


def is_shared(path: Path) -> bool:
    """Whether other processes may have jobs in the store of that configuration; raises `ConfigError`."""
    return not isinstance(store_place(path, os.environ, installed()), Path)
