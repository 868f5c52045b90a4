"""What one receiver is told: its book, and the notices that come of it.

Everything is on the disk before it leaves the house: what was told is not told again by the next process, and
what was not delivered is delivered by it. A disk that refuses is in the way of neither.
"""

import asyncio
import json
import random
import secrets
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import partial

import attrs
import cattrs
import structlog

from paas_runner.config.notify import Receiver
from paas_runner.http import Connect
from paas_runner.job.notice import KeptNotices, NoticeKind
from paas_runner.loop.timing import Clock
from paas_runner.notify.book import Book, Incident, Rules
from paas_runner.notify.document import Sender, bounded, document
from paas_runner.notify.outbox import STORE_SECONDS, Outbox
from paas_runner.notify.sensing import Sensed, is_of_present
from paas_runner.store import NoticeStore, StoreError

log = structlog.stdlib.get_logger(__name__)

_converter = cattrs.Converter()
_converter.register_unstructure_hook(datetime, lambda moment: moment.isoformat())
_converter.register_structure_hook(datetime, lambda value, _: datetime.fromisoformat(value))


def book_as_text(book: Book) -> str:
    """As JSON; what it quotes may have half a character, which becomes its escape."""
    return json.dumps(_converter.unstructure(book))


def book_of(text: str) -> Book:
    """Raises ValueError."""
    try:
        return _converter.structure(json.loads(text or "{}"), Book)
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        raise ValueError("; ".join(cattrs.transform_error(error))) from None


class Mailbox:
    """One receiver's."""

    def __init__(
        self,
        receiver: Receiver,
        *,
        connect: Connect,
        store: NoticeStore,
        clock: Clock,
        rng: random.Random,
        sender: Sender,
        key: str,
    ) -> None:
        """`key` is what the store keeps the book under."""
        self.receiver = receiver
        self.key = key
        self.outbox = Outbox(receiver, connect=connect, store=store, clock=clock, rng=rng, key=key)
        self._store = store
        self._clock = clock
        self._sender = sender
        self._book = self._kept = Book()
        self._in_memory_alone: set[str] = set()
        """Documents that the disk refused."""

        self._is_cut_off = False
        self._unwritten = False
        """Since the disk refused: that is said once, not at each look."""

    # --- what happens ------------------------------------------------------------------------------------

    def take_over(self, kept: KeptNotices) -> None:
        """Go on with what an earlier process left."""
        self._book = self._known(kept)
        self.outbox.add(kept.pending)

    async def inherit(self, kept: KeptNotices) -> None:
        """Go on with what a process left that is gone; raises `StoreError`, and then nothing has changed."""
        left = self._known(kept)
        for matter in left.matters:
            if matter.kind is NoticeKind.STORE_UNREACHABLE:  # nobody can look at it any more
                left = left.without(matter.kind, matter.subject)
        book = book_as_text(self._book.joined(left))
        await self._store.keep_notices(self.key, book, kept.pending)
        self._book = self._book.joined(left)
        self.outbox.add(kept.pending)

    def cut_off(self, is_so: bool) -> None:
        """Another process may go on with all that the store has: of that nothing is told meanwhile."""
        self._is_cut_off = is_so
        self.outbox.only = self._in_memory_alone if is_so else None

    def give_up(self) -> None:
        """Another process goes on with all that the store had: what it had not is left here."""
        theirs = {(matter.kind, matter.subject) for matter in self._kept.matters}
        left = [
            matter
            for matter in self._book.matters
            if matter.kind is NoticeKind.STORE_UNREACHABLE or (matter.kind, matter.subject) not in theirs
        ]
        self._book, self._kept = attrs.evolve(self._book, matters=tuple(left)), Book()
        self.outbox.keep_only(self._in_memory_alone)

    @property
    def was_written(self) -> bool:
        """Whether the store has had anything of it."""
        return self._kept != Book()

    def _known(self, kept: KeptNotices) -> Book:
        try:
            return book_of(kept.book).resumed(self._clock())
        except ValueError as error:
            log.warning("notices_unreadable", receiver=self.receiver.name, reason=str(error))
            return Book()

    def change(self, receiver: Receiver) -> None:
        """Other settings from now on; what it knows it goes on knowing, if it is still to be told of it."""
        self.receiver = receiver
        self.outbox.change(receiver)
        for matter in self._book.matters:
            if matter.kind not in receiver.kinds or matter.kind is NoticeKind.COST_ABOVE:  # other bounds
                self._book = self._book.without(matter.kind, matter.subject)

    def hear(self, sensed: Iterable[Sensed], now: datetime) -> None:
        """What the receiver wants to know of that, it is told in time.

        What others wrote is cleaned at once: of a job's token nobody knows any more when its notice is made.
        """
        wanted = [attrs.evolve(each.what, why=bounded(each.what.why)) for each in sensed if self._wants(each)]
        for what in wanted:
            if isinstance(what, Incident):
                self._book = self._book.happened(what, now)
        self._book = self._book.read([what for what in wanted if not isinstance(what, Incident)], now)

    def _wants(self, sensed: Sensed) -> bool:
        runners, tenants = self.receiver.runners, self.receiver.tenants
        return (
            sensed.what.kind in self.receiver.kinds
            and (not runners or not sensed.runner or sensed.runner in runners)
            and (not tenants or sensed.tenant is None or sensed.tenant in tenants)
        )

    def forget_all_but(self, runners: Collection[str]) -> None:
        """Troubles of runners that are gone are never over, nor worth telling."""
        for matter in self._book.matters:
            if matter.lasting and not is_of_present(matter.kind, matter.subject, runners):
                self._book = self._book.without(matter.kind, matter.subject)

    # --- what is told ------------------------------------------------------------------------------------

    async def tell(self, *, last_words: bool = False) -> None:
        """Make notices of what is due, and write it down; with `last_words` of all that has happened."""
        now = self._clock()
        rules = _rules(self.receiver)
        told = self._book.last_words if last_words else self._book.told
        if self._is_cut_off:
            told = partial(self._book.told_of, NoticeKind.STORE_UNREACHABLE)
        self._book, notices = told(rules, now, places=self.outbox.places)
        added = {}
        for notice in notices:
            number = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}"
            added[number] = document(notice, number, self._sender)
            facts = {"kind": str(notice.kind), "state": str(notice.state), "subject": notice.subject}
            log.info("notice_made", receiver=self.receiver.name, notice=number, **facts)
        if self._book != self._kept or added:
            await self._write(self._book, added)
        self.outbox.add(added)

    async def _write(self, book: Book, added: dict[str, str]) -> None:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.keep_notices(self.key, book_as_text(book), added)
        except (StoreError, TimeoutError) as error:
            if not self._unwritten:
                reason = str(error) or "no answer"
                log.warning("notices_not_written", receiver=self.receiver.name, reason=reason)
            self._unwritten = True
            self._in_memory_alone |= added.keys()
            return
        self._kept, self._unwritten = book, False


def _rules(receiver: Receiver) -> Rules:
    return Rules(
        group=receiver.group_seconds,
        repeat=receiver.repeat_seconds,
        quota=receiver.quota_seconds,
        most_per_hour=receiver.most_per_hour,
    )
