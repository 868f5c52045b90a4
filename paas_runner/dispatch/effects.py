"""What each action does in the outside world, and the event that comes of it.

Every action ends in an event, foreseeable failures included: what failed for good fails the job, what may
work later is put off. Nothing is recorded here; the caller has recorded the intent before.
"""

import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

import attrs
import structlog

from paas_runner import __version__
from paas_runner.coordinator.protocol import JobStatus
from paas_runner.dispatch.counters import CounterName
from paas_runner.dispatch.habits import ALIVE, READY
from paas_runner.dispatch.served import Account, ActiveRunner
from paas_runner.dispatch.uses import is_worth_asking, use_told
from paas_runner.errors import Rejected, RemoteError, Transient
from paas_runner.executor.contract import (
    HostRequest,
    JobRefusedError,
    NoAccountError,
    ProvisionedHost,
    Removal,
)
from paas_runner.executor.optional import foresee, release_of, renewal_of, silence_of, trouble_of
from paas_runner.job.decision import CANCELED, Action, no_life
from paas_runner.job.events import (
    Checked,
    Decommissioned,
    Deferred,
    Ended,
    Event,
    Explained,
    Failed,
    HostChecked,
    HostCreated,
    HostReady,
    HostReleased,
    HostRenewed,
    HostUnfit,
    Launched,
    LifeSeen,
    NotYet,
    Reported,
    StandbyOver,
    Unchecked,
)
from paas_runner.job.failure import Failure, FailureReason, as_trace, call_facts
from paas_runner.job.masks import masked
from paas_runner.job.pace import FIRST_LIFE, READINESS, Pace
from paas_runner.job.standing import Parting
from paas_runner.job.tracked import JobKey, Phase, TrackedJob
from paas_runner.job.use import Use
from paas_runner.loop.timing import LONGEST_OUTAGE_BACKOFF, Clock, backoff

E = TypeVar("E")

log = structlog.stdlib.get_logger(__name__)

AFTER_A_BUG_SECONDS = 60.0
_LONGEST_FINISHING_BACKOFF = timedelta(minutes=5)  # reports and removals are never given up
_ACCOUNT_REFUSED = (401, 403)

_YOUNG = timedelta(minutes=1)

_PREPARING = frozenset({Action.PROVISION, Action.ADOPT, Action.CHECK_READY, Action.LAUNCH})
LOOKS = frozenset({Action.LOOK_FOR_LIFE, Action.CHECK_STATUS, Action.CHECK_HOST})
"""What is made for its answer alone and can wait: it is within the budget of looks."""
_FINISHING = frozenset({Action.EXPLAIN, Action.REPORT, Action.DECOMMISSION})
_SIDE_CHECKS = frozenset({Action.TOUCH, Action.CHECK_HOST})  # their failure holds up nothing else


