"""Who may use the API: whoever has a token that is signed with the server's secret (spec §5).

A token is a JWT by HS256, in the header `Authorization: Bearer …` or in the cookie `jwt`. Of its claims `sub`
names the user, and `groups` those that statements may name (automation.md §9); `iat`, `exp` and `nbf` bound
its time where they are present; all else is ignored.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import jwt
from jwt.algorithms import HMACAlgorithm
from jwt.api_jws import PyJWS
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from paas_pipelines.access.identity import Identity, identity_of, wrong_with
from paas_pipelines.login.routes import Login
from paas_pipelines.login.sessions import TOKEN_COOKIE
from paas_runner import foreign_json
from paas_runner.secret import Secret
from paas_runner.server.wire import bearer
from paas_runner.web.forms import is_from_another_page, is_from_own_page

COOKIE = TOKEN_COOKIE
ALGORITHM = "HS256"
COMMAND_AGENT = "paas-runner-pipelines"
"""What our command says of itself as its `User-Agent`."""

NO_TOKEN = "no token found"  # noqa: S105 - an answer
EXPIRED = "token is expired"
TOO_EARLY = "token nbf validation failed"
NOT_ISSUED = "token iat validation failed"
UNAUTHORIZED = "token is unauthorized"

_TOKEN = re.compile(r"[\w.-]+=*", re.ASCII)
_GUARDED = re.compile(
    r"/(pipelines|job|definitions|triggers|events|approvals|credentials|audit|access|leaks)(/|$)|/runs/|/metrics$"
)


class DeniedError(Exception):
    """A request without a good token; the text is the answer."""


class _Hmac(HMACAlgorithm):
    """As prunner's secrets are 16 characters or more, a length below the hash's own is no news."""

    def check_key_length(self, key: bytes) -> str | None:  # noqa: ARG002
        return None


_signatures = PyJWS(algorithms=[])
_signatures.register_algorithm(ALGORITHM, _Hmac(HMACAlgorithm.SHA256))


def signed_token(secret: Secret, claims: Mapping[str, Any]) -> str:
    """A token with these claims."""
    payload = json.dumps(claims, separators=(",", ":")).encode()
    return _signatures.encode(payload, secret.reveal().encode(), ALGORITHM)


class Gate:
    """Looks at tokens."""

    def __init__(
        self,
        secret: Secret,
        clock: Callable[[], datetime],
        domain: str = "",
        login: Login | None = None,
    ) -> None:
        """`domain` is that of whoever has a token; with `login` sessions count, too."""
        self._domain = domain
        self._login = login
        self._key = secret.reveal().encode()
        self._clock = clock

    def identity(self, connection: HTTPConnection) -> Identity:
        """Whose request it is; raises `DeniedError`."""
        if token := bearer(connection):
            return self.identity_of(token)
        if found := self._logged_in(connection):
            return found
        if token := _token_of_cookie(connection):
            return self.identity_of(token)
        raise DeniedError(NO_TOKEN)

    def _logged_in(self, connection: HTTPConnection) -> Identity | None:
        """By the session of a log-in; who changes something does so from a page of this server."""
        if self._login is None:
            return None
        request = Request(connection.scope)
        if request.method not in ("GET", "HEAD") and not is_from_own_page(request):
            return None
        return self._login.sessions.identity(self._login.value(request))

    def user(self, connection: HTTPConnection) -> str:
        """Whose request it is, empty where the token does not say; raises `DeniedError`."""
        return str(self.identity(connection))

    def user_of(self, token: str) -> str:
        """Whose token it is, empty where it does not say; raises `DeniedError`."""
        return str(self.identity_of(token))

    def identity_of(self, token: str) -> Identity:
        """Whose token it is; raises `DeniedError`."""
        claims = self._claims(token)
        self._check_time(claims)
        identity = identity_of(claims, self._domain)
        is_of_login = self._login and str(identity).startswith(f"{self._login.name}/")
        if is_of_login or wrong_with(identity):  # as somebody else is written
            raise DeniedError(UNAUTHORIZED)
        return identity

    def _claims(self, token: str) -> Mapping[str, Any]:
        if not _TOKEN.fullmatch(
            token
        ):  # beside its signature, readers of base64 take what is no letter of it
            raise DeniedError(UNAUTHORIZED)
        try:
            payload = _signatures.decode(token, self._key, algorithms=[ALGORITHM])
            claims = foreign_json.loads(payload)
        except (jwt.PyJWTError, ValueError):
            raise DeniedError(UNAUTHORIZED) from None
        if not isinstance(claims, dict):
            raise DeniedError(UNAUTHORIZED)
        return claims

    def _check_time(self, claims: Mapping[str, Any]) -> None:
        """In whole seconds, and in the order of the library that prunner uses."""
        now = int(self._clock().timestamp())
        if (issued := _seconds(claims, "iat")) is not None and now < issued:
            raise DeniedError(NOT_ISSUED)
        if (expires := _seconds(claims, "exp")) is not None and now >= expires:
            raise DeniedError(EXPIRED)
        if (begins := _seconds(claims, "nbf")) is not None and now < begins:
            raise DeniedError(TOO_EARLY)


class Guarded:
    """Lets requests to what is guarded pass with a token alone, and says whose they are."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with `identity` and `user` in its state, or answer 401."""
        if scope["type"] == "http" and _is_guarded(scope["path"], scope.get("root_path", "")):
            try:
                identity = self._gate.identity(HTTPConnection(scope))
                scope.setdefault("state", {}).update(identity=identity, user=str(identity))
            except DeniedError as denied:
                await PlainTextResponse(f"{denied}\n", 401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_guarded(path: str, mounted_at: str) -> bool:
    """Whether the server is mounted below another path or not."""
    return any(_GUARDED.match(each) for each in (path, path.removeprefix(mounted_at)))


def _token_of_cookie(connection: HTTPConnection) -> str:
    """A cookie that another origin makes a browser send along with a change counts for nothing."""
    if connection.scope["method"] not in ("GET", "HEAD") and is_from_another_page(connection):
        return ""
    return connection.cookies.get(COOKIE, "")


def _seconds(claims: Mapping[str, Any], name: str) -> int | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DeniedError(UNAUTHORIZED)
    return int(value)
