"""`/login/start`, where a browser is sent to the provider, and `/login/callback`, where it comes back."""

import ipaddress
import re
from collections.abc import Sequence

import attrs
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.identity import Identity, wrong_with
from paas_pipelines.login.attempts import GOOD_FOR, Attempt, Attempts
from paas_pipelines.login.provider import Begun, LoginError, Provider
from paas_pipelines.login.sessions import HOST_COOKIE, PLAIN_COOKIE, TOKEN_COOKIE, Sessions
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.journal import Journal
from paas_runner.web.forms import is_https

log = structlog.stdlib.get_logger(__name__)

START, CALLBACK = "/login/start", "/login/callback"
_ATTEMPT = "paas_pipelines_login"
_HOST_ATTEMPT = f"__Host-{_ATTEMPT}"
_OWN_PAGE = re.compile(r"[a-z]{0,40}(\?[!-~]{0,2000})?")
_HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@attrs.frozen(kw_only=True)
class Login:
    """The log-in of one server."""

    provider: Provider
    sessions: Sessions
    attempts: Attempts
    audit: Audit
    journal: Journal
    name: str
    """How people know the provider."""

    external_url: str = ""
    """Where people reach this server; without it only on loopback."""

    def routes(self) -> Sequence[Route]:
        return [
            Route(START, self.start, methods=["GET"]),
            Route(CALLBACK, self.callback, methods=["GET"]),
        ]

    async def start(self, request: Request) -> Response:
        """Send the browser to the provider; `next` is the page that it wants, one of ours."""
        page = request.query_params.get("next", "")
        attempt = self.attempts.begin(page if _OWN_PAGE.fullmatch(page) else "")
        try:
            address = await self.provider.address(self._begun(request, attempt))
        except LoginError as error:
            return _failed(str(error))
        answer = RedirectResponse(address, 303, headers=_HEADERS)
        secure = self.is_secure(request)
        answer.set_cookie(
            _HOST_ATTEMPT if secure else _ATTEMPT,
            self.attempts.sealed(attempt),
            max_age=int(GOOD_FOR.total_seconds()),
            path="/",
            httponly=True,
            samesite="lax",
            secure=secure,
        )
        return answer

    async def callback(self, request: Request) -> Response:
        """Begin a session, always a new one, for whom the provider vouches for."""
        given, secure = request.query_params, self.is_secure(request)
        browser = request.cookies.get(_HOST_ATTEMPT if secure else _ATTEMPT, "")
        attempt = self.attempts.ended(given.get("state", ""), browser)
        if attempt is None:
            return _failed("this log-in was not begun here, is over, or was used already: begin again")
        if "code" not in given:
            return _failed(f"the provider says {given.get('error', 'nothing')[:100]!r}")
        try:
            identity = await self._vouched_for(given["code"], self._begun(request, attempt))
        except LoginError as error:
            if self.attempts.is_worth_a_note():
                self.audit.note("", "login", resources.SERVER, "refused", reason=str(error))
                log.warning("login_failed", reason=str(error))
            return _failed(str(error))
        if old := request.cookies.get(self.cookie(secure=secure)):
            self.sessions.end(old)
        value = self.sessions.begin(identity)
        self.audit.note(str(identity), "login", resources.SERVER)
        await self.journal.flushed()
        answer = RedirectResponse(f"../{attempt.page}", 303, headers=_HEADERS)
        answer.delete_cookie(_HOST_ATTEMPT if secure else _ATTEMPT, path="/", secure=secure)
        answer.delete_cookie(TOKEN_COOKIE, path="/", httponly=True, samesite="strict")
        answer.set_cookie(
            self.cookie(secure=secure),
            value,
            max_age=self.sessions.seconds,
            path="/",
            httponly=True,
            samesite="lax",
            secure=secure,
        )
        return answer

    async def _vouched_for(self, code: str, begun: Begun) -> Identity:
        """Raises `LoginError`."""
        identity = await self.provider.identity(code, begun)
        if wrong := wrong_with(identity):
            raise LoginError(f"what the provider calls you {wrong}")
        return identity

    def logged_out(self, request: Request, answer: Response) -> None:
        """End the session of the request, if it has one."""
        secure = self.is_secure(request)
        if who := self.sessions.end(self.value(request)):
            self.audit.note(str(who), "logout", resources.SERVER)
        answer.delete_cookie(
            self.cookie(secure=secure), path="/", httponly=True, samesite="lax", secure=secure
        )

    def is_secure(self, request: Request) -> bool:
        """Whether browsers come by HTTPS: what the operator says counts first."""
        return self.external_url.startswith("https:") or is_https(request)

    def cookie(self, *, secure: bool) -> str:
        """The name of the session's cookie."""
        return HOST_COOKIE if secure else PLAIN_COOKIE

    def value(self, request: Request) -> str:
        """What the session's cookie says; empty without one."""
        return request.cookies.get(self.cookie(secure=self.is_secure(request)), "")

    def _begun(self, request: Request, attempt: Attempt) -> Begun:
        """Raises `LoginError` where nobody has said how this server is reached: a header may say anything."""
        base = self.external_url
        if not base:
            if not _is_loopback(request.url.hostname or ""):
                raise LoginError(
                    "external_url is needed, so that the provider can be told where to return to"
                )
            base = f"{request.url.scheme}://{request.url.netloc}"
        return Begun(
            redirect_uri=f"{base}{CALLBACK}",
            state=attempt.state,
            nonce=attempt.nonce,
            verifier=attempt.verifier,
        )


def _failed(why: str) -> Response:
    return PlainTextResponse(f"You are not logged in: {why}.\n", 403, headers=_HEADERS)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