@attrs.frozen(kw_only=True)
class Effects:
    """The actions for one job."""

    runner: ActiveRunner
    clock: Clock
    rng: random.Random
    account: Account = attrs.field(factory=Account)
    """Is told whether the provider takes the credentials of the runner."""
    kind: str = ""
    """The job's, for the runner's habits; empty when it is not known."""
    stretch: Callable[[], float] = lambda: 1.0
    """How many times rarer looks are than the policy says."""

    missed: Counter[Action] = attrs.field(factory=Counter)
    """How often in a row each side check has failed: no record counts that."""

    uses: dict[JobKey, Use | None] = attrs.field(factory=dict)
    """What was learned of that, asked once: a host may have to be removed more than once."""

    async def perform(self, action: Action, job: TrackedJob) -> Event:
        return await self._event(action, job, self._verb(action)(job))

    async def foresee(self, job: TrackedJob) -> Event | None:
        """Why no host can be had for the job now; nothing is made yet, and nothing has to be recorded."""
        return await self._event(Action.PROVISION, job, foresee(self.runner.executor, self.host_request(job)))

    async def _event(self, action: Action, job: TrackedJob, call: Awaitable[E]) -> E | Event:
        """What comes of the call; what nobody foresaw counts as one more try in vain."""
        try:
            event = await call
        except JobRefusedError as refused:
            return _failed(refused.failure, job, action)
        except Rejected as error:
            if action in _PREPARING and not job.tenant and error.status in _ACCOUNT_REFUSED:
                self.account.refused(masked(str(error), job.hidden))
                return self._later(action, job, error)
            if action in _PREPARING:
                return _failed(_system_failure(error, job, self.clock()), job, action)
            return self._later(action, job, error)
        except Transient as error:
            return self._later(action, job, error)
        except Exception as error:
            log.exception("job_error")
            self.runner.counters.count_unforeseen()
            return self._later(action, job, _unforeseen(error, action))
        else:
            self.missed[action] = 0
            return event

    def _verb(self, action: Action) -> Callable[[TrackedJob], Awaitable[Event]]:
        """All but `REUSE`, which changes two records at once (`reuse.py`)."""
        verbs = {
            Action.PROVISION: self._provision,
            Action.ADOPT: self._adopt,
            Action.CHECK_READY: self._check_ready,
            Action.TOUCH: self._touch,
            Action.LAUNCH: self._launch,
            Action.LOOK_FOR_LIFE: self._look_for_life,
            Action.CHECK_STATUS: self._check_status,
            Action.CHECK_HOST: self._check_host,
            Action.GIVE_UP_WAITING: self._give_up_waiting,
            Action.EXPLAIN: self._explain,
            Action.REPORT: self._report,
            Action.RELEASE: self._release,
            Action.RENEW: self._renew,
            Action.DECOMMISSION: self._decommission,
        }
        return verbs[action]

    # --- the host ----------------------------------------------------------------------------------------

    async def _provision(self, job: TrackedJob) -> Event:
        host = await self.runner.executor.provision(self.host_request(job))
        self.account.accepted()
        policy, usual = self.runner.policy, self.runner.habits.usual(READY)
        pause = READINESS.first(longest=policy.ready_every, usual=usual)
        return HostCreated(host=host, doubtful=False, until=self._after(pause) if pause else None)

    async def _adopt(self, job: TrackedJob) -> Event:
        """An earlier request for this host may have been served, even if its answer was lost."""
        request = self.host_request(job)
        host = await self.runner.executor.adopt(request)
        if host:
            self.runner.counters.count(
                CounterName.DUPLICATES_PREVENTED,
                "host_found_again",
                host=host.ref,
            )
        host = host or await self.runner.executor.provision(request)
        self.account.accepted()
        return HostCreated(host=host, doubtful=True)

    async def _check_ready(self, job: TrackedJob) -> Event:
        age = self.clock() - (job.host_since or job.since)
        if found := await self.runner.executor.ready(_provisioned(job)):
            self.runner.habits.note(READY, age)
            return HostReady(host=None if found is True else found)
        return NotYet(until=self._looked_for(READINESS, age))

    async def _launch(self, job: TrackedJob) -> Event:
        await self.runner.executor.launch(self.host_request(job), _provisioned(job).host)
        return Launched(until=self._looked_for(FIRST_LIFE, timedelta()), usual_life=self._usual_life)

    async def _check_host(self, job: TrackedJob) -> Event:
        """The coordinator has the last word: the host of a job that has just ended may be gone."""
        trouble = await trouble_of(self.runner.executor, _provisioned(job))
        if trouble is None:
            # counted from the look at a running job that it followed: so each second one is followed again
            looked_at = job.checked_at if job.phase is Phase.RUNNING else self.clock()
            return HostChecked(until=looked_at + self.stretch() * self.runner.policy.host_every)
        if await self.runner.coordinator.status(job.key.job_id, job.token) is JobStatus.ENDED:
            return Ended()
        return _failed(Failure(reason=FailureReason.SYSTEM, text=trouble), job)

    async def _give_up_waiting(self, job: TrackedJob) -> Event:
        """The decision stands: what cannot be found out now is left out of the account."""
        try:
            account = await silence_of(self.runner.executor, _provisioned(job))
        except RemoteError as error:
            log.info("host_account_unavailable", reason=masked(str(error), job.hidden))
            account = _call_facts(error, job, self.clock())
        except Exception:
            log.exception("job_error")
            account = None
        return _failed(no_life(self.runner.policy, account), job)

    async def _release(self, job: TrackedJob) -> Event:
        provisioned = _provisioned(job)
        use = await self._use(job)
        lease = await release_of(self.runner.executor, provisioned)
        if lease is None:
            return HostUnfit()
        until = self._after(self.runner.policy.standby_of(provisioned.host))
        return HostReleased(until=until, lease=lease, use=use)

    async def _renew(self, job: TrackedJob) -> Event:
        lease = await renewal_of(self.runner.executor, _provisioned(job))
        return StandbyOver(why=Parting.REFUSED) if lease is None else HostRenewed(lease=lease)

    async def _decommission(self, job: TrackedJob) -> Event:
        search = job.host is None or job.host_doubtful
        removal = Removal(
            name=job.host_name,
            tenant=job.tenant,
            namespace_id=job.namespace_id,
            host=job.host,
            search=search,
        )
        use = job.use or await self._use(job)
        await self.runner.executor.decommission(removal)
        return Decommissioned(use=use)

    async def _use(self, job: TrackedJob) -> Use | None:
        if job.key not in self.uses and is_worth_asking(job, self.clock(), self.runner.habits):
            self.uses[job.key] = None
            self.uses[job.key] = await use_told(self.runner, _provisioned(job))
        return self.uses.get(job.key)

    def host_request(self, job: TrackedJob) -> HostRequest:
        """What an executor learns of a job that wants a host."""
        if job.payload is None:
            raise RuntimeError(f"job {job.key} has no payload while {job.phase}")
        return HostRequest(
            host_name=job.host_name,
            payload=job.payload,
            tenant=job.tenant,
            most_weight=math.inf if job.expected_weight is None else job.expected_weight,
            trace=self.runner.trace_of(job),
            attempt=job.attempts,
        )

    # --- the coordinator ---------------------------------------------------------------------------------

    async def _touch(self, job: TrackedJob) -> Event:
        return _checked(await self.runner.coordinator.touch(job.key.job_id, job.token))

    async def _check_status(self, job: TrackedJob) -> Event:
        """A young job by an update, whose answer alone shows its end.

        Not an older one: each update is a sign of life to the coordinator, and would hide a host that hangs.
        """
        young = self.clock() - job.entered.get(Phase.LAUNCHED, job.since) < _YOUNG
        ask = self.runner.coordinator.touch if young else self.runner.coordinator.status
        event = _checked(await ask(job.key.job_id, job.token), self._usual_life)
        if isinstance(event, Ended):
            self._note_life(job)
        return event

    async def _look_for_life(self, job: TrackedJob) -> Event:
        age = self.clock() - job.since
        trace = await self.runner.coordinator.trace_state(job.key.job_id, job.token)
        if trace.size:
            self.runner.habits.note(ALIVE, age)
            return LifeSeen()
        status = trace.status
        if status is JobStatus.ENDED and not trace.sure:
            status = await self.runner.coordinator.status(job.key.job_id, job.token)
        if status is JobStatus.ENDED:
            self._note_life(job)
            return Ended()
        if status is JobStatus.CANCELING:
            return Failed(failure=CANCELED)
        return NotYet(until=self._looked_for(FIRST_LIFE, age))

    async def _explain(self, job: TrackedJob) -> Event:
        text = as_trace(_failure(job), runner=self.runner.name, version=__version__)
        begun = Phase.RUNNING in job.entered
        await self.runner.coordinator.append_trace(job.key.job_id, job.token, text, begun=begun)
        return Explained()

    async def _report(self, job: TrackedJob) -> Event:
        await self.runner.coordinator.report_failed(job.key.job_id, job.token, _failure(job))
        return Reported()

    # --- when it did not work ----------------------------------------------------------------------------

    def _later(self, action: Action, job: TrackedJob, error: RemoteError) -> Event:
        longest = _LONGEST_FINISHING_BACKOFF if action in _FINISHING else LONGEST_OUTAGE_BACKOFF
        attempts = self.missed[action] if action in _SIDE_CHECKS else job.attempts
        self.missed[action] += 1
        reason = masked(str(error), job.hidden)
        delay = backoff(attempts, self.rng, longest=longest, retry_after=error.retry_after)
        if action is Action.CHECK_HOST:
            delay = max(delay, self.runner.policy.host_every)
        log.warning(
            "action_postponed",
            action=str(action),
            reason=reason,
            attempts=attempts + 1,
            next_try_seconds=round(delay.total_seconds(), 1),
        )
        if action is Action.TOUCH:
            return Unchecked(until=self._after(delay))
        if action is Action.CHECK_HOST:
            return HostChecked(until=self._after(delay))
        unreachable = action not in _SIDE_CHECKS and _without_account(error)
        return Deferred(until=self._after(delay), trouble=reason, unreachable=unreachable)

    def _looked_for(self, pace: Pace, age: timedelta) -> datetime:
        """When it is looked at for what a look at this age has not found."""
        policy, usual = self.runner.policy, self.runner.habits.usual
        if pace is READINESS:
            return self._after(pace.step(age, longest=policy.ready_every, usual=usual(READY)))
        return self._after(pace.step(age, longest=policy.life_every, usual=usual(ALIVE)))

    @property
    def _usual_life(self) -> timedelta | None:
        return self.runner.habits.usual(self.kind) if self.kind else None

    def _note_life(self, job: TrackedJob) -> None:
        if self.kind:
            launched_at = job.entered.get(Phase.LAUNCHED, job.since)
            self.runner.habits.note(self.kind, self.clock() - launched_at)

    def _after(self, delay: timedelta) -> datetime:
        return self.clock() + delay


