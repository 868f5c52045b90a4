"""`Idempotency-Key` of a start: whoever got no answer asks again, and has the run of the first time.

A key is kept for a day, in the transaction of its run, and is that user's own.
"""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from paas_pipelines.store.journal import Journal
from paas_runner.loop.timing import Clock

KIND = "start_key"
KEPT = timedelta(hours=24)


@attrs.frozen(kw_only=True)
class Known:
    """A start that had a key."""

    digest: str
    """Of the body."""

    run_id: str
    at: datetime


class KeyUsedError(Exception):
    """A key with which something else was started; the text is the API's."""


class StartKeys:
    """Those of one server; from `run_of` to `note` there is no await."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._known: dict[str, Known] | None = None
        self._reading = asyncio.Lock()

    async def ready(self) -> None:
        """Before the others are asked."""
        async with self._reading:
            if self._known is None:
                self._known = _read(await self._journal.stored(KIND))
        self._forget_old()

    def run_of(self, user: str, key: str, digest: str) -> str:
        """The run of an earlier start; empty without one. Raises `KeyUsedError`."""
        known = (self._known or {}).get(_kept_under(user, key))
        if known is None:
            return ""
        if known.digest != digest:
            raise KeyUsedError("Idempotency-Key was used with another body")
        return known.run_id

    def note(self, user: str, key: str, digest: str, run_id: str) -> None:
        """With what is put before the next await."""
        known = Known(digest=digest, run_id=run_id, at=self._clock())
        place = _kept_under(user, key)
        if self._known is not None:
            self._known[place] = known
        self._journal.put(KIND, place, json.dumps([digest, run_id, known.at.isoformat()]))

    def forget(self, user: str, key: str) -> None:
        """The start has not come about."""
        self._remove(_kept_under(user, key))

    def _remove(self, key: str) -> None:
        if self._known is not None and key in self._known:
            del self._known[key]
            self._journal.put(KIND, key, None)

    def _forget_old(self) -> None:
        now = self._clock()
        for key, known in list((self._known or {}).items()):
            if now - known.at <= KEPT:
                break  # nor are those that came later
            self._remove(key)


def _kept_under(user: str, key: str) -> str:
    return hashlib.sha256(f"{user}\0{key}".encode(errors="surrogatepass")).hexdigest()[:40]


def _read(stored: Mapping[str, str]) -> dict[str, Known]:
    found = {}
    for key, text in stored.items():
        digest, run_id, at = json.loads(text)
        found[key] = Known(digest=digest, run_id=run_id, at=datetime.fromisoformat(at))
    return found
