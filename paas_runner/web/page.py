"""Page and API as one part of the site: their routes, who may use them, and what is said where they fail."""

import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from paas_runner.secret import Secret
from paas_runner.web.access import COOKIE, HEADERS, Access, Refusal, Sessions, WrongTries, session_of
from paas_runner.web.api import PREFIX, api, problem
from paas_runner.web.forms import MOST_FORM_BYTES, is_https, posted_form
from paas_runner.web.moment import Watched, Workroom
from paas_runner.web.pages import Pages
from paas_runner.web.rendering import Templates, static_files

_OPEN_TO_ALL = ("/login", "/static/")


def page_app(
    watched: Watched,
    workroom: Workroom,
    *,
    token: Secret | None,
    now: Callable[[], float] = time.monotonic,
) -> ASGIApp:
    """The application; `now` is in seconds of a clock that never goes back."""
    access = Access(token=token, sessions=Sessions(now), wrong_tries=WrongTries(now))
    pages = Pages(watched, workroom, Templates(), static_files(), with_login=token is not None)
    doors = _Doors(access, pages)
    return Starlette(
        routes=[*(doors.routes() if token else ()), api(watched, workroom), *pages.routes()],
        middleware=[Middleware(WithHeaders), Middleware(Guard, access=access)],
        exception_handlers={HTTPException: _said_by(pages)},
    )


class WithHeaders:
    """Puts the headers into every answer that keep others out of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, sending)


class Guard:
    """Lets nobody through without token or session, where one is needed."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and not scope["path"].startswith(_OPEN_TO_ALL):
            request = Request(scope)
            if refusal := self._access.refusal(request):
                app = _refused(request, refusal)
        await app(scope, receive, send)


def _refused(request: Request, refusal: Refusal) -> Response:
    if refusal.wait_seconds:
        answer = problem(429, "too many wrong tokens came from there: try again later")
        answer.headers["Retry-After"] = str(round(refusal.wait_seconds) + 1)
        return answer
    if request.url.path.startswith(PREFIX) or "authorization" in request.headers:
        answer = problem(401, "`Authorization: Bearer …` with the service's `paas_page_token` is needed")
        answer.headers["WWW-Authenticate"] = 'Bearer realm="paas-runner"'
        return answer
    return RedirectResponse(f"/login?next={quote(request.url.path)}", 303)


class _Doors:
    """Logging in and out: all that is ever posted, and it changes nothing but who may look."""

    def __init__(self, access: Access, pages: Pages) -> None:
        self._access = access
        self._pages = pages

    def routes(self) -> list[Route]:
        return [
            Route("/login", self._form, methods=["GET"]),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
        ]

    async def _form(self, request: Request) -> Response:
        return self._pages.html("login", wrong="", next=_own_path(request.query_params.get("next", "")))

    async def _log_in(self, request: Request) -> Response:
        form = await posted_form(request)
        target = _own_path(form.get("next", ""))
        if refusal := self._access.wrong(form.get("token", "").strip(), request):
            wrong = "This is not the token."
            if refusal.wait_seconds:
                wrong = f"Too many wrong tokens: try again in {round(refusal.wait_seconds) + 1} s."
            status = 429 if refusal.wait_seconds else 403
            return self._pages.html("login", status, wrong=wrong, next=target)
        answer = RedirectResponse(target, 303)
        answer.set_cookie(
            COOKIE,
            self._access.sessions.begin(),
            httponly=True,
            samesite="strict",
            secure=is_https(request),
            path="/",
        )
        return answer

    async def _log_out(self, request: Request) -> Response:
        answer = RedirectResponse("/login", 303)
        if session_of(request) not in self._access.sessions:
            return answer  # a page of somebody else's sends no cookie of ours, and takes none away
        self._access.sessions.end(session_of(request))
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer


def _own_path(path: str) -> str:
    """Where to go after the login: a path of ours, never another place."""
    plain = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if plain and path.isprintable() and len(path) < MOST_FORM_BYTES else "/"


def _said_by(pages: Pages) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def said(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = getattr(error, "headers", None) or {}
        phrase = HTTPStatus(status).phrase
        if request.url.path.startswith(PREFIX):
            answer = problem(status, phrase)
        else:
            answer = pages.error(status, phrase, "There is no such page, or it cannot be used like that.")
        answer.headers.update(headers)
        return answer

    return said
