"""All receivers of a running service: a look every few seconds, and a task of its own for each delivery.

It hears of jobs, counters and calls without waiting, and nothing of it can fail or delay a job.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from paas_runner.config.notify import Receiver
from paas_runner.dispatch.counters import CounterName
from paas_runner.dispatch.view import DispatchView, Observer
from paas_runner.http import Connect
from paas_runner.job.events import Event, HostCreated
from paas_runner.job.notice import JobMention, NoticeKind
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import Clock, sleep_until_any
from paas_runner.notify.book import Incident
from paas_runner.notify.document import Sender
from paas_runner.notify.inheritance import LAST_WORDS, Estates, key_of, owner_of
from paas_runner.notify.mailbox import Mailbox
from paas_runner.notify.outbox import STORE_SECONDS
from paas_runner.notify.sensing import (
    ALL,
    Sensed,
    Spending,
    cost_readings,
    incident_of,
    outages,
    readings,
    sharing_readings,
    spending,
    takeover,
)
from paas_runner.status.reach import Reach
from paas_runner.status.sharing import Role, SharingReport
from paas_runner.store import Store, StoreError

log = structlog.stdlib.get_logger(__name__)

T = TypeVar("T")

LOOK_SECONDS = 5.0
SOONEST_SECONDS = 1.0
"""After a look, however much happens: so much may be lost by a crash."""

COSTS_EVERY = timedelta(minutes=1)
FINISH_SECONDS = 10.0
"""So long the last deliveries may take at the end of a drain; what is left then waits for the next start."""

_DAY = timedelta(days=1)
_UNKNOWN_HOSTS = ("orphan_found", "unknown_host_busy")


class Viewed(Protocol):
    """What is watched."""

    @property
    def view(self) -> DispatchView: ...


class Center(Observer):
    """Made once, as soon as there is a receiver; `configure` may be called again."""

    def __init__(
        self,
        dispatcher: Viewed,
        *,
        reach: Reach,
        connect: Connect,
        store: Store,
        clock: Clock,
        rng: random.Random,
        sender: Sender,
        sharing: Callable[[], SharingReport | None] = lambda: None,
    ) -> None:
        """`sharing` tells how several processes share the store."""
        self._dispatcher = dispatcher
        self._connect = connect
        self._store = store
        self._clock = clock
        self._rng = rng
        self._sender = sender
        self._reach = reach
        self._sharing = sharing
        self._holder = store.leases.holder if store.leases else ""
        self._company: SharingReport | None = None
        """As it was at the last look."""

        self._had_company = False
        self._has_spoken = not self._holder
        self._estates = Estates()
        self._last_had: dict[str, datetime] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._leaving: dict[str, Mailbox] = {}
        """Those that are no receivers any more, until the store knows."""
        self._begun = False
        self._news = asyncio.Event()
        self._early: list[tuple[datetime, Sequence[Sensed]]] = []
        self._others_kept = True
        self._names: Mapping[str, str] = {}
        self._good: set[str] = set()
        self._costs_at: datetime | None = None

    def configure(self, receivers: Sequence[Receiver]) -> None:
        """These are told from now on; who was there before goes on with what it knew."""
        before, self._mailboxes = {**self._leaving, **self._mailboxes}, {}
        for receiver in receivers:
            known = before.pop(receiver.name, None)
            if known and known.receiver != receiver:
                known.change(receiver)
            self._mailboxes[receiver.name] = known or self._mailbox(receiver)
        self._leaving = before
        self._others_kept = True

    def _mailbox(self, receiver: Receiver) -> Mailbox:
        return Mailbox(
            receiver,
            connect=self._connect,
            store=self._store,
            clock=self._clock,
            rng=self._rng,
            sender=self._sender,
            key=key_of(receiver.name, self._holder),
        )

    # --- what is heard -----------------------------------------------------------------------------------

    def job_changed(self, job: TrackedJob, event: Event | None, before: TrackedJob | None) -> None:
        if isinstance(event, HostCreated):
            self._good.add(job.key.runner)
        if found := incident_of(job, event, before, self._name(job.key.runner)):
            self._hear([found])
            self._news.set()

    def counted(self, _counter: CounterName, event: str, facts: Mapping[str, object]) -> None:
        """As `OnCount`."""
        runner = str(structlog.contextvars.get_contextvars().get("runner", ""))
        if event in _UNKNOWN_HOSTS:
            why = f"{facts.get('name')} ({facts.get('host')}): {facts.get('reason')}"
            found = Incident(kind=NoticeKind.ORPHAN_FOUND, why=why)
        elif event == "job_lost" and isinstance(job := facts.get("job"), int):
            mention = JobMention(runner=runner, job=job)
            found = Incident(kind=NoticeKind.JOB_LOST, subject=runner, job=mention)
        else:
            return
        self._hear([Sensed(what=found, runner=runner)])
        self._news.set()

    def _hear(self, what: Iterable[Sensed]) -> None:
        """Until it is known what an earlier process has told it only waits."""
        now, sensed = self._clock(), list(what)
        if not self._begun:
            self._early.append((now, sensed))
            return
        for mailbox in self._mailboxes.values():
            mailbox.hear(sensed, now)

    def _name(self, runner: str) -> str:
        if runner not in self._names:
            view = self._dispatcher.view
            self._names = view.names
        return self._names.get(runner, runner)

    # --- what is looked for ------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever; a stop cancels it, deliveries included: the next start makes them again."""
        try:
            await self._begin()
        except Exception:
            log.exception("notices_error")
        async with asyncio.TaskGroup() as deliveries:
            while True:
                self._news.clear()
                try:
                    await self._look()
                    self._deliver(deliveries)
                except Exception:
                    log.exception("notices_error")
                await asyncio.sleep(SOONEST_SECONDS)
                await sleep_until_any(LOOK_SECONDS - SOONEST_SECONDS, self._news)

    async def _begin(self) -> None:
        """Go on with what an earlier process left."""
        if not self._holder:
            await self._asked(self._inherit(lambda _holder: True))
        self._begun = True
        for at, sensed in self._early:
            for mailbox in self._mailboxes.values():
                mailbox.hear(sensed, at)
        self._early.clear()

    async def _look(self) -> None:
        view = self._dispatcher.view
        company, before = self._sharing(), self._company
        if company:
            await self._look_at_company(company, before)
        if not view.stopping:
            self._names = view.names
            self._good |= view.load.refused.keys()
            self._hear(readings(view, frozenset(self._good)))
            if company is None or company.role is not Role.STANDBY:  # who asks nobody knows of nobody
                self._hear(outages(self._reach.services))
            own = self._own(view, company)
            for mailbox in self._mailboxes.values():
                mailbox.forget_all_but(own)
            if company is None or company.speaks:
                await self._look_at_costs(view)
        for mailbox in list(self._mailboxes.values()):
            mailbox.cut_off(company is not None and company.role is Role.CUT_OFF)
            await mailbox.tell()
        if self._others_kept:
            self._others_kept, leaving, self._leaving = False, self._leaving, {}
            await self._asked(self._forget_others(leaving.values()))
            for mailbox in leaving.values():
                await mailbox.outbox.aclose()

    async def _forget_others(self, leaving: Collection[Mailbox]) -> None:
        """Of those who are no receivers any more nothing is left."""
        gone = {mailbox.key for mailbox in leaving}
        if not self._holder:  # else some may be another process's
            gone |= (await self._store.notices()).keys() - self._mailboxes.keys()
        await self._store.forget_receivers(gone)

    async def _look_at_company(self, company: SharingReport, before: SharingReport | None) -> None:
        """What concerns several processes, and what those have left that are gone."""
        self._company, now = company, self._clock()
        alive = {member.holder for member in company.alive}
        self._had_company = self._had_company or len(alive) > 1
        if before and before.role is Role.CUT_OFF and company.role is not Role.CUT_OFF:
            await self._asked(self._look_who_has_our_books())
        there_may_be = self._estates.look(alive, now)
        if company.speaks and company.is_settled:
            self._has_spoken = True
            if there_may_be and await self._asked(self._inherit(lambda who: self._estates.is_left(who, now))):
                self._estates.taken_over(now)
        self._hear(sharing_readings(company, had_company=self._had_company))
        if before and (taken := takeover(before, company)):
            self._hear([taken])

    async def _look_who_has_our_books(self) -> None:
        """After an outage in which we may have been taken for gone."""
        kept = await self._store.notices()
        for mailbox in self._mailboxes.values():
            if mailbox.was_written and mailbox.key not in kept:
                mailbox.give_up()

    async def _inherit(self, is_left: Callable[[str], bool]) -> bool:
        """Go on with the books of processes that are gone, this one's former lives among them."""
        kept = await self._store.notices()
        gone = []
        for key, book in kept.items():
            receiver, holder = owner_of(key, self._mailboxes)
            mailbox = self._mailboxes.get(receiver)
            if mailbox and key == mailbox.key:
                if not self._holder:
                    mailbox.take_over(book)
            elif not holder or is_left(holder):
                if mailbox:
                    await mailbox.inherit(book)
                gone.append(key)
        if gone:
            await self._store.forget_receivers(gone)
        return True

    def _own(self, view: DispatchView, company: SharingReport | None) -> Collection[str]:
        """The runners of which this process can tell, and whether it speaks for all.

        Those that have just left are among them: at an orderly end another process goes on with our book.
        """
        now = self._clock()
        own = [name for key, name in view.runners.items() if key not in view.elsewhere]
        if company is None or company.speaks or company.role is Role.CUT_OFF:
            own.append(ALL)
        self._last_had |= dict.fromkeys(own, now)
        there = {*view.runners.values(), ALL}
        self._last_had = {
            name: at for name, at in self._last_had.items() if name in there and now - at <= 2 * LAST_WORDS
        }
        return self._last_had.keys()

    async def _look_at_costs(self, view: DispatchView) -> None:
        bounded = [mailbox for mailbox in self._mailboxes.values() if mailbox.receiver.bounds]
        now = self._clock()
        if not bounded or (self._costs_at and now - self._costs_at < COSTS_EVERY):
            return
        self._costs_at = now
        ledger: Mapping[tuple[str, str], float] = {}
        if any(mailbox.receiver.cost_per_day is not None for mailbox in bounded):
            found = await self._asked(self._store.spent(now - _DAY))
            if found is None:
                return
            ledger = found
        elsewhere = await self._jobs_elsewhere(view)
        if elsewhere is None:
            return
        spent = spending([*view.jobs, *elsewhere], ledger, now - _DAY, now)
        for mailbox in bounded:
            total = _total(spent, mailbox.receiver, self._names)
            mailbox.hear([Sensed(what=each) for each in cost_readings(total, mailbox.receiver)], now)

    async def _jobs_elsewhere(self, view: DispatchView) -> Sequence[TrackedJob] | None:
        """Those of runners that other processes have; None where the store cannot tell."""
        if self._store.leases is None or not view.elsewhere:
            return ()
        return await self._asked(self._store.leases.jobs_of(view.elsewhere))

    async def _asked(self, question: Awaitable[T]) -> T | None:
        """The disk's answer; None where it has none in time."""
        try:
            async with asyncio.timeout(STORE_SECONDS):
                return await question
        except (StoreError, TimeoutError) as error:
            log.warning("notices_not_read", reason=str(error) or "no answer")
            return None

    def _deliver(self, tasks: asyncio.TaskGroup) -> None:
        for mailbox in self._mailboxes.values():
            if mailbox.outbox.is_due:
                tasks.create_task(_delivered(mailbox), name=f"notices for {mailbox.receiver.name}")

    # --- the end -----------------------------------------------------------------------------------------

    async def finish(self, drained: str | None) -> None:
        """What has changed is written; after a drain, with what is left of it in words, all is delivered."""
        try:
            async with asyncio.timeout(FINISH_SECONDS):
                if not self._begun:
                    await self._begin()
                if drained is not None and self._has_spoken:
                    self._hear([Sensed(what=Incident(kind=NoticeKind.DRAIN_DONE, why=drained))])
                for mailbox in self._mailboxes.values():
                    await mailbox.tell(last_words=drained is not None)
                if drained is not None:
                    await asyncio.gather(*map(_delivered, self._mailboxes.values()))
        except TimeoutError:
            log.warning("notices_left")
        finally:
            for mailbox in [*self._mailboxes.values(), *self._leaving.values()]:
                await mailbox.outbox.aclose()


async def _delivered(mailbox: Mailbox) -> None:
    """Whatever goes wrong is no one else's trouble."""
    try:
        await mailbox.outbox.deliver()
    except Exception:
        log.exception("notices_error")


def _total(
    spent: Mapping[tuple[str, str], Spending], receiver: Receiver, names: Mapping[str, str]
) -> Spending:
    """Of those runners and tenants of whom the receiver wants to know."""
    wanted = [
        each
        for (runner, tenant), each in spent.items()
        if (not receiver.runners or names.get(runner) in receiver.runners)
        and (not receiver.tenants or tenant in receiver.tenants)
    ]
    return Spending(
        per_hour=sum(each.per_hour for each in wanted), last_day=sum(each.last_day for each in wanted)
    )
