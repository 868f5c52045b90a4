"""The pages: pipelines, who waits and runs, a start form, runs, a run with its graph, a task with its log.

All paths are in one folder and all links relative, so that a proxy may serve them below any prefix. Pages
are read with GET, and a form is posted to the page on which it stands. Who comes without a good token is
sent to the log-in page, which puts a token into the cookie that the API takes, too.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeAlias
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from paas_pipelines.api import requests
from paas_pipelines.api.access import COOKIE, DeniedError, Gate
from paas_pipelines.api.requests import RefusedError
from paas_pipelines.api.served import Served
from paas_pipelines.pages.graph import graph
from paas_pipelines.pages.log_tail import log_tails
from paas_pipelines.pages.start_form import empty_form, filled_form, text_of
from paas_pipelines.runs.engine import AlreadyCompletedError, ScheduleRefusedError, ShuttingDownError
from paas_pipelines.runs.run import Run
from paas_runner.store.protocol import StoreError
from paas_runner.web.access import HEADERS
from paas_runner.web.forms import is_from_own_page, is_https, posted_form
from paas_runner.web.rendering import Templates, static_files

REFRESH_SECONDS = 3
LAST_RUNS = 10
PER_PAGE = 50
MOST_FORM_BYTES = 256 * 1024
MOST_FIELDS = 500

_PACKAGE = "paas_pipelines.pages"
_HEADERS = {**HEADERS, "Referrer-Policy": "same-origin"}  # forms have to say where they come from
_OWN_PAGE = re.compile(r"[a-z]*(\?[!-~]{0,3000})?")

_View: TypeAlias = Callable[[Request, str], Awaitable[Response]]
"""Makes the answer to a request of this user."""


class PipelinePages:
    """All of them."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._engine = served.engine
        self._gate = Gate(served.secret, served.clock)
        self._templates = Templates(_PACKAGE)
        self._files = static_files(_PACKAGE)

    def routes(self) -> Sequence[Route]:
        return [
            Route("/", self._guarded(self.pipelines), methods=["GET"]),
            Route("/runs", self._guarded(self.runs), methods=["GET"]),
            Route("/pipeline", self._guarded(self.pipeline), methods=["GET", "POST"]),
            Route("/run", self._guarded(self.run), methods=["GET", "POST"]),
            Route("/task", self._guarded(self.task), methods=["GET"]),
            Route("/login", self._guarded(self.login, is_open=True), methods=["GET", "POST"]),
            Route("/logout", self._guarded(self.logout, is_open=True), methods=["POST"]),
            Route("/static/{name}", self._guarded(self.file, is_open=True), methods=["GET"]),
        ]

    async def pipelines(self, _request: Request, _user: str) -> Response:
        """All pipelines, and what waits and runs now."""
        book = self._engine.book
        unfinished = [*islice(book.all_active(), PER_PAGE), *islice(book.all_waiting(), PER_PAGE)]
        states = self._engine.pipelines()
        return self._html("pipelines", refresh=REFRESH_SECONDS, states=states, unfinished=unfinished)

    async def runs(self, request: Request, _user: str) -> Response:
        """Newest first."""
        name, offset = requests.first(request, "pipeline"), requests.whole_number(request, "offset")
        book = self._engine.book
        found = list(book.runs_of(name) if name else book.runs())
        return self._html(
            "runs",
            refresh=REFRESH_SECONDS,
            wanted=name,
            names=sorted({*self._engine.definitions, *([name] if name else [])}),
            runs=found[offset : offset + PER_PAGE],
            offset=offset,
            limit=PER_PAGE,
            total=len(found),
        )

    async def pipeline(self, request: Request, user: str) -> Response:
        """One pipeline and its start form, which comes back if something is wrong."""
        given = await posted_form(request, most_bytes=MOST_FORM_BYTES, most_fields=MOST_FIELDS)
        definition = self._engine.definitions.get(requests.first(request, "name"))
        if definition is None:
            raise RefusedError(404, "This pipeline is not defined.")
        fields, asked, wrong, status = empty_form(definition), None, "", 200
        if request.method == "POST":
            fields, asked = filled_form(definition, given)
            wrong, status = "Something is missing or wrong: see below.", 400
        if asked is not None:
            try:
                run = await self._served.schedule(
                    definition.name, variables=asked.variables, user=user, partition=asked.partition
                )
                return RedirectResponse(f"run?id={run.run_id}", 303)
            except ScheduleRefusedError as error:
                wrong = f"It was not started: {error}."
                status = 503 if isinstance(error, ShuttingDownError) else 409
        book = self._engine.book
        active, waiting = book.active(definition.name), book.waiting(definition.name)
        unfinished = [*islice(active, PER_PAGE), *islice(waiting, PER_PAGE)]
        return self._html(
            "pipeline",
            status,
            state=self._engine.pipeline(definition.name),
            fields=fields,
            wrong=wrong,
            unfinished=unfinished,
            ended=[*islice((run for run in book.runs_of(definition.name) if run.ended), LAST_RUNS)],
        )

    async def run(self, request: Request, _user: str) -> Response:
        """One run; a POST cancels it."""
        run = requests.asked_run(request, self._engine.book)
        if request.method == "POST":
            try:
                await self._served.cancel(run.run_id)
            except AlreadyCompletedError:
                raise RefusedError(409, "This run had ended before it could be canceled.") from None
            return RedirectResponse(f"run?id={run.run_id}", 303)
        refresh = 0 if run.ended else REFRESH_SECONDS
        return self._html("run", refresh=refresh, run=run, graph=graph(run))

    async def task(self, request: Request, _user: str) -> Response:
        """One task and the ends of its two logs."""
        run, task = requests.asked_task(request, self._engine.book)
        query = urlencode({"id": run.run_id, "task": task.name})
        tails = log_tails(self._served.logs, run, task)
        return self._html("task", run=run, task=task, tails=tails, query=query)

    async def login(self, request: Request, _user: str) -> Response:
        """Takes a token, never from an address."""
        wrong, target = "", _own_page(requests.first(request, "next"))
        if request.method == "POST":
            form = await posted_form(request)
            token, target = form.get("token", "").strip(), _own_page(form.get("next", ""))
            try:
                self._gate.user_of(token)
            except DeniedError as denied:
                wrong = f"This token does not open the server: {denied}."
            else:
                answer = RedirectResponse(target, 303)
                secure = is_https(request)
                answer.set_cookie(COOKIE, token, path="/", httponly=True, samesite="strict", secure=secure)
                return answer
        return self._html("login", 403 if wrong else 200, wrong=wrong, next=target)

    async def logout(self, _request: Request, _user: str) -> Response:
        answer = RedirectResponse("login", 303)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    async def file(self, request: Request, _user: str) -> Response:
        """What pages load."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise RefusedError(404, "There is no such file.")
        return found.answer(request)

    def _guarded(self, view: _View, *, is_open: bool = False) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                _check_origin(request)
                answer = await view(request, "" if is_open else self._gate.user(request))
                await self._served.durable()
            except DeniedError:
                query = f"?{request.url.query}" if request.url.query else ""
                page = request.url.path.rpartition("/")[2] + query
                answer = RedirectResponse(f"login?next={quote(page, safe='')}", 303)
            except RefusedError as error:
                answer = self._error(error.status, str(error))
            except HTTPException as error:
                answer = self._error(error.status_code, "The form is too long, or is none.")
            except (ClientDisconnect, TimeoutError):
                answer = self._error(408, "The form did not come.")
            except StoreError as error:
                answer = self._error(503, f"The store cannot be written: {error}")
            for name, value in _HEADERS.items():
                answer.headers.setdefault(name, value)
            return answer

        return endpoint

    def _error(self, status: int, text: str) -> Response:
        return self._html("error", status, title=HTTPStatus(status).phrase, text=text)

    def _html(self, template: str, status: int = 200, *, refresh: int = 0, **values: Any) -> Response:
        shown = {"at": self._served.clock(), "state_of": state_of, "text_of": text_of, **values}
        text = self._templates.page(template, active=template, refresh=refresh, **shown)
        return HTMLResponse(text.encode(errors="replace"), status)


def state_of(run: Run) -> str:
    """In one word, which is also the name of its colour."""
    if run.canceled:
        return "canceled" if run.ended else "canceling"
    if run.completed:
        return "error" if run.errored or run.last_error else "done"
    return "waiting" if run.start is None else "running"


def _check_origin(request: Request) -> None:
    if request.method == "POST" and not is_from_own_page(request):
        raise RefusedError(
            403, "This came from no page of this server, or its proxy kept the Host to itself."
        )


def _own_page(page: str) -> str:
    """Where to go after the log-in: a page of ours, never another place."""
    return page if page and _OWN_PAGE.fullmatch(page) else "./"
