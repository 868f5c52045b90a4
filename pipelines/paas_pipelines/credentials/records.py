"""Credentials in the store: encrypted versions by name, of the journal's kind `credential`.

An old version is kept for a day after it was replaced: senders of webhooks may still sign with it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import attrs

from paas_pipelines.credentials.envelope import Envelope, Keys
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.store.journal import Journal
from paas_runner.secret import Secret

KIND = "credential"
OLD_IS_GOOD_FOR = timedelta(hours=24)


@attrs.frozen(kw_only=True)
class Version:
    """One set of values."""

    number: int
    created: datetime
    by: str
    envelope: Envelope
    replaced: datetime | None = None
    """When the next one came."""


@attrs.frozen(kw_only=True)
class Stored:
    """One credential: its versions, the newest last."""

    name: str
    type: str
    versions: tuple[Version, ...]

    @property
    def newest(self) -> Version:
        """The one that the next task gets."""
        return self.versions[-1]


class StoredCredentials:
    """All of a server."""

    def __init__(
        self, journal: Journal, keys: Keys, clock: Callable[[], datetime], known: Sequence[Stored] = ()
    ) -> None:
        self._journal = journal
        self._keys = keys
        self._clock = clock
        self._known = {each.name: each for each in known}

    @classmethod
    async def open(cls, journal: Journal, keys: Keys, clock: Callable[[], datetime]) -> "StoredCredentials":
        """On what is there; raises `StoreError`."""
        return cls(journal, keys, clock, tuple(records(await journal.stored(KIND), Stored, KIND)))

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def __iter__(self) -> Iterator[Stored]:
        return iter(self._known.values())

    def __getitem__(self, name: str) -> Stored:
        return self._known[name]

    @property
    def can_store(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def put(self, name: str, type_name: str, values: Mapping[str, str], by: str) -> Version:
        """A new version, in the transaction of this moment; raises `SealError`."""
        now, before = self._clock(), self._known.get(name)
        old = before.versions if before and before.type == type_name else ()
        number = (before.newest.number if before else 0) + 1
        envelope = self._keys.sealed(values, name, type_name, str(number))
        if old:
            old = (*old[:-1], attrs.evolve(old[-1], replaced=now))
        version = Version(number=number, created=now, by=by, envelope=envelope)
        self._save(Stored(name=name, type=type_name, versions=(*self._good(old), version)))
        return version

    def remove(self, name: str) -> None:
        """Raises KeyError."""
        del self._known[name]
        self._journal.put(KIND, name, None)

    def values(self, name: str) -> Mapping[str, Secret]:
        """Of the newest version; raises KeyError, `SealError`."""
        stored = self._known[name]
        return self._opened(stored, stored.newest)

    def accepted(self, name: str) -> Sequence[Mapping[str, Secret]]:
        """Of the newest version, and of those that it has replaced within a day; raises as `values`."""
        stored = self._known[name]
        old = self._good(stored.versions[:-1])
        return [self._opened(stored, each) for each in (stored.newest, *reversed(old))]

    def rekey(self) -> int:
        """Seal with the first key what another one sealed; returns how many; raises `SealError`.

        Raises before anything is changed.
        """
        changed = []
        for stored in self._known.values():
            versions = tuple(self._resealed(stored, each) for each in self._good(stored.versions))
            if versions != stored.versions:
                changed.append(attrs.evolve(stored, versions=versions))
        for stored in changed:
            self._save(stored)
        return len(changed)

    def _resealed(self, stored: Stored, version: Version) -> Version:
        if version.envelope.key == self._keys.first:
            return version
        values = {name: each.reveal() for name, each in self._opened(stored, version).items()}
        return attrs.evolve(
            version, envelope=self._keys.sealed(values, stored.name, stored.type, str(version.number))
        )

    def _opened(self, stored: Stored, version: Version) -> Mapping[str, Secret]:
        return self._keys.opened(version.envelope, stored.name, stored.type, str(version.number))

    def _good(self, versions: Sequence[Version]) -> Sequence[Version]:
        since = self._clock() - OLD_IS_GOOD_FOR
        return [each for each in versions if each.replaced is None or each.replaced > since]

    def _save(self, stored: Stored) -> None:
        self._known[stored.name] = stored
        self._journal.put(KIND, stored.name, to_text(stored))
