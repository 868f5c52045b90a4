"""The life of one job: decide, record the intent, act, record what happened, decide again."""

import asyncio
import random
from contextlib import closing

import attrs
import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars

from paas_runner.dispatch.counters import figures
from paas_runner.dispatch.effects import AFTER_A_BUG_SECONDS, LOOKS, Effects
from paas_runner.dispatch.habits import kind_of
from paas_runner.dispatch.look_budget import LookBudget, Rank
from paas_runner.dispatch.records import AGAIN_AFTER_SECONDS, Records
from paas_runner.dispatch.reuse import Reuse
from paas_runner.dispatch.served import Account, ActiveRunner
from paas_runner.dispatch.standing import Place
from paas_runner.dispatch.tenure import HARMLESS, SOLE, UNSURE_SECONDS, Tenure
from paas_runner.dispatch.view import Observer, served_job
from paas_runner.job.cost import Charge, closed_by
from paas_runner.job.decision import Act, Action, Decision, Done, Intend, Policy, Settle, Wait, next_action
from paas_runner.job.events import Event, Failed, HostLeft
from paas_runner.job.lifecycle import apply
from paas_runner.job.room import Room
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.loop.heartbeat import beat
from paas_runner.loop.timing import Clock, sleep_until_any, sleep_until_stopped
from paas_runner.store import StaleLeaseError

_RANKS = {Action.LOOK_FOR_LIFE: Rank.URGENT, Action.CHECK_HOST: Rank.FOLLOWS}

log = structlog.stdlib.get_logger(__name__)


