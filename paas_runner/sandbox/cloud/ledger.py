"""The books of the simulated cloud: who did what, what exists, what is billed.

Applications are never forgotten, so that a test can ask afterwards whether one was leaked, launched twice or
created with the wrong token.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import attrs

from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class Span:
    """The life of one instance; it is billed until it has ended."""

    start: datetime
    end: datetime | None = None


@attrs.frozen(kw_only=True)
class BilledApplication:
    """One application ever created, as the bill sees it; counts are of calls, repeated ones too."""

    app_id: str
    name: str
    organisation_id: str
    flavor: str
    created_at: datetime
    created_by: Secret | None
    deleted_at: datetime | None = None
    pushes: int = 0
    launches: int = 0
    deletions: int = 0
    spans: tuple[Span, ...] = ()

    @property
    def alive(self) -> bool:
        """Whether it was not deleted."""
        return self.deleted_at is None

    def billed(self, now: datetime) -> timedelta:
        """The time for which its instances have existed."""
        return sum(((span.end or now) - span.start for span in self.spans), timedelta())


@attrs.frozen(kw_only=True)
class CloudCall:
    """One changing call that was accepted, and the token that made it."""

    at: datetime
    verb: str
    app_id: str
    by: Secret | None


class CloudLedger:
    """Written by the cloud, read by tests and by the demo."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._entries: dict[str, BilledApplication] = {}
        self.calls: list[CloudCall] = []
        self.requests: Counter[str] = Counter()
        """How often each route was asked, under names such as `GET /v2/self`."""

    @property
    def created(self) -> tuple[BilledApplication, ...]:
        """Every application ever created, oldest first."""
        return tuple(self._entries.values())

    @property
    def alive(self) -> tuple[BilledApplication, ...]:
        return tuple(entry for entry in self.created if entry.alive)

    @property
    def billed(self) -> timedelta:
        """The time for which all instances have existed, added up."""
        return sum((entry.billed(self._clock()) for entry in self.created), timedelta())

    def entry(self, app_id: str) -> BilledApplication:
        """The books of one application; raises `KeyError` when it never existed."""
        return self._entries[app_id]

    def find(self, app_id: str) -> BilledApplication | None:
        """The books of an application, if it ever existed."""
        return self._entries.get(app_id)

    def named(self, name: str) -> tuple[BilledApplication, ...]:
        """Every application ever created under that name, oldest first."""
        return tuple(entry for entry in self.created if entry.name == name)

    def launches(self, app_id: str) -> int:
        """How many programs were started for an application."""
        return self._entries[app_id].launches

    def note(self, verb: str, app_id: str, by: Secret | None) -> None:
        """An accepted call that changes something else than the application's existence."""
        self.calls.append(CloudCall(at=self._clock(), verb=verb, app_id=app_id, by=by))

    def note_creation(
        self, app_id: str, by: Secret | None, *, name: str, organisation_id: str, flavor: str
    ) -> None:
        self.note("create", app_id, by)
        self._entries[app_id] = BilledApplication(
            app_id=app_id,
            name=name,
            organisation_id=organisation_id,
            flavor=flavor,
            created_at=self._clock(),
            created_by=by,
        )

    def note_push(self, app_id: str, by: Secret | None) -> None:
        self.note("push", app_id, by)
        entry = self._entries[app_id]
        self._entries[app_id] = attrs.evolve(entry, pushes=entry.pushes + 1)

    def note_deletion(self, app_id: str, by: Secret | None) -> None:
        """A deletion, perhaps one that finds nothing left to delete."""
        self.note("delete", app_id, by)
        entry = self._entries[app_id]
        self._entries[app_id] = attrs.evolve(
            entry, deletions=entry.deletions + 1, deleted_at=entry.deleted_at or self._clock()
        )

    def note_launch(self, app_id: str) -> None:
        entry = self._entries[app_id]
        self._entries[app_id] = attrs.evolve(entry, launches=entry.launches + 1)

    def note_instance(self, app_id: str) -> None:
        """A machine was started and is billed from now on; an application has one at a time."""
        entry = self._entries[app_id]
        self._entries[app_id] = attrs.evolve(entry, spans=(*entry.spans, Span(start=self._clock())))

    def note_instance_gone(self, app_id: str) -> None:
        """The machine started last is no longer billed."""
        entry = self._entries[app_id]
        *before, last = entry.spans
        spans = (*before, attrs.evolve(last, end=self._clock()))
        self._entries[app_id] = attrs.evolve(entry, spans=spans)
