"""Who is logged in: sessions in the journal, so that a restart ends none and a logout ends one for good.

A cookie's value means nothing by itself, and only its digest is kept: whoever reads the store has no session.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import attrs

from paas_pipelines.access.identity import Identity
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.store.journal import Journal

KIND = "session"
MOST_SESSIONS = 10_000
MOST_OF_ONE = 50
"""So many has one person; who logs in more often ends his own oldest, not those of others."""

HOST_COOKIE = "__Host-paas_pipelines"
"""Over HTTPS: browsers take it from this host alone, and send it over HTTPS alone."""

PLAIN_COOKIE = "paas_pipelines_session"
"""Without HTTPS, which is for loopback."""

TOKEN_COOKIE = "jwt"  # noqa: S105 - a name
"""Has a token that somebody has pasted: whoever logs in is nobody else any more, also afterwards."""


@attrs.frozen(kw_only=True)
class Session:
    """One; `digest` is that of the cookie's value."""

    digest: str
    identity: Identity
    ends: datetime


class Sessions:
    """All of a server."""

    def __init__(
        self,
        journal: Journal,
        clock: Callable[[], datetime],
        lasts: timedelta,
        known: Mapping[str, Session] | None = None,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._lasts = lasts
        self._known = dict(known or {})

    @classmethod
    async def open(
        cls, journal: Journal, clock: Callable[[], datetime], lasts: timedelta, domain: str = ""
    ) -> "Sessions":
        """On what is there, of this domain if one is given: another provider has vouched for the others.

        Raises `StoreError`.
        """
        found = list(records(await journal.stored(KIND), Session, KIND))
        for each in found:
            if domain and each.identity.domain != domain:
                journal.put(KIND, each.digest, None)
        known = {each.digest: each for each in found if domain in ("", each.identity.domain)}
        return cls(journal, clock, lasts, known)

    @property
    def seconds(self) -> int:
        """How long a cookie lasts."""
        return int(self._lasts.total_seconds())

    def begin(self, identity: Identity) -> str:
        """The value of the cookie of a new session, in the transaction of this moment."""
        self._forget_old()
        mine = [digest for digest, each in self._known.items() if str(each.identity) == str(identity)]
        for digest in mine[: max(0, len(mine) - MOST_OF_ONE + 1)]:
            self._forget(digest)
        value = secrets.token_urlsafe(32)
        session = Session(digest=_digest(value), identity=identity, ends=self._clock() + self._lasts)
        self._known[session.digest] = session
        self._journal.put(KIND, session.digest, to_text(session))
        return value

    def identity(self, value: str) -> Identity | None:
        """Whose session it is; None where it is none, or over."""
        session = self._known.get(_digest(value)) if value else None
        return session.identity if session and self._clock() < session.ends else None

    def end(self, value: str) -> Identity | None:
        """Whose session that was, which is over now."""
        session = self._known.pop(_digest(value), None)
        if session is None:
            return None
        self._journal.put(KIND, session.digest, None)
        return session.identity

    def _forget_old(self) -> None:
        now = self._clock()
        over = [digest for digest, each in self._known.items() if each.ends <= now]
        over += list(self._known)[: max(0, len(self._known) - len(over) - MOST_SESSIONS + 1)]
        for digest in over:
            self._forget(digest)

    def _forget(self, digest: str) -> None:
        if self._known.pop(digest, None):
            self._journal.put(KIND, digest, None)


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()
