"""Who may see page and API: whoever is on this machine, or has the token.

A program sends the token as `Authorization: Bearer …`; a person enters it once, and has a session from then
on: a cookie of no meaning of its own, which ends with the process, after `LONGEST_SESSION`, or at the logout.
Without a token the configuration is refused where others than this machine could connect, and what names
another host is refused before it comes here (`listening.py`): no page of somebody else's reads ours.
"""

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie

import attrs
from starlette.requests import HTTPConnection

from paas_runner.secret import Secret

COOKIE = "paas_runner_page"
LONGEST_SESSION = timedelta(hours=12)
MOST_SESSIONS = 200
WRONG_TRIES = 5
"""So many wrong tokens within `PATIENCE` are looked at that come from one address."""

PATIENCE = timedelta(minutes=1)
_MOST_ADDRESSES = 1000

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer: nothing from elsewhere is loaded or run, nobody else shows it, nothing is kept."""


class Sessions:
    """Who has entered the token; only digests of what the cookies say are kept."""

    def __init__(self, now: Callable[[], float]) -> None:
        """`now` is in seconds of a clock that never goes back."""
        self._now = now
        self._ends: OrderedDict[str, float] = OrderedDict()

    def begin(self) -> str:
        """What the cookie of a new session says."""
        value = secrets.token_urlsafe(32)
        self._ends[_digest(value)] = self._now() + LONGEST_SESSION.total_seconds()
        while len(self._ends) > MOST_SESSIONS:
            self._ends.popitem(last=False)
        return value

    def end(self, value: str) -> None:
        self._ends.pop(_digest(value), None)

    def __contains__(self, value: str) -> bool:
        return self._ends.get(_digest(value), 0.0) > self._now()


class WrongTries:
    """Wrong tokens by address, so that nobody tries them by the thousand."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._tries: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_for(self, address: str) -> float:
        """For how many seconds nothing from there is looked at."""
        tries = self._tries.get(address)
        if tries is None or len(tries) < WRONG_TRIES:
            return 0.0
        return max(tries[0] + PATIENCE.total_seconds() - self._now(), 0.0)

    def add(self, address: str) -> None:
        tries = self._tries.setdefault(address, deque(maxlen=WRONG_TRIES))
        tries.append(self._now())
        self._tries.move_to_end(address)
        while len(self._tries) > _MOST_ADDRESSES:
            self._tries.popitem(last=False)


@attrs.frozen(kw_only=True)
class Access:
    """Decides on requests; without a token all are answered."""

    token: Secret | None
    sessions: Sessions
    wrong_tries: WrongTries

    def refusal(self, request: HTTPConnection) -> "Refusal | None":
        """Why the request is not answered; None where it is."""
        if self.token is None or (session_of(request) in self.sessions):
            return None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer":
            return Refusal(wait_seconds=0.0)
        return self.wrong(given.strip(), request)

    def wrong(self, given: str, request: HTTPConnection) -> "Refusal | None":
        """What is wrong with a token that somebody gave; None where it is the right one."""
        address = address_of(request)
        if wait := self.wrong_tries.wait_for(address):
            return Refusal(wait_seconds=wait)
        expected = self.token.reveal() if self.token else ""
        if expected and hmac.compare_digest(given.encode(errors="replace"), expected.encode()):
            return None
        self.wrong_tries.add(address)
        return Refusal(wait_seconds=0.0)


@attrs.frozen(kw_only=True)
class Refusal:
    """The token is missing or wrong, or nothing is looked at for a while."""

    wait_seconds: float


def session_of(request: HTTPConnection) -> str:
    """What the cookie says; empty without one."""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(request.headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookies[COOKIE].value if COOKIE in cookies else ""


def address_of(request: HTTPConnection) -> str:
    """Where it comes from; those behind a proxy, or on a unix socket, share one."""
    return request.client.host if request.client else ""


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="replace")).hexdigest()
