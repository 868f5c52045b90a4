"""What is counted and measured as it happens: jobs and their phases, calls, writes. The ports tell it.

An observer neither waits nor fails: here are only additions to numbers in memory.
"""

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from paas_runner.dispatch.view import Observer, served_job, served_runner
from paas_runner.http import Exchange
from paas_runner.job.events import Ended, Event, Failed, HostReused
from paas_runner.job.failure import FailureReason
from paas_runner.job.standing import PARTINGS, parting_of
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.metrics.labels import RUNNER, Labels, api_status, endpoint, jobs_of_the_project, status_class

JOB_SECONDS = (30, 60, 300, 600, 1800, 3600, 7200, 10800, 18000, 36000)
"""GitLab Runner's buckets."""

QUEUE_SECONDS = (1, 3, 10, 30, 60, 120, 300, 900, 1800, 3600)
PHASE_SECONDS = (0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 900, 3600, 14400)
CALL_SECONDS = (0.025, 0.1, 0.25, 1, 2.5, 10, 30, 60)
WRITE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10)

Exemplar = dict[str, str] | None


PHASES = tuple(phase for phase in Phase if phase is not Phase.GONE)
"""Those in which a record can be found."""

OF_JOBS = tuple(phase for phase in PHASES if phase is not Phase.STANDBY)
"""Those in which a job is: of a record on standby only the host is left."""

BEFORE_THE_RUN = (Phase.ACQUIRED, Phase.PROVISIONING, Phase.PROVISIONED, Phase.LAUNCHING, Phase.LAUNCHED)


