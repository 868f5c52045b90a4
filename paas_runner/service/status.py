"""How the running service is: a report made on request, from a view of the dispatch."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import attrs
import structlog

from paas_runner import __version__
from paas_runner.config import Config
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.standstill import OtherReason, standstill
from paas_runner.dispatch.view import DispatchView
from paas_runner.job.capacity import Bound
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.job.wording import describe_history
from paas_runner.loop.timing import Clock, sleep
from paas_runner.status import report
from paas_runner.status.report import to_data
from paas_runner.status.sharing import SharingReport
from paas_runner.status.views import JobExplanation

log = structlog.stdlib.get_logger(__name__)

_TOKENS_EVERY = timedelta(days=1)

_POLLING = report.RunnerState.POLLING
_STATES: Mapping[Bound | OtherReason, report.RunnerState] = {
    Bound.STORE: report.RunnerState.BACKING_OFF,
    Bound.PAUSED: report.RunnerState.PAUSED,
    Bound.CREDENTIALS: report.RunnerState.BACKING_OFF,
    OtherReason.RECORDS: report.RunnerState.BACKING_OFF,
    OtherReason.BACKING_OFF: report.RunnerState.BACKING_OFF,
    OtherReason.ENDING: report.RunnerState.DRAINING,
    OtherReason.ELSEWHERE: report.RunnerState.ELSEWHERE,
}
"""What a runner does that stands still for that; for any other reason it has no room."""


class Viewed(Protocol):
    """What is reported on."""

    @property
    def view(self) -> DispatchView: ...


@attrs.frozen(kw_only=True)
class LiveStatus:
    """How this process is; costs nothing until it is asked."""

    dispatcher: Viewed
    clock: Clock
    since: datetime
    state_file: Path
    counters: Counters
    notices: Callable[[], Mapping[str, str]]
    """What there is to say of a runner that has no other trouble, by short token."""

    sharing: Callable[[], SharingReport | None] = lambda: None

    def glance(self) -> "Glance":
        """Everything as it is now, for whoever makes a report of it later."""
        return Glance(
            view=self.dispatcher.view,
            at=self.clock(),
            since=self.since,
            state_file=self.state_file,
            counters=self.counters.numbers,
            notices=self.notices(),
            sharing=self.sharing(),
        )

    def now(self) -> report.StatusReport:
        """Everything as it is now."""
        return self.glance().status()

    def explain(self, job_id: object) -> Sequence[JobExplanation]:
        """Each tracked job with that id: its report and its history."""
        return self.glance().explain(job_id)

    def log(self) -> report.StatusReport:
        """The report in the log: a line for the service, one for each runner, job and host on standby."""
        found = self.now()
        log.warning("service_state", **to_data(found.service), **to_data(found.capacity), **found.counters)
        for runner in found.runners:
            log.warning("runner_state", **to_data(runner))
        for job in found.jobs:
            log.warning("job_state", **to_data(job))
        for host in found.standby:
            log.warning("standby_state", **to_data(host))
        return found


@attrs.frozen(kw_only=True)
class Glance:
    """How the process was at one moment: frozen, so that a thread may make its report."""

    view: DispatchView
    at: datetime
    since: datetime
    state_file: Path
    counters: Mapping[str, int]
    notices: Mapping[str, str]
    sharing: SharingReport | None = None
    pid: int = attrs.field(factory=os.getpid)

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """All that are tracked."""
        return self.view.jobs

    @property
    def no_room(self) -> Mapping[JobKey, str]:
        """Why each of the jobs that may wait for room does; empty of one that does not."""
        return {job.key: self.view.load.why_it_waits(job) for job in self.view.load.recent}

    def status(self) -> report.StatusReport:
        """What `paas-runner status` says."""
        return attrs.evolve(self.brief(), jobs=self._jobs(job for job in self.jobs if not job.on_standby))

    def brief(self) -> report.StatusReport:
        """The same without the jobs, of which each has a history and an outlook."""
        view = self.view
        return report.StatusReport(
            at=self.at,
            service=report.ServiceReport(
                state=_service_state(view),
                version=__version__,
                state_file=self.state_file,
                pid=self.pid,
                since=self.since,
                trouble=_trouble(view),
            ),
            capacity=report.capacity(view.load),
            runners=[self._runner(key, name) for key, name in view.names.items()],
            jobs=[],
            counters=self.counters,
            looks=_looks(view),
            sharing=self.sharing,
            standby=report.standby(
                self.jobs, self.at, names=view.names, policies=view.policies, blocked=self._blocked
            ),
        )

    def explain(self, job_id: object) -> Sequence[JobExplanation]:
        """Each tracked job with that id: its report and its history."""
        records = {record.key: record for record in self.jobs if record.key.job_id == job_id}
        return [
            JobExplanation(
                at=self.at, key=job.key, job=job, history=describe_history(records[job.key].history)
            )
            for job in self._jobs(records.values())
        ]

    def _runner(self, key: str, name: str) -> report.RunnerReport:
        stands = standstill(self.view, key)
        section = self.sharing.section(key) if self.sharing and key in self.view.elsewhere else None
        jobs = section.jobs or 0 if section else self._count(key)
        if stands and stands.reason is OtherReason.ELSEWHERE and section:
            paused = ["paused by the operator"] if key in self.view.load.limits.paused else []
            return report.RunnerReport(
                name=name,
                runner=key,
                state=report.RunnerState.ELSEWHERE,
                why="; ".join([*paused, section.said]),
                jobs=jobs,
            )
        return report.RunnerReport(
            name=name,
            runner=key,
            state=_STATES.get(stands.reason, report.RunnerState.NO_ROOM) if stands else _POLLING,
            why=stands.why if stands else self.notices.get(key, ""),
            until=stands.until if stands else None,
            jobs=jobs,
        )

    def _count(self, runner: str) -> int:
        return sum(job.key.runner == runner and not job.on_standby for job in self.jobs)

    @property
    def _blocked(self) -> str:
        return "the service is stopping: it goes on at the next start" if self.view.stopping else ""

    def _jobs(self, records: Iterable[TrackedJob]) -> Sequence[report.JobReport]:
        return report.jobs(
            records,
            self.at,
            names=self.view.names,
            policies=self.view.policies,
            no_room=self.no_room,
            blocked=self._blocked,
        )


class TokenExpiry:
    """Tokens that end soon, as far as the configuration in force knows: told at the start, and every day."""

    def __init__(self, config: Callable[[], Config], clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def notices(self) -> Mapping[str, str]:
        """By short token, for those runners of which there is something to say."""
        now = self._clock()
        lives = {runner.short_token: runner.token_life for runner in self._config().runners}
        found = {key: life.notice(now) for key, life in lives.items() if life}
        return {key: f"its token {notice}" for key, notice in found.items() if notice}

    async def run(self) -> None:
        """For ever; a stop cancels it."""
        while True:
            titles = {runner.short_token: runner.title for runner in self._config().runners}
            for key, notice in self.notices().items():
                log.warning("token_expires", runner=titles[key], note=notice)
            await sleep(_TOKENS_EVERY)


def _looks(view: DispatchView) -> Sequence[report.LooksReport]:
    return [
        report.LooksReport(
            coordinator=coordinator,
            jobs=budget.jobs,
            looks_a_minute=budget.a_minute,
            factor=round(budget.stretch, 1),
        )
        for coordinator, budget in view.looks.items()
        if budget.jobs and budget.stretch > 1
    ]


def _service_state(view: DispatchView) -> report.ServiceState:
    if view.stopping:
        return report.ServiceState.STOPPING
    return report.ServiceState.DRAINING if view.draining else report.ServiceState.RUNNING


def _trouble(view: DispatchView) -> str:
    return f"the records cannot be written: {view.why_refused}" if view.refused else ""
