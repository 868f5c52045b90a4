"""From the coordinator's answer to the durable record: between the two there is nothing but the record."""

import math
from collections.abc import Callable
from datetime import datetime

import structlog

from paas_runner.dispatch.records import Records
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.view import Observer
from paas_runner.executor.contract import JobRefusedError
from paas_runner.executor.optional import tenant_of, weight_of
from paas_runner.job.capacity import Reservation
from paas_runner.job.failure import Failure, FailureReason
from paas_runner.job.lifecycle import acquired, acquired_undecodable
from paas_runner.job.payload import Payload, PayloadError, decode
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import Clock

log = structlog.stdlib.get_logger(__name__)

_HOST_UNDECIDED = Failure(
    reason=FailureReason.SYSTEM,
    text="The runner could not make out which host this job needs. The operators of this runner can help.",
)


class Intake:
    """Takes in what one runner is handed."""

    def __init__(
        self,
        runner: ActiveRunner,
        *,
        registry: Registry,
        records: Records,
        start: Callable[[TrackedJob], None],
        clock: Clock,
        observer: Observer | None = None,
    ) -> None:
        """`start` gets each job that was recorded."""
        self._runner = runner
        self._registry = registry
        self._records = records
        self._start = start
        self._clock = clock
        self._observer = observer or Observer()

    async def take(self, body: bytes, reservation: Reservation, asked_at: datetime) -> str:
        """Why it is no job to begin with; empty for one that has begun."""
        now = self._clock()
        try:
            job = self._first_record(decode(body), reservation.most_weight, now)
        except PayloadError as error:
            log.error("job_unreadable", reason=error.why, job=error.job_id)
            if error.job_id is None or error.token is None:
                return f"the coordinator handed out what is no job: {error.why}"
            job = acquired_undecodable(self._runner.key, error.job_id, error.token, now)
        if job.key in self._registry:
            log.warning("job_handed_out_again", job=job.key.job_id)
            return f"the coordinator handed out job {job.key.job_id} again, which is tracked already"
        self._registry.fulfil(reservation)
        job, recorded = await self._recorded(job)
        log.info(
            "job_acquired",
            runner=self._runner.name,
            job=job.key.job_id,
            phase=str(job.phase),
            name=job.payload.job_name if job.payload else "",
            recorded=recorded,
        )
        if recorded:  # else nothing is done, or said, about it: it is on no disk, or another process's
            self._observer.job_granted(job, asked_at, self._runner.coordinator_url)
            self._observer.job_changed(job, None, None)
            self._start(job)
        return ""

    async def _recorded(self, job: TrackedJob) -> tuple[TrackedJob, bool]:
        """The record, and whether it is on the disk; what cannot be recorded is recorded to be failed."""
        try:
            return job, await self._records.add(job)
        except Exception:
            log.exception("job_reading_error", job=job.key.job_id)
            self._runner.counters.count_unforeseen()
            bare = acquired_undecodable(self._runner.key, job.key.job_id, job.token, job.acquired_at)
        try:
            return bare, await self._records.add(bare)
        except Exception:
            self._registry.remove(bare.key)
            raise

    def _first_record(self, payload: Payload, most_weight: float, now: datetime) -> TrackedJob:
        """With all that the executor makes of the payload; a job that it refuses is recorded to be failed."""
        executor, key = self._runner.executor, self._runner.key
        try:
            tenant = tenant_of(executor, payload)
            weight = None if math.isinf(most_weight) else weight_of(executor, payload, most=most_weight)
        except JobRefusedError as refused:
            return acquired(key, payload, now, failure=refused.failure.masked(payload.variables))
        except Exception:
            # the job is ours: whatever an executor does wrong, its author must hear of it
            log.exception("job_reading_error", job=payload.job_id)
            self._runner.counters.count_unforeseen()
            return acquired(key, payload, now, failure=_HOST_UNDECIDED)
        start_due = self._registry.planned_start(now)
        return acquired(key, payload, now, tenant=tenant, expected_weight=weight, start_due=start_due)
