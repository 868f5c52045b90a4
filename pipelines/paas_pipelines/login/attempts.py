"""Log-ins under way: what was sent to the provider with a browser, and is expected back with the same one.

Each is good once, for ten minutes, and for the browser that has its cookie: neither a state that is replayed
nor one that somebody else has begun logs anybody in. The cookie itself is what is known of it, sealed with a
key of this process, so that nobody's attempts take the place of others'.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

import attrs
import jwt

GOOD_FOR = timedelta(minutes=10)
MOST_USED = 10_000
"""So many states that have come back are known; a provider takes no code twice either."""

MOST_NOTED_A_MINUTE = 10
_ALGORITHM = "HS256"


@attrs.frozen(kw_only=True)
class Attempt:
    """One; all but `page` are random."""

    state: str
    nonce: str
    verifier: str
    """Of PKCE."""

    page: str
    """Where to go afterwards: a page of ours."""

    ends: datetime


class Attempts:
    """All of a server; after a restart people begin anew."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._used: OrderedDict[str, datetime] = OrderedDict()
        self._failures = clock(), 0

    def begin(self, page: str) -> Attempt:
        """A new one, of which nothing is kept."""
        return Attempt(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            page=page,
            ends=self._clock() + GOOD_FOR,
        )

    def sealed(self, attempt: Attempt) -> str:
        """The value of the browser's cookie."""
        told = {**attrs.asdict(attempt), "ends": attempt.ends.isoformat()}
        return jwt.encode(told, self._key, _ALGORITHM)

    def ended(self, state: str, cookie: str) -> Attempt | None:
        """The one that comes back; None for one that is unknown, over, used, or another browser's."""
        try:
            told = jwt.decode(cookie, self._key, algorithms=[_ALGORITHM])
        except jwt.PyJWTError:
            return None
        attempt = Attempt(**{**told, "ends": datetime.fromisoformat(told["ends"])})
        is_this = hmac.compare_digest(attempt.state.encode(), state.encode(errors="replace"))
        now = self._clock()
        if not is_this or now >= attempt.ends or state in self._used:
            return None
        self._used[state] = attempt.ends
        while len(self._used) > MOST_USED or next(iter(self._used.values())) <= now:
            self._used.popitem(last=False)
        return attempt

    def is_worth_a_note(self) -> bool:
        """Whether a failure is one of the first of its minute: strangers cause them, and notes are kept."""
        minute, count = self._clock().replace(second=0, microsecond=0), self._failures[1]
        self._failures = minute, count + 1 if minute == self._failures[0] else 1
        return self._failures[1] <= MOST_NOTED_A_MINUTE
