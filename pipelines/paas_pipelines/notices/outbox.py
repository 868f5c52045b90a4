"""What is to be told, kept in the journal until it has arrived.

`tell` puts a notice into the transaction of what it tells of, so that either both are on the disk or neither;
nothing leaves before that. After a crash the rest is told by the next start: each notice at least once, and
tried for a day. Every notifier has a loop of its own, since one that hangs must not delay another.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Protocol

import attrs
import structlog

from paas_pipelines.notices.notice import MOST_CHARACTERS, REMEMBERED, Notice, UndeliveredError
from paas_pipelines.notices.notifiers import Notifier
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.store.journal import Journal
from paas_runner.loop.timing import LONGEST_SLEEP_SECONDS, Clock, sleep_until_stopped
from paas_runner.store.protocol import StoreError

log = structlog.stdlib.get_logger(__name__)

KIND = "notice"
MOST_WAITING = 10_000
"""Of all notices; of more than so many the new ones are lost, with a word in the log."""

_PAUSE_SECONDS = 1.0


class Telling(Protocol):
    """Who takes notices."""

    def tell(
        self, to: str, *, channel: str = "", text: str, subject: str = "", link: str = "", key: str
    ) -> None:
        """Have it told, with what is saved before the next await; the same key again does nothing."""


class Outbox:
    """All notices of a server; made by `opened`."""

    def __init__(
        self,
        journal: Journal,
        notifiers: Mapping[str, Notifier],
        clock: Clock,
        *,
        stored: Sequence[Notice] = (),
        rng: random.Random | None = None,
    ) -> None:
        self._journal = journal
        self._notifiers = notifiers
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - of pauses
        self._over = {each.key: each for each in stored if each.over}
        self._waiting = {each.key: each for each in stored if not each.over}
        self._news: dict[str, asyncio.Event] = {name: asyncio.Event() for name in notifiers}

    @classmethod
    async def opened(cls, journal: Journal, notifiers: Mapping[str, Notifier], clock: Clock) -> "Outbox":
        """With what an earlier life of the server has left; raises `StoreError`."""
        stored = list(records(await journal.stored(KIND), Notice, KIND))
        return cls(journal, notifiers, clock, stored=stored)

    @property
    def names(self) -> frozenset[str]:
        """Of all notifiers."""
        return frozenset(self._notifiers)

    def waiting(self) -> Sequence[Notice]:
        """What has not arrived yet, the oldest first."""
        return list(self._waiting.values())

    def tell(
        self, to: str, *, channel: str = "", text: str, subject: str = "", link: str = "", key: str
    ) -> None:
        """As `Telling` has it."""
        if key in self._waiting or key in self._over:
            return
        if to not in self._notifiers or len(self._waiting) >= MOST_WAITING:
            reason = "too many wait" if to in self._notifiers else "no notifier has this name"
            log.error("notice_lost", notifier=to, key=key, reason=reason)
            return
        self._save(
            Notice(
                key=key,
                to=to,
                at=self._clock(),
                text=_bounded(text),
                subject=_bounded(subject),
                channel=_bounded(channel),
                link=link,
            )
        )
        self._news[to].set()

    async def run(self) -> None:
        """For ever; to cancel it loses nothing."""
        try:
            async with asyncio.TaskGroup() as group:
                for name in self._notifiers:
                    group.create_task(self._keep_telling(name), name=f"notices to {name}")
                await self._keep_forgetting()
        finally:
            for notifier in self._notifiers.values():
                await notifier.aclose()

    async def _keep_telling(self, name: str) -> None:
        while True:
            self._news[name].clear()
            own = [each for each in self._waiting.values() if each.to == name]
            first = min(own, key=lambda each: each.due, default=None)
            seconds = LONGEST_SLEEP_SECONDS
            if first is not None:
                seconds = (first.due - self._clock()).total_seconds()
                if seconds <= 0:
                    await self._try(self._notifiers[name], first)
                    continue
            await sleep_until_stopped(seconds, self._news[name])

    async def _try(self, notifier: Notifier, notice: Notice) -> None:
        try:
            await self._journal.flushed()
        except StoreError:  # the journal tells of it, and nothing is told of what is not written
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        try:
            await notifier.deliver(notice)
        except UndeliveredError as error:
            self._not_taken(notice, str(error), error.retry_after)
        except Exception as error:
            log.exception("notice_error", notifier=notice.to, key=notice.key)
            self._not_taken(notice, type(error).__name__, None)
        else:
            log.info("notice_delivered", notifier=notice.to, key=notice.key, tries=notice.tries + 1)
            self._save(attrs.evolve(notice, tries=notice.tries + 1).closed())

    def _not_taken(self, notice: Notice, reason: str, retry_after: float | None) -> None:
        later = notice.failed(self._clock(), self._rng, retry_after)
        self._save(later)
        facts = {"notifier": notice.to, "key": notice.key, "reason": reason, "tries": later.tries}
        if later.over:
            log.error("notice_lost", **facts)
        else:
            log.warning("notice_not_taken", **facts, again_at=later.due.isoformat(timespec="seconds"))

    def _save(self, notice: Notice) -> None:
        if notice.over:
            self._waiting.pop(notice.key, None)
            self._over[notice.key] = notice
        else:
            self._waiting[notice.key] = notice
        self._journal.put(KIND, notice.key, to_text(notice))

    async def _keep_forgetting(self) -> None:
        while True:
            now = self._clock()
            for key in [key for key, each in self._over.items() if now - each.at > REMEMBERED]:
                del self._over[key]
                self._journal.put(KIND, key, None)
            for key in [key for key, each in self._waiting.items() if each.to not in self._notifiers]:
                notice = self._waiting[key]
                log.error("notice_lost", notifier=notice.to, key=key, reason="no notifier has this name")
                self._save(notice.closed())
            await asyncio.sleep(LONGEST_SLEEP_SECONDS)


def _bounded(text: str) -> str:
    """As much as a notice has room for, and without halves of characters."""
    shown = text.encode(errors="replace").decode()
    return shown if len(shown) <= MOST_CHARACTERS else f"{shown[: MOST_CHARACTERS - 1]}…"
