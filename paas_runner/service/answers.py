"""The report of the running service, and its answers to who asks.

What a command may ask of the running service to change it, as questions on the control socket.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import structlog

from paas_runner import __version__
from paas_runner.control import Handler
from paas_runner.dispatch import Dispatcher
from paas_runner.job.capacity import Bound
from paas_runner.job.wording import describe_history
from paas_runner.loop.timing import Clock
from paas_runner.service.drain import Drain
from paas_runner.service.reload import Configuration, NotDoneError
from paas_runner.status import report
from paas_runner.status.report import to_data
from paas_runner.status.views import Explanation

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True)
class Status:
    """How this process is; looks at the dispatcher's memory, and only when asked."""

    dispatcher: Dispatcher
    clock: Clock
    since: datetime
    state_file: Path

    @property
    def answers(self) -> Mapping[str, Handler]:
        """By question: `status`, `explain` (the jobs with the id `"job"`), `dump` (into the log)."""
        return {"status": self._status, "explain": self._explain, "dump": self._dump}

    async def _status(self, _request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """The whole report."""
        yield to_data(self.now())

    async def _explain(self, request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """Each tracked job with the id `job`: its report and its history."""
        histories = {record.key: describe_history(record.history) for record in self.dispatcher.jobs}
        for job in self._jobs:
            if job.job == request.get("job"):
                yield to_data(Explanation(at=self.clock(), key=job.key, job=job, history=histories[job.key]))

    async def _dump(self, _request: Mapping[str, Any]) -> AsyncIterator[Mapping[str, Any]]:
        """The report in the log: a line for the service, one for each runner, one for each job."""
        found = self.now()
        log.warning("state", **to_data(found.service), **to_data(found.capacity))
        for runner in found.runners:
            log.warning("state of a runner", **to_data(runner))
        for job in found.jobs:
            log.warning("state of a job", **to_data(job))
        yield {"jobs": len(found.jobs)}

    def now(self) -> report.StatusReport:
        """Everything as it is now."""
        return report.StatusReport(
            at=self.clock(),
            service=report.ServiceReport(
                state=self._state,
                version=__version__,
                state_file=self.state_file,
                pid=os.getpid(),
                since=self.since,
            ),
            capacity=report.capacity(self.dispatcher.load),
            runners=[self._runner(key, name) for key, name in self._names.items()],
            jobs=self._jobs,
        )

    @property
    def _state(self) -> report.ServiceState:
        if self.dispatcher.stopping:
            return report.ServiceState.STOPPING
        return report.ServiceState.DRAINING if self.dispatcher.draining else report.ServiceState.RUNNING

    @property
    def _names(self) -> Mapping[str, str]:
        """Of those in service first, then of those on their way out."""
        return {**self.dispatcher.settings.names, **self.dispatcher.leaving}

    @property
    def _jobs(self) -> Sequence[report.JobReport]:
        blocked = "the service is stopping: it goes on at the next start" if self.dispatcher.stopping else ""
        return report.jobs(
            self.dispatcher.jobs,
            self.clock(),
            names=self._names,
            policies=self.dispatcher.policies,
            blocked=blocked,
        )

    def _runner(self, key: str, name: str) -> report.RunnerReport:
        state, why, until = self._standing(key)
        jobs = sum(job.key.runner == key for job in self.dispatcher.jobs)
        return report.RunnerReport(name=name, runner=key, state=state, why=why, until=until, jobs=jobs)

    def _standing(self, key: str) -> tuple[report.RunnerState, str, datetime | None]:
        if self.dispatcher.stopping or self.dispatcher.draining:
            return report.RunnerState.DRAINING, "the service takes no more jobs", None
        if key in self.dispatcher.leaving:
            why = "no longer in the configuration: its jobs run to their end"
            return report.RunnerState.DRAINING, why, None
        obstacle = attrs.evolve(self.dispatcher.load, asking=()).obstacle(key)
        if obstacle and obstacle.bound is Bound.PAUSED:
            return report.RunnerState.PAUSED, obstacle.text, None
        if absence := self.dispatcher.absences.get(key):
            return report.RunnerState.BACKING_OFF, absence.why, absence.until
        if obstacle:
            return report.RunnerState.NO_ROOM, obstacle.text, None
        return report.RunnerState.POLLING, "", None


Part = Mapping[str, Any]


def answers(configuration: Configuration, drain: Drain) -> Mapping[str, Handler]:
    """By question: `reload`, `drain` (`"wait": true` until its end), `pause` and `resume` (a `"runner"`)."""

    async def reload(_request: Part) -> AsyncIterator[Part]:
        yield attrs.asdict(await configuration.reload())

    async def begin_drain(request: Part) -> AsyncIterator[Part]:
        drain.begin()
        if request.get("wait"):
            async for part in drain.progress():
                yield part

    return {
        "reload": reload,
        "drain": begin_drain,
        "pause": _about_a_runner(configuration.pause),
        "resume": _about_a_runner(configuration.resume),
    }


def _about_a_runner(change: Callable[[str], Awaitable[str]]) -> Handler:
    async def answer(request: Part) -> AsyncIterator[Part]:
        name = request.get("runner")
        if not isinstance(name, str):
            raise NotDoneError('which runner? {"runner": "its name or short token"}')
        yield {"runner": await change(name)}

    return answer
