"""Log-ins under way: what was sent to the provider with a browser, and is expected back with the same one.

Each is good once, for ten minutes, and for the browser that has its cookie: neither a state that is replayed
nor one that somebody else has begun logs anybody in.
"""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta

import attrs

MOST_ATTEMPTS = 1000
GOOD_FOR = timedelta(minutes=10)


@attrs.frozen(kw_only=True)
class Attempt:
    """One; all but `page` are random."""

    state: str
    browser: str
    """What the browser's cookie says."""

    nonce: str
    verifier: str
    """Of PKCE."""

    page: str
    """Where to go afterwards: a page of ours."""

    ends: datetime


class Attempts:
    """All of a server, in memory: after a restart people begin anew."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._known: OrderedDict[str, Attempt] = OrderedDict()

    def begin(self, page: str) -> Attempt:
        """A new one."""
        attempt = Attempt(
            state=secrets.token_urlsafe(32),
            browser=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(48),
            page=page,
            ends=self._clock() + GOOD_FOR,
        )
        self._known[attempt.state] = attempt
        while len(self._known) > MOST_ATTEMPTS:
            self._known.popitem(last=False)
        return attempt

    def ended(self, state: str, browser: str) -> Attempt | None:
        """The one that comes back; None for one that is unknown, over, used, or another browser's."""
        attempt = self._known.pop(state, None)
        if attempt is None or self._clock() >= attempt.ends:
            return None
        same = hmac.compare_digest(attempt.browser.encode(), browser.encode(errors="replace"))
        return attempt if same else None
