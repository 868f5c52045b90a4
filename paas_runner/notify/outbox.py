"""The notices that are on their way to one receiver, and how often it was tried.

A notice goes under the same id at every try, also after a restart: a receiver may get it twice, and can know.
"""

import asyncio
import random
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import attrs
import structlog

from paas_runner.config.notify import Receiver
from paas_runner.http import Connect
from paas_runner.loop.timing import Clock, backoff
from paas_runner.notify.delivery import Courier, DeliveryError, Parcel, courier_to
from paas_runner.notify.document import matter_of
from paas_runner.store import NoticeStore, StoreError

log = structlog.stdlib.get_logger(__name__)

MOST_PENDING = 50
"""Notices that nobody has taken yet: beyond, what happens is counted until there is a place."""

GIVEN_UP_AFTER = timedelta(days=2)
LONGEST_BACKOFF = timedelta(minutes=15)
STORE_SECONDS = 10.0
"""So long a disk may take before it is done without."""


@attrs.frozen
class _Pending:
    """A notice that has not been taken yet."""

    document: str
    at: datetime
    matter: tuple[str, str]
    """Kind and subject."""

    attempts: int = 0
    due: datetime | None = None


class Outbox:
    """One receiver's."""

    def __init__(
        self,
        receiver: Receiver,
        *,
        connect: Connect,
        store: NoticeStore,
        clock: Clock,
        rng: random.Random,
        key: str,
    ) -> None:
        self._receiver = receiver
        self._key = key
        self.only: Collection[str] | None = None
        """Of those alone something is delivered; None is all."""

        self._connect = connect
        self._store = store
        self._clock = clock
        self._rng = rng
        self._pending: dict[str, _Pending] = {}
        self._courier: Courier | None = None
        self._couriers: list[Courier] = []
        self._delivering = asyncio.Lock()

    def change(self, receiver: Receiver) -> None:
        """From the next delivery on it goes there, and at once."""
        self._receiver = receiver
        self._courier = None
        for number, waiting in self._pending.items():
            self._pending[number] = attrs.evolve(waiting, due=None)

    def add(self, documents: Mapping[str, str]) -> None:
        """By the ids of their deliveries."""
        now = self._clock()
        self._pending |= {number: _Pending(text, now, matter_of(text)) for number, text in documents.items()}

    def keep_only(self, numbers: Collection[str]) -> None:
        """Another process delivers the others."""
        self._pending = {number: waiting for number, waiting in self._pending.items() if number in numbers}

    @property
    def places(self) -> int:
        """How many more it takes."""
        return MOST_PENDING - len(self._pending)

    @property
    def is_due(self) -> bool:
        """Whether there is something to deliver now, and nobody does."""
        return not self._delivering.locked() and self._next() is not None

    def _next(self) -> tuple[str, _Pending] | None:
        """Of each matter the oldest; of those the ones first that were refused least often.

        So nobody hears of an end before the beginning, and one that nobody wants holds up no other matter.
        """
        now = self._clock()
        oldest: dict[tuple[str, str], tuple[str, _Pending]] = {}
        for entry in self._pending.items():
            oldest.setdefault(entry[1].matter, entry)
        due = [
            entry
            for entry in oldest.values()
            if (self.only is None or entry[0] in self.only) and (entry[1].due is None or entry[1].due <= now)
        ]
        return min(due, key=lambda entry: (entry[1].attempts, entry[0]), default=None)

    async def deliver(self) -> None:
        """All that is due, one after the other, until the receiver does not take one."""
        async with self._delivering:
            while found := self._next():
                if not await self._delivered(*found):
                    return

    async def _delivered(self, number: str, pending: _Pending) -> bool:
        now, facts = self._clock(), {"receiver": self._receiver.name, "notice": number}
        try:
            answer = await self._present_courier().deliver(
                Parcel(number=number, document=pending.document, at=now)
            )
        except DeliveryError as error:
            attempts = pending.attempts + 1
            if now - pending.at >= GIVEN_UP_AFTER:
                log.error("notice_given_up", **facts, reason=str(error), attempts=attempts)
                await self._remove(number)
                return False
            delay = self._postpone(number, pending, error, now)
            seconds = round(delay.total_seconds(), 1)
            log.warning(
                "notice_not_delivered",
                **facts,
                reason=str(error),
                attempts=attempts,
                next_try_seconds=seconds,
            )
            return False
        log.info("notice_delivered", **facts, answer=answer)
        await self._remove(number)
        return True

    def _present_courier(self) -> Courier:
        if self._courier is None:
            self._courier = courier_to(self._receiver, self._connect)
            self._couriers.append(self._courier)
        return self._courier

    def _postpone(self, number: str, pending: _Pending, error: DeliveryError, now: datetime) -> timedelta:
        """It, and with it all others: they go to the same receiver."""
        delay = backoff(pending.attempts, self._rng, longest=LONGEST_BACKOFF, retry_after=error.retry_after)
        self._pending[number] = attrs.evolve(pending, attempts=pending.attempts + 1)
        due = now + delay
        for each, waiting in self._pending.items():
            self._pending[each] = attrs.evolve(waiting, due=max(waiting.due or due, due))
        return delay

    async def _remove(self, number: str) -> None:
        self._pending.pop(number, None)
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.delivered(self._key, number)
        except (StoreError, TimeoutError) as error:
            reason = str(error) or "no answer"
            log.warning("notices_not_written", receiver=self._receiver.name, reason=reason)

    async def aclose(self) -> None:
        """Let go of connections."""
        for courier in self._couriers:
            await courier.aclose()