class JobLoop:
    """Takes one record, new or found in the store, to its end, or as far as a shutdown lets it."""

    def __init__(
        self,
        job: TrackedJob,
        runner: ActiveRunner,
        *,
        records: Records,
        clock: Clock,
        rng: random.Random,
        stopping: asyncio.Event,
        looks: LookBudget,
        account: Account | None = None,
        observer: Observer | None = None,
        tenure: Tenure = SOLE,
    ) -> None:
        """The loop owns the job's record from now on; it ends at `stopping`, the job where it is then.

        It also ends with a record that the store refuses as another process's.
        """
        self._job = job
        self._runner = runner
        self._effects = Effects(
            runner=runner,
            clock=clock,
            rng=rng,
            account=account or Account(),
            stretch=lambda: looks.stretch,
            kind=kind_of(job.payload) if job.payload else "",
        )
        self._records = records
        self._observer = observer or Observer()
        self._tenure = tenure
        self._clock = clock
        self._stopping = stopping
        self._charge: Charge | None = None
        self._looks = looks
        self._watcher = looks.watcher()
        self._may_look = False
        self._waits_for_room = False
        self._reuse = Reuse(
            self._effects, records=records, observer=self._observer, tenure=tenure, clock=clock
        )
        self._place: Place | None = None

    async def run(self) -> None:
        """Until the job is gone, or until the first decision after `stopping`."""
        key, phase = self._job.key, self._job.phase  # not the record: its payload would stay for as long
        served_job.set(key)  # the task is this loop's alone
        with (
            closing(self._watcher),
            bound_contextvars(runner=self._runner.name, job=key.job_id, phase=str(phase)),
        ):
            going = True
            while going and not self._stopping.is_set():
                beat()
                try:
                    going = await self._step()
                except StaleLeaseError:
                    return
                except Exception:
                    # one job's bug must neither end the service nor lose the job
                    log.exception("job_error")
                    self._runner.counters.count_unforeseen()
                    await sleep_until_stopped(AFTER_A_BUG_SECONDS, self._stopping)

    async def _step(self) -> bool:
        if self._job.on_standby:
            return await self._stand_by()
        room = self._records.room(self._job)
        decision = next_action(
            self._job,
            self._clock(),
            self._policy,
            room,
            reusable=self._reuse.is_possible(self._job),
            let_go=self._records.standing.why_to_go(self._job.key),
        )
        await self._follow(decision, room)
        return self._job.phase is not Phase.GONE

    async def _stand_by(self) -> bool:
        """Between two looks at the host another job may take it, whose loop has ended this record then."""
        self._place = place = self._records.stand_by(self._job) or self._place
        if place is None:
            return False
        place.changed.clear()
        async with place.lock:
            if place.is_given:
                return False
            decision = next_action(self._job, self._clock(), self._policy, let_go=place.let_go)
            if not isinstance(decision, Wait):
                await self._follow(decision, Room.THERE)
                return True
        seconds = (decision.until - self._clock()).total_seconds()
        await sleep_until_any(seconds, self._stopping, place.changed)
        return True

    async def _follow(self, decision: Decision, room: Room) -> None:
        match decision:
            case Act(action=action, intent=intent):
                await self._act(action, intent, room)
            case Intend(intent=intent):
                if not await self._intend(intent):
                    await sleep_until_stopped(AGAIN_AFTER_SECONDS, self._stopping)
            case Settle(event=event):
                await self._happened(event)
            case Wait(until=until):
                await self._wait((until - self._clock()).total_seconds(), room)
            case Done():
                await self._records.remove(self._job)

    async def _act(self, action: Action, intent: Event | None, room: Room) -> None:
        if action not in HARMLESS and not self._is_ours:
            await sleep_until_stopped(UNSURE_SECONDS, self._stopping)
        elif action in LOOKS and not self._may_look:
            rank = _RANKS.get(action, Rank.USUAL)
            self._may_look = await self._watcher.turn(rank)  # and decide again: time has passed
        elif action is Action.REUSE:
            if taken := await self._reuse.taken(self._job):
                self._changed_to(*taken)
        elif action is Action.PROVISION and (refusal := await self._effects.foresee(self._job)):
            await self._happened(refusal)
        elif self._records.room(self._job) is not room:
            pass  # the executor took its time, and another has the room by now: decide again
        elif intent is None or await self._intend(intent):
            self._may_look = False
            await self._perform(action)
        else:
            await sleep_until_stopped(AGAIN_AFTER_SECONDS, self._stopping)

    async def _perform(self, action: Action) -> None:
        """To write the intent may have taken longer than the lease is good for."""
        if action in HARMLESS or self._is_ours:
            await self._happened(await self._effects.perform(action, self._job))

    @property
    def _is_ours(self) -> bool:
        return self._tenure.holds(self._job.key.runner)

    @property
    def _policy(self) -> Policy:
        """Looks at hosts are as much rarer as those at jobs are made."""
        policy, stretch = self._runner.policy, self._looks.stretch
        return policy if stretch == 1 else attrs.evolve(policy, host_every=stretch * policy.host_every)

    async def _wait(self, seconds: float, room: Room) -> None:
        """For so long, and no longer than there is no room."""
        if room is not Room.LATER:
            await sleep_until_stopped(seconds, self._stopping)
            return
        if not self._waits_for_room:
            self._waits_for_room = True
            log.info("job_waits_for_room", reason=self._records.why_it_waits(self._job))
        self._records.make_room(self._job)
        with self._records.waiting_for_room(self._job) as found:
            await sleep_until_any(seconds, self._stopping, found)

    async def _intend(self, intent: Event) -> bool:
        """The intent on the disk; without that, the outside world is not touched."""
        self._change(intent)
        return await self._records.save_intent(self._job)

    async def _happened(self, event: Event) -> None:
        if charge := closed_by(event, self._job, self._clock()):
            self._charge = charge
            self._records.charge(charge)
        self._change(event)
        if self._job.phase is Phase.GONE:
            await self._records.remove(self._job)
        elif event.durable:
            await self._records.save(self._job)
        else:
            self._records.keep_in_memory(self._job)

    def _change(self, event: Event) -> None:
        self._changed_to(event, apply(self._job, event, self._clock()))

    def _changed_to(self, event: Event, job: TrackedJob) -> None:
        before, self._job = self._job, job
        if self._job.phase is not before.phase:
            self._watcher.begin()
            self._log(event, before)
        self._observer.job_changed(self._job, event, before)

    def _log(self, event: Event, before: TrackedJob) -> None:
        job = self._job
        bind_contextvars(phase=str(job.phase))
        facts: dict[str, object] = {"seconds": round((job.since - before.since).total_seconds(), 2)}
        if job.host:
            facts |= {"host": job.host.ref, "flavor": job.host.flavor}
        if self._charge and job.phase is Phase.GONE:
            facts |= figures(self._charge)
        match event:
            case Failed(failure=failure):
                log.warning(f"job_{job.phase}", **facts, failure=str(failure.reason), reason=failure.text)
            case HostLeft():
                log.warning("host_left_in_place", **facts)
            case _:
                total = (job.since - job.acquired_at).total_seconds()
                facts |= {"total_seconds": round(total, 2)} if job.phase is Phase.GONE else {}
                log.info(f"job_{job.phase}", **facts)