def _checked(status: JobStatus, usual_life: timedelta | None = None) -> Event:
    if status is JobStatus.ENDED:
        return Ended()
    return Checked(canceling=status is JobStatus.CANCELING, usual_life=usual_life)


def _failed(failure: Failure, job: TrackedJob, action: Action | None = None) -> Failed:
    """A refusal of the first and only request for a host leaves nothing: so the contract of executors."""
    return Failed(failure=failure.hiding(job.hidden), nothing_made=action is Action.PROVISION)


def _unforeseen(error: Exception, action: Action) -> Transient:
    """Its text may quote anything: the log has it, the job's author gets its kind."""
    text = f"an unexpected error of the runner itself ({type(error).__name__})"
    return Transient(text, service="paas-runner", op=str(action), retry_after=AFTER_A_BUG_SECONDS)


def _without_account(error: RemoteError) -> bool:
    """Whether the one who pays lets nothing be done: no host can be made there, either."""
    refused = isinstance(error, Rejected) and error.status in _ACCOUNT_REFUSED
    return refused or isinstance(error, NoAccountError)


def _system_failure(error: RemoteError, job: TrackedJob, now: datetime) -> Failure:
    summary = "The host of this job could not be prepared."
    return Failure(reason=FailureReason.SYSTEM, text=f"{summary}\n{_call_facts(error, job, now)}")


def _call_facts(error: RemoteError, job: TrackedJob, now: datetime) -> str:
    return call_facts(error, now, job.host_name, job.host.ref if job.host else "")


def _provisioned(job: TrackedJob) -> ProvisionedHost:
    if job.host is None:
        raise RuntimeError(f"job {job.key} has no host while {job.phase}")
    return ProvisionedHost(
        name=job.host_name, job_id=job.key.job_id, tenant=job.tenant, host=job.host, hidden=job.hidden
    )


def _failure(job: TrackedJob) -> Failure:
    if job.failure is None:
        raise RuntimeError(f"job {job.key} has no failure while {job.phase}")
    return job.failure
