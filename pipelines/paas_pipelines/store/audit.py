"""Who has done what, and who was refused: lines that are only added, each with the digest of the one before.

Promises: a line is in the same transaction as what it tells of; a line that is changed, removed or moved is
found by `broken`, and so are lines that are missing at either end. They are kept by day for 400 days.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

import attrs
import structlog

from paas_pipelines.store.codec import as_json, parsed
from paas_pipelines.store.journal import Journal
from paas_runner.store.protocol import StoreError

log = structlog.stdlib.get_logger(__name__)

KEPT = timedelta(days=400)
HEAD = "audit head"
DAY = "audit "
HEAD_KEY = "head"
_FORGET_EVERY_SECONDS = 6 * 3600.0
_FIRST = hashlib.sha256(b"paas-pipelines audit").hexdigest()


@attrs.frozen(kw_only=True)
class Line:
    """One; `at` is in ISO 8601, `digest` covers all else and the digest of the line before."""

    number: int
    at: str
    who: str
    what: str
    """start, cancel, approve, refused, credential used, …"""

    resource: str
    outcome: str
    details: Mapping[str, Any]
    digest: str

    @classmethod
    def parsed(cls, text: str) -> "Line":
        """Raises `StoreError`."""
        found = parsed(text, "audit")
        try:
            return cls(**found)
        except TypeError:
            raise StoreError("audit: a line has other fields than it should") from None


@attrs.frozen(kw_only=True)
class Head:
    """Both ends: what is before the first line that is kept, and the last line."""

    first: int = 1
    before: str = _FIRST
    last: int = 0
    digest: str = _FIRST
    days: tuple[str, ...] = ()
    """With lines, in order."""


class Audit:
    """That of one server; made by `open`."""

    def __init__(self, journal: Journal, clock: Callable[[], datetime], head: Head | None = None) -> None:
        self._journal = journal
        self._clock = clock
        self._head = head or Head()

    @classmethod
    async def open(cls, journal: Journal, clock: Callable[[], datetime]) -> "Audit":
        """On what is there; raises `StoreError`."""
        text = (await journal.stored(HEAD)).get(HEAD_KEY)
        return cls(journal, clock, head_of(text) if text else None)

    def note(self, who: str, what: str, resource: str, outcome: str = "done", **details: Any) -> None:
        """Add a line, in the transaction of this moment; `details` are values of JSON, never secrets."""
        now, head = self._clock(), self._head
        day = now.date().isoformat()
        if head.days and day < head.days[-1]:  # the clock was set back: lines stay in order
            day = head.days[-1]
        line = Line(
            number=head.last + 1,
            at=now.isoformat(),
            who=who,
            what=what,
            resource=resource,
            outcome=outcome,
            details=details,
            digest="",
        )
        line = attrs.evolve(line, digest=digest_of(line, head.digest))
        self._journal.put(DAY + day, f"{line.number:012}", as_json(attrs.asdict(line)))
        days = head.days if day in head.days[-1:] else (*head.days, day)
        self._keep(attrs.evolve(head, last=line.number, digest=line.digest, days=days))

    async def newest(
        self, most: int, *, before: int | None = None, wanted: Callable[[Line], bool] = lambda _: True
    ) -> Sequence[Line]:
        """The last lines that are `wanted`, newest first; only those with a number below `before`."""
        found: list[Line] = []
        for day in reversed(self._head.days):
            lines = await self._lines(day)
            chosen = (line for line in reversed(lines) if before is None or line.number < before)
            found += [line for line in chosen if wanted(line)]
            if len(found) >= most:
                break
        return found[:most]

    async def forget_old(self) -> int:
        """Remove the days that are kept no longer; returns how many lines that were."""
        oldest = (self._clock() - KEPT).date()
        count = 0
        while self._head.days and date.fromisoformat(self._head.days[0]) < oldest:
            day = self._head.days[0]
            lines = await self._lines(day)
            for line in lines:
                self._journal.put(DAY + day, f"{line.number:012}", None)
            head = attrs.evolve(self._head, days=self._head.days[1:])
            if lines:
                head = attrs.evolve(head, first=lines[-1].number + 1, before=lines[-1].digest)
            self._keep(head)
            count += len(lines)
        return count

    async def keep_forgetting(self) -> None:
        """Until cancelled, a few times a day."""
        while True:
            try:
                await self.forget_old()
            except StoreError as error:
                log.error("audit_not_shortened", reason=str(error))
            await asyncio.sleep(_FORGET_EVERY_SECONDS)

    async def broken(self) -> str:
        """What is wrong with the lines; empty where nothing is."""
        head = self._head
        days = [await self._lines(day) for day in head.days]
        return wrong_with(head, (line for lines in days for line in lines if line.number <= head.last))

    async def _lines(self, day: str) -> Sequence[Line]:
        await self._journal.flushed()
        return [Line.parsed(text) for _, text in sorted((await self._journal.stored(DAY + day)).items())]

    def _keep(self, head: Head) -> None:
        self._head = head
        self._journal.put(HEAD, HEAD_KEY, as_json(attrs.asdict(head)))


def head_of(text: str) -> Head:
    """Raises `StoreError`."""
    found = parsed(text, HEAD)
    try:
        return Head(**{**found, "days": tuple(found["days"])})
    except (TypeError, KeyError):
        raise StoreError("audit: its head has other fields than it should") from None


def digest_of(line: Line, before: str) -> str:
    """Of a line that comes after the one with the digest `before`."""
    said = {**attrs.asdict(line), "digest": before}
    return hashlib.sha256(as_json(dict(sorted(said.items()))).encode()).hexdigest()


def wrong_with(head: Head, lines: Iterable[Line]) -> str:
    """The first thing that is wrong with all the lines that there are, in order; empty where nothing is."""
    number, digest = head.first - 1, head.before
    for line in lines:
        if line.number != number + 1:
            return f"after line {number} comes line {line.number}: lines are missing or were moved"
        if line.digest != digest_of(line, digest):
            return f"line {line.number} of {line.at} is not as it was written, or what was before it is gone"
        number, digest = line.number, line.digest
    if (number, digest) != (head.last, head.digest):
        return f"the last line is {number}, and {head.last} have been written: lines are missing at the end"
    return ""