class Happenings(Observer):
    """Counters and histograms; what a runner is called `name_of` tells by its key."""

    def __init__(
        self,
        registry: CollectorRegistry,
        labels: Labels,
        *,
        name_of: Callable[[str], str],
        exemplars: Callable[[], bool],
    ) -> None:
        self._labels = labels
        self._name_of = name_of
        self._exemplars = exemplars

        def counter(name: str, text: str, *names: str) -> Counter:
            return Counter(name, text, names, registry=registry)

        def histogram(name: str, text: str, *names: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(name, text, names, registry=registry, buckets=buckets)

        self._jobs = counter("gitlab_runner_jobs", "Jobs acquired.", *RUNNER)
        self._durations = histogram(
            "gitlab_runner_job_duration_seconds",
            "From the acquisition of a job to its end.",
            *RUNNER,
            buckets=JOB_SECONDS,
        )
        self._queued = histogram(
            "gitlab_runner_job_queue_duration_seconds",
            "How long a job had waited at its coordinator, as that says.",
            *RUNNER,
            "project_jobs_running",
            buckets=QUEUE_SECONDS,
        )
        self._api_statuses = counter(
            "gitlab_runner_api_request_statuses",
            "Answers of coordinators.",
            *RUNNER,
            "endpoint",
            "status",
            "method",
        )
        self._phases = histogram(
            "paas_runner_phase_seconds",
            "How long jobs were in a phase that they have left.",
            "phase",
            buckets=PHASE_SECONDS,
        )
        self._failed = counter(
            "paas_runner_failed_jobs",
            "Jobs that the service has reported failed, by the phase in which they were.",
            *RUNNER,
            "phase",
            "failure_reason",
        )
        self._reused = counter(
            "paas_runner_hosts_reused", "Jobs that were given a host of another one.", *RUNNER
        )
        self._let_go = counter(
            "paas_runner_hosts_let_go",
            "Hosts that could have been used again and go instead, by reason.",
            "reason",
        )
        for reason in PARTINGS:
            self._let_go.labels(reason)
        self._calls = counter(
            "paas_runner_calls",
            "Attempts of calls to coordinators, clouds and git servers.",
            "service",
            "operation",
            "status_class",
        )
        self._call_seconds = histogram(
            "paas_runner_call_seconds",
            "How long an attempt of a call took, whatever came of it.",
            "service",
            "operation",
            buckets=CALL_SECONDS,
        )
        self._retries = counter(
            "paas_runner_call_retries", "Attempts after the first one of a call.", "service", "operation"
        )
        self._writes = counter(
            "paas_runner_store_writes", "Records written or refused by the disk.", "result"
        )
        for result in ("written", "refused"):
            self._writes.labels(result)
        for phase in PHASES:
            self._phases.labels(phase)
        self._write_seconds = histogram(
            "paas_runner_store_write_seconds",
            "How long a record took to the disk and back.",
            buckets=WRITE_SECONDS,
        )

    def expect(self, runners: Mapping[str, str]) -> None:
        """Begin with 0 for runners by key and name: what is first seen as 1 has not grown, for Prometheus."""
        for key, name in runners.items():
            runner = self._labels.runner(key, name)
            self._jobs.labels(*runner)
            self._durations.labels(*runner)
            self._reused.labels(*runner)
            for phase in BEFORE_THE_RUN:
                self._failed.labels(*runner, phase, FailureReason.SYSTEM)

    # --- Observer ----------------------------------------------------------------------------------------

    def job_changed(self, job: TrackedJob, event: Event | None, before: TrackedJob | None) -> None:
        runner = self._labels.runner(job.key.runner, self._name_of(job.key.runner))
        if before is None:
            self._jobs.labels(*runner).inc()
            self._note_queue(job, runner)
            return
        if parting := parting_of(event):
            self._let_go.labels(parting).inc()
        if job.phase is before.phase:
            return
        exemplar = self._exemplar(job)
        self._phases.labels(before.phase).observe(_seconds(before.since, job.since), exemplar)
        if isinstance(event, HostReused):
            self._reused.labels(*runner).inc()
        if isinstance(event, Failed):
            self._failed.labels(*runner, before.phase, event.failure.reason).inc()
        if job.failed_or_over and not before.failed_or_over and isinstance(event, Ended | Failed):
            self._durations.labels(*runner).observe(_seconds(job.acquired_at, job.since), exemplar)

    def record_written(self, seconds: float, *, refused: bool) -> None:
        self._writes.labels("refused" if refused else "written").inc()
        self._write_seconds.observe(seconds)

    # --- calls -------------------------------------------------------------------------------------------

    def called(self, exchange: Exchange) -> None:
        """As `Exchanges` tells it."""
        status = exchange.answer.status if exchange.answer else None
        service, operation = self._labels.service(exchange), self._labels.operation(exchange)
        self._calls.labels(service, operation, status_class(status)).inc()
        self._call_seconds.labels(service, operation).observe(exchange.seconds)
        if exchange.attempt > 1:
            self._retries.labels(service, operation).inc()
        job = served_job.get()
        key = job.runner if job else served_runner.get()
        if key and status is not None and (asked := endpoint(exchange)):
            runner = self._labels.runner(key, self._name_of(key))
            self._api_statuses.labels(*runner, asked, api_status(status), exchange.method).inc()

    # --- details -----------------------------------------------------------------------------------------

    def _exemplar(self, job: TrackedJob) -> Exemplar:
        """Only where it is asked for: an id in each bucket, the newest."""
        return {"job_id": str(job.key.job_id)} if self._exemplars() else None

    def _note_queue(self, job: TrackedJob, runner: tuple[str, str, str]) -> None:
        info: Any = job.payload.raw.get("job_info") if job.payload else None
        if not isinstance(info, Mapping):
            return
        waited = info.get("time_in_queue_seconds")
        if isinstance(waited, int | float) and not isinstance(waited, bool) and math.isfinite(waited):
            running = jobs_of_the_project(info.get("project_jobs_running_on_instance_runners_count"))
            seconds = min(max(float(waited), 0.0), 1e9)
            self._queued.labels(*runner, running).observe(seconds, self._exemplar(job))


def _seconds(since: datetime, until: datetime) -> float:
    """0 where the clock went back between two lives of the service: a sum that shrinks is a new process."""
    return max(0.0, (until - since).total_seconds())
