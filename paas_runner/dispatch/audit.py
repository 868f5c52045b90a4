"""Whether all that a coordinator handed out to a runner has arrived: what was lost on the way is found.

A kill between the coordinator's answer and the durable record leaves a job that nobody runs. The
coordinator's own list shows it, and where the operator has given a token for that, it is canceled and
retried. That is begun only with a job of which nothing was known at two looks, that is this machine's beyond
doubt, and into whose log nobody has written; it is on the disk before it is begun, so that a kill in between
leaves nothing half done, and no job is retried twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from structlog.contextvars import bound_contextvars

from paas_runner.coordinator.protocol import Auditor
from paas_runner.dispatch.counters import CounterName
from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import ActiveRunner
from paas_runner.dispatch.tenure import SOLE, Tenure
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.job.audit import APART, BelievedJob, compare, owed_as_text, owed_from_text
from paas_runner.loop.timing import Clock, sleep
from paas_runner.store import Store, StoreError

log = structlog.stdlib.get_logger(__name__)

FIRST_AFTER = timedelta(seconds=15)
SETTLING = timedelta(seconds=1)
"""Before each look: a process that stood still takes in first what has come meanwhile."""

MOST_AT_ONCE = 10  # canceled and retried after one look: whatever went wrong, there is time to see it


class Audit:
    """One runner's looks; a coordinator that hangs delays no other runner's."""

    def __init__(
        self,
        runner: ActiveRunner,
        auditor: Auditor,
        *,
        registry: Registry,
        store: Store,
        clock: Clock,
        tenure: Tenure = SOLE,
    ) -> None:
        self._runner = runner
        self._auditor = auditor
        self._registry = registry
        self._store = store
        self._clock = clock
        self._tenure = tenure
        self._unknown: dict[int, datetime] = {}
        self._told: frozenset[int] = frozenset()
        self._left: set[int] = set()
        self._complaints: set[str] = set()

    async def run(self) -> None:
        """For ever; a shutdown cancels it anywhere: the next start goes on with what was begun."""
        every = self._runner.audit_every
        with bound_contextvars(runner=self._runner.name):
            await sleep(min(FIRST_AFTER, every))
            while True:
                try:
                    await self.look()
                except (RemoteError, StoreError) as error:
                    self._complain(error)
                except Exception:
                    # the next look may go better; jobs and other runners do not depend on it
                    log.exception("audit_error")
                    self._runner.counters.count_unforeseen()
                undecided = self._unknown.keys() - self._told
                await sleep(min(APART, every) if undecided else every)
                await sleep(SETTLING)

    async def look(self) -> None:
        """Once; raises `RemoteError` and `StoreError`."""
        if self._auditor.cancels:
            await self._go_on()
        believed = await self._auditor.running()
        if not believed.complete and self._is_new("cut"):
            log.warning("audit_cut", jobs=len(believed.jobs))
        listed = {job.job_id for job in believed.jobs}
        known = await self._known(listed)
        found = compare(believed.jobs, known, self._unknown, self._clock())
        self._unknown = {**found.unknown}
        new = [job for job in found.lost if job.job_id not in self._told]
        self._told = (self._told | {job.job_id for job in new}) & found.unknown.keys()
        for job in new:
            self._runner.counters.count(CounterName.JOBS_LOST, "job_lost", job=job.job_id)
        self._left &= listed
        if self._auditor.cancels:
            await self._put_all_right(found.lost)
        self._complaints -= {"refused", "failed"}

    async def _known(self, listed: set[int]) -> frozenset[int]:
        """The jobs of which anything is known; those of the disk may have come by another process."""
        key = self._runner.key
        ours = {job.key.job_id for job in self._registry.jobs if job.key.runner == key}
        if listed <= ours:
            return frozenset(ours)
        over = {ended.job_id for ended in await self._store.ended() if ended.runner == key}
        stored = {job.key.job_id for job in await self._store.jobs() if job.key.runner == key}
        since = {job.key.job_id for job in self._registry.jobs if job.key.runner == key}
        return frozenset(ours | over | stored | since)

    # --- putting right -------------------------------------------------------------------------------------

    async def _go_on(self) -> None:
        """With what was begun, maybe by another process, and was cut off or could not be done."""
        for job in await self._owed():
            await self._tenure.confirm(self._runner.key)
            try:
                await self._put_right(job)
            except Transient as error:
                self._complain(error)

    async def _put_all_right(self, lost: Sequence[BelievedJob]) -> None:
        """Those first that were not left already: what kept them back may be over."""
        if not lost:
            return
        if not await self._auditor.tells_machines_apart():
            if self._is_new("unsure"):
                log.warning("audit_unsure", jobs=[job.job_id for job in lost[:MOST_AT_ONCE]])
            return
        for job in sorted(lost, key=lambda job: job.job_id in self._left)[:MOST_AT_ONCE]:
            owed = await self._owed()
            if job in owed:
                continue
            if why := await self._why_not(job):
                self._leave(job, why)
                continue
            await self._tenure.confirm(self._runner.key)
            await self._store.keep_owed(self._runner.key, owed_as_text([*owed, job]))
            await self._put_right(job)

    async def _why_not(self, job: BelievedJob) -> str:
        """Empty where nothing speaks against it."""
        if job.project_id is None:
            return "the coordinator does not say of which project it is"
        try:
            return "somebody has written its log" if await self._auditor.has_log(job) else ""
        except Rejected as error:
            return str(error)

    async def _put_right(self, job: BelievedJob) -> None:
        """Cancel and retry; all of it may be repeated. What is transient is for the next look."""
        try:
            status = await self._canceled(job)
        except Rejected as error:
            self._leave(job, str(error))
            done = error.status in (403, 404)  # as for an earlier try that had no answer; else it is owed
        else:
            if status in ("canceled", "canceling"):
                done = await self._retried(job, status)
            else:
                self._leave(job, f"the coordinator did not cancel it: its status is {status[:40]!r}")
                done = True
        if done:
            left = [each for each in await self._owed() if each.job_id != job.job_id]
            await self._store.keep_owed(self._runner.key, owed_as_text(left))

    async def _canceled(self, job: BelievedJob) -> str:
        """Its status then; nobody is there who could wind it down."""
        status = await self._auditor.cancel(job)
        if status != "canceling":
            return status
        try:
            return await self._auditor.cancel(job, force=True)
        except Rejected:  # that takes a maintainer
            return status

    async def _retried(self, job: BelievedJob, status: str) -> bool:
        """Whether nothing is left to do; what is still canceling may be retried later."""
        try:
            again = await self._auditor.retry(job)
        except Rejected as error:
            self._leave(job, str(error))
            return error.status == 404 or (error.status == 403 and status == "canceled")
        log.info("lost_job_retried", job=job.job_id, retried_as=again)
        return True

    async def _owed(self) -> Sequence[BelievedJob]:
        return owed_from_text(await self._store.owed(self._runner.key))

    # --- words ---------------------------------------------------------------------------------------------

    def _leave(self, job: BelievedJob, why: str) -> None:
        """For now; said once, as long as it is listed."""
        if job.job_id not in self._left:
            log.warning("lost_job_left", job=job.job_id, reason=why)
        self._left.add(job.job_id)

    def _complain(self, error: RemoteError | StoreError) -> None:
        """Once for each reason, until a look succeeds."""
        if isinstance(error, Rejected):
            if self._is_new("refused"):
                log.warning("audit_refused", reason=str(error))
        elif self._is_new("failed"):
            log.warning("audit_failed", reason=str(error))

    def _is_new(self, complaint: str) -> bool:
        """Whether it was not made before; it is from now on."""
        new = complaint not in self._complaints
        self._complaints.add(complaint)
        return new
