"""How the running service is: a report made on request, from a view of the dispatch."""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import attrs
import structlog

from paas_runner import __version__
from paas_runner.config import Config
from paas_runner.dispatch.counters import Counters
from paas_runner.dispatch.view import DispatchView
from paas_runner.job.capacity import Bound
from paas_runner.job.wording import describe_history
from paas_runner.loop.timing import Clock, sleep
from paas_runner.status import report
from paas_runner.status.report import to_data
from paas_runner.status.views import JobExplanation

log = structlog.stdlib.get_logger(__name__)

_TOKENS_EVERY = timedelta(days=1)


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

    def now(self) -> report.StatusReport:
        """Everything as it is now."""
        view = self.dispatcher.view
        return report.StatusReport(
            at=self.clock(),
            service=report.ServiceReport(
                state=_service_state(view),
                version=__version__,
                state_file=self.state_file,
                pid=os.getpid(),
                since=self.since,
                trouble=_trouble(view),
            ),
            capacity=report.capacity(view.load),
            runners=[self._runner(view, key, name) for key, name in _names(view).items()],
            jobs=self._jobs(view),
            counters=self.counters.numbers,
            looks=_looks(view),
        )

    def explain(self, job_id: object) -> Sequence[JobExplanation]:
        """Each tracked job with that id: its report and its history."""
        view = self.dispatcher.view
        histories = {record.key: describe_history(record.history) for record in view.jobs}
        return [
            JobExplanation(at=self.clock(), key=job.key, job=job, history=histories[job.key])
            for job in self._jobs(view)
            if job.job == job_id
        ]

    def log(self) -> report.StatusReport:
        """The report in the log: a line for the service, one for each runner, one for each job."""
        found = self.now()
        log.warning("service_state", **to_data(found.service), **to_data(found.capacity), **found.counters)
        for runner in found.runners:
            log.warning("runner_state", **to_data(runner))
        for job in found.jobs:
            log.warning("job_state", **to_data(job))
        return found

    def _runner(self, view: DispatchView, key: str, name: str) -> report.RunnerReport:
        state, why, until = _runner_state(view, key)
        jobs = sum(job.key.runner == key for job in view.jobs)
        why = why or self.notices().get(key, "")
        return report.RunnerReport(name=name, runner=key, state=state, why=why, until=until, jobs=jobs)

    def _jobs(self, view: DispatchView) -> Sequence[report.JobReport]:
        blocked = "the service is stopping: it goes on at the next start" if view.stopping else ""
        return report.jobs(
            view.jobs,
            self.clock(),
            names=_names(view),
            policies=view.policies,
            no_room={job.key: view.load.why_it_waits(job) for job in view.load.recent},
            blocked=blocked,
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


def _names(view: DispatchView) -> Mapping[str, str]:
    """Of the runners in service first, then of those on their way out."""
    return {**view.runners, **view.leaving}


def _service_state(view: DispatchView) -> report.ServiceState:
    if view.stopping:
        return report.ServiceState.STOPPING
    return report.ServiceState.DRAINING if view.draining else report.ServiceState.RUNNING


def _trouble(view: DispatchView) -> str:
    reasons = sorted(set(view.refused.values()))
    return f"the records cannot be written: {'; '.join(reasons)}" if reasons else ""


def _runner_state(view: DispatchView, key: str) -> tuple[report.RunnerState, str, datetime | None]:
    if view.stopping or view.draining:
        return report.RunnerState.DRAINING, "the service takes no more jobs", None
    if key in view.leaving:
        why = "no longer in the configuration: its jobs run to their end"
        return report.RunnerState.DRAINING, why, None
    obstacle = attrs.evolve(view.load, reservations=()).obstacle(key)
    if obstacle and obstacle.bound is Bound.PAUSED:
        return report.RunnerState.PAUSED, obstacle.text, None
    if waiting := [job.job_id for job in view.refused if job.runner == key]:
        why = f"asks for no job before the record of job {min(waiting)} can be written"
        return report.RunnerState.BACKING_OFF, why, None
    if backoff := view.backoffs.get(key):
        return report.RunnerState.BACKING_OFF, backoff.why, backoff.until
    if obstacle and obstacle.bound is Bound.CREDENTIALS:
        return report.RunnerState.BACKING_OFF, obstacle.text, None
    if obstacle:
        return report.RunnerState.NO_ROOM, obstacle.text, None
    return report.RunnerState.POLLING, "", None
