"""What a receiver is told when: pure, one frozen book for each receiver.

A *matter* is one kind of thing about one subject. What happens is counted until its notice is due: a while
after the first time, and never soon after the notice before. What lasts is told only if it lasts for a
while, and that it is over only if its beginning was told and it stays over for a while. A notice that finds
no place, because there were many lately or nobody takes them, waits as a matter, which goes on counting.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeAlias

import attrs

from paas_runner.job.notice import JobMention, Notice, NoticeKind, NoticeState

MOST_JOBS = 5
"""Of a notice; how many there were it says besides."""

HOUR = timedelta(hours=1)


@attrs.frozen(kw_only=True)
class Rules:
    """How patient a receiver is."""

    group: timedelta
    repeat: timedelta
    quota: timedelta
    """How long a quota must be exhausted."""

    most_per_hour: int

    def lasting(self, kind: NoticeKind) -> timedelta:
        """How long a trouble must last before it is told."""
        return max(self.quota, self.group) if kind is NoticeKind.QUOTA_EXHAUSTED else self.group


@attrs.frozen(kw_only=True)
class Incident:
    """Something has happened."""

    kind: NoticeKind
    subject: str = ""
    job: JobMention | None = None
    why: str = ""


@attrs.frozen(kw_only=True)
class Reading:
    """Whether a trouble is there now: nothing is read where that is not known."""

    kind: NoticeKind
    subject: str = ""
    trouble: bool
    why: str = ""


@attrs.frozen(kw_only=True)
class Matter:
    """One kind of thing about one subject, as far as it was told."""

    kind: NoticeKind
    subject: str
    lasting: bool
    since: datetime
    """The beginning; of what happens, the first time that was not told yet."""

    last: datetime
    count: int = 1
    """How often it happened since it was told."""

    jobs: tuple[JobMention, ...] = ()
    why: str = ""
    told_at: datetime | None = None
    over_since: datetime | None = None

    def due(self, rules: Rules) -> datetime | None:
        """When there is something to tell."""
        if self.kind is NoticeKind.DRAIN_DONE:
            return self.since if self.count else None
        if not self.lasting:
            earliest = self.told_at + rules.repeat if self.told_at else self.since
            return max(self.since + rules.group, earliest) if self.count else None
        if self.told_at:
            return self.over_since + rules.group if self.over_since else None
        return None if self.over_since else self.since + rules.lasting(self.kind)

    def is_closed(self, rules: Rules, now: datetime) -> bool:
        """Whether it may be forgotten."""
        if self.lasting:
            untold = self.told_at is None and self.over_since is not None
            return untold and now >= (self.over_since or now) + rules.group
        return not self.count and now >= (self.told_at or now) + rules.repeat

    def notice(self, now: datetime) -> Notice:
        """What there is to tell now."""
        state = NoticeState.BEGUN if self.lasting else NoticeState.HAPPENED
        over = self.lasting and self.told_at is not None
        return Notice(
            kind=self.kind,
            state=NoticeState.OVER if over else state,
            subject=self.subject,
            since=self.since,
            until=(self.over_since or now) if over else now if self.lasting else self.last,
            count=self.count,
            jobs=self.jobs,
            why="" if over else self.why,
        )

    def told(self, now: datetime) -> "Matter | None":
        """What is left of it after its notice."""
        if self.lasting:
            return None if self.told_at else attrs.evolve(self, told_at=now)
        return attrs.evolve(self, told_at=now, count=0, jobs=(), why="")


Key: TypeAlias = tuple[NoticeKind, str]


@attrs.frozen(kw_only=True)
class Book:
    """All matters of one receiver, and when it was told anything within the last hour."""

    matters: tuple[Matter, ...] = ()
    sent: tuple[datetime, ...] = ()

    def happened(self, incident: Incident, now: datetime) -> "Book":
        """One time more."""
        key = (incident.kind, incident.subject)
        before = self._by_key.get(key)
        job = (incident.job,) if incident.job else ()
        if before is None or not before.count:
            matter = Matter(
                kind=incident.kind,
                subject=incident.subject,
                lasting=False,
                since=now,
                last=now,
                jobs=job,
                why=incident.why,
                told_at=before.told_at if before else None,
            )
        else:
            jobs = before.jobs if set(job) & set(before.jobs) else (before.jobs + job)[:MOST_JOBS]
            matter = attrs.evolve(before, last=now, count=before.count + 1, jobs=jobs)
        return self._with({key: matter})

    def read(self, readings: Sequence[Reading], now: datetime) -> "Book":
        """What lasts, as it is found now."""
        changed: dict[Key, Matter | None] = {}
        known = self._by_key
        for reading in readings:
            key = (reading.kind, reading.subject)
            before = changed.get(key) or known.get(key)
            if reading.trouble and before is None:
                changed[key] = Matter(
                    kind=reading.kind,
                    subject=reading.subject,
                    lasting=True,
                    since=now,
                    last=now,
                    why=reading.why,
                )
            elif before and reading.trouble and before.over_since:
                changed[key] = attrs.evolve(before, over_since=None)
            elif before and not reading.trouble and not before.over_since:
                changed[key] = attrs.evolve(before, over_since=now)
        return self._with(changed) if changed else self

    def told(self, rules: Rules, now: datetime, *, places: int) -> tuple["Book", Sequence[Notice]]:
        """The notices for which it is time, the oldest first, at most `places`; and the book after them."""
        sent = tuple(at for at in self.sent if at > now - HOUR)
        places = min(places, rules.most_per_hour - len(sent))
        waiting = [(due, matter) for matter in self.matters if (due := matter.due(rules)) and due <= now]
        changed: dict[Key, Matter | None] = {
            (matter.kind, matter.subject): None for matter in self.matters if matter.is_closed(rules, now)
        }
        notices = []
        for _, matter in sorted(waiting, key=lambda entry: entry[0])[: max(places, 0)]:
            notices.append(matter.notice(now))
            changed[matter.kind, matter.subject] = matter.told(now)
        if not changed and len(sent) == len(self.sent):
            return self, notices
        book = attrs.evolve(self._with(changed), sent=(*sent, *[now] * len(notices)))
        return book, notices

    def told_of(
        self, kind: NoticeKind, rules: Rules, now: datetime, *, places: int
    ) -> tuple["Book", Sequence[Notice]]:
        """As `told`, but of nothing else."""
        of_it = tuple(matter for matter in self.matters if matter.kind is kind)
        others = tuple(matter for matter in self.matters if matter.kind is not kind)
        book, notices = attrs.evolve(self, matters=of_it).told(rules, now, places=places)
        return attrs.evolve(book, matters=(*book.matters, *others)), notices

    def last_words(self, rules: Rules, now: datetime, *, places: int) -> tuple["Book", Sequence[Notice]]:
        """As `told`, but of everything that has happened: nobody may be there to tell it later."""
        hasty = attrs.evolve(rules, group=timedelta(), repeat=timedelta(), most_per_hour=sys.maxsize)
        lasting = tuple(matter for matter in self.matters if matter.lasting)
        events = tuple(matter for matter in self.matters if not matter.lasting)
        book, notices = attrs.evolve(self, matters=events).told(hasty, now, places=places)
        return attrs.evolve(book, matters=(*book.matters, *lasting)), notices

    def without(self, kind: NoticeKind, subject: str) -> "Book":
        """Nothing will be told of it: it can no longer be looked at."""
        return self._with({(kind, subject): None})

    def joined(self, other: "Book") -> "Book":
        """With what another process knew: what has happened is added up, what was told is not told again."""
        known = self._by_key
        added = {
            key: _joined(known[key], matter) if key in known else matter
            for matter in other.matters
            for key in [(matter.kind, matter.subject)]
        }
        return attrs.evolve(self._with(added), sent=tuple(sorted([*self.sent, *other.sent])))

    def resumed(self, now: datetime) -> "Book":
        """As a start finds it: nobody knows yet what is still so, and what was told is not told again.

        What lies in the future, since the clock went back, becomes now.
        """
        matters = [
            attrs.evolve(
                matter,
                since=min(matter.since, now),
                last=min(matter.last, now),
                told_at=matter.told_at and min(matter.told_at, now),
                over_since=None,
            )
            for matter in self.matters
            if matter.told_at or not matter.lasting
        ]
        return Book(matters=tuple(matters), sent=tuple(min(at, now) for at in self.sent))

    @property
    def _by_key(self) -> Mapping[Key, Matter]:
        return {(matter.kind, matter.subject): matter for matter in self.matters}

    def _with(self, changed: Mapping[Key, Matter | None]) -> "Book":
        matters = {**self._by_key, **changed}
        return attrs.evolve(self, matters=tuple(matter for matter in matters.values() if matter))


def _joined(one: Matter, other: Matter) -> Matter:
    """What two processes know of one thing; of what lasts the first one sees how it is now."""
    first, second = sorted([one, other], key=lambda matter: (not matter.count, matter.since))
    told = [matter.told_at for matter in (one, other) if matter.told_at]
    if one.lasting:
        return attrs.evolve(one, since=first.since, told_at=min(told, default=None))
    return attrs.evolve(
        first,
        last=max(one.last, other.last),
        count=one.count + other.count,
        jobs=tuple(dict.fromkeys(first.jobs + second.jobs))[:MOST_JOBS],
        told_at=max(told, default=None),
    )
