"""The pages: pipelines, who waits and runs, a start form, runs, a run with its graph, a task with its log.

All paths are in one folder and all links relative, so that a proxy may serve them below any prefix. Pages
are read with GET, and a form is posted to the page on which it stands. Who comes without a good token is
sent to the log-in page, which puts a token into the cookie that the API takes, too.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.actor import Way, actor_of
from paas_pipelines.access.statements import CANCEL, READ, RERUN, START
from paas_pipelines.api import requests
from paas_pipelines.api.access import COOKIE, DeniedError
from paas_pipelines.api.requests import RefusedError
from paas_pipelines.api.rights import Rights, sees_groups, visible
from paas_pipelines.api.served import Served
from paas_pipelines.definitions.parameter import text_of
from paas_pipelines.pages.approval_pages import ApprovalPages
from paas_pipelines.pages.framing import Frame, View
from paas_pipelines.pages.graph import graph
from paas_pipelines.pages.log_tail import log_tails
from paas_pipelines.pages.server_pages import ServerPages
from paas_pipelines.pages.start_form import empty_form, filled_form
from paas_pipelines.pages.trigger_pages import TriggerPages
from paas_pipelines.runs.approving import is_open
from paas_pipelines.runs.engine import AlreadyCompletedError, ScheduleRefusedError, ShuttingDownError
from paas_pipelines.runs.run import Run
from paas_pipelines.tasks.executing.executions import Execution
from paas_pipelines.tasks.workers import Waiting
from paas_runner.pipelines.workers import Worker
from paas_runner.store.protocol import StoreError
from paas_runner.web.access import HEADERS
from paas_runner.web.forms import is_from_own_page, is_https, posted_form
from paas_runner.web.rendering import Templates, static_files

REFRESH_SECONDS = 3
LAST_RUNS = 10
PER_PAGE = 50

_PACKAGE = "paas_pipelines.pages"
_HEADERS = {**HEADERS, "Referrer-Policy": "same-origin"}  # forms have to say where they come from
_OWN_PAGE = re.compile(r"[a-z]*(\?[!-~]{0,3000})?")


class PipelinePages:
    """All of them."""

    def __init__(
        self,
        served: Served,
        *,
        workers: Callable[[], Sequence[Worker]] = tuple,
        waiting: Callable[[], Sequence[Waiting]] = tuple,
        leaks: Callable[[], Sequence[Execution]] = tuple,
    ) -> None:
        """`workers` take tasks, nobody has taken those `waiting`, `leaks` need somebody's care."""
        self._served = served
        self._engine = served.engine
        self._rights = Rights(served)
        self._gate = served.gate
        self._templates = Templates(_PACKAGE)
        self._files = static_files(_PACKAGE)
        self._frame = Frame(served=served, guarded=self._guarded, html=self._html)
        self._workers = workers
        self._waiting = waiting
        self._leaks = leaks

    def routes(self) -> Sequence[Route]:
        return [
            Route("/", self._guarded(self.pipelines), methods=["GET"]),
            Route("/runs", self._guarded(self.runs), methods=["GET"]),
            Route("/pipeline", self._guarded(self.pipeline), methods=["GET", "POST"]),
            Route("/run", self._guarded(self.run), methods=["GET", "POST"]),
            Route("/rerun", self._guarded(self.rerun), methods=["POST"]),
            Route("/task", self._guarded(self.task), methods=["GET"]),
            *ApprovalPages(self._frame).routes(),
            *TriggerPages(self._frame).routes(),
            *ServerPages(
                self._frame, workers=self._workers, waiting=self._waiting, leaks=self._leaks
            ).routes(),
            Route("/login", self._guarded(self.login, is_open=True), methods=["GET", "POST"]),
            Route("/logout", self._guarded(self.logout, is_open=True), methods=["POST"]),
            Route("/static/{name}", self._guarded(self.file, is_open=True), methods=["GET"]),
        ]

    async def pipelines(self, request: Request) -> Response:
        """All pipelines, and what waits and runs now."""
        book = self._engine.book
        reads = self._rights.reads(request)
        active, waiting = (
            islice((run for run in runs if reads is None or reads(run.pipeline)), PER_PAGE)
            for runs in (book.all_active(), book.all_waiting())
        )
        unfinished = [*active, *waiting]
        states = visible(self._engine.pipelines(), reads, lambda state: state.definition.name)
        return self._html("pipelines", refresh=REFRESH_SECONDS, states=states, unfinished=unfinished)

    async def runs(self, request: Request) -> Response:
        """Newest first."""
        name, offset = requests.first(request, "pipeline"), requests.whole_number(request, "offset")
        book = self._engine.book
        reads = self._rights.reads(request)
        found = visible(book.runs_of(name) if name else book.runs(), reads, lambda run: run.pipeline)
        names = {*self._engine.definitions, *([name] if name else [])}
        return self._html(
            "runs",
            refresh=REFRESH_SECONDS,
            wanted=name,
            names=visible(sorted(names), reads, str),
            runs=found[offset : offset + PER_PAGE],
            offset=offset,
            limit=PER_PAGE,
            total=len(found),
        )

    async def pipeline(self, request: Request) -> Response:
        """One pipeline and its start form, which comes back if something is wrong."""
        given = await self._frame.posted(request) if request.method == "POST" else {}
        name = requests.first(request, "name")
        definition, missing = self._engine.definitions.get(name), "This pipeline is not defined."
        method = START if request.method == "POST" else READ
        self._rights.require(request, method, resources.pipeline(name), hidden=missing)
        if definition is None:
            raise RefusedError(404, missing)
        fields, asked, wrong, status = empty_form(definition), None, "", 200
        if request.method == "POST":
            fields, asked = filled_form(definition, given)
            wrong, status = "Something is missing or wrong: see below.", 400
        if asked is not None:
            try:
                run = await self._served.schedule(
                    definition.name,
                    variables=asked.variables,
                    user=request.state.user,
                    actor=actor_of(request.state.identity, Way.PAGE),
                    partition=asked.partition,
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
            token=self._frame.form_token(request),
            fields=fields,
            wrong=wrong,
            unfinished=unfinished,
            ended=[*islice((run for run in book.runs_of(definition.name) if run.ended), LAST_RUNS)],
        )

    async def run(self, request: Request) -> Response:
        """One run; a POST cancels it."""
        run = self._rights.run(request, CANCEL if request.method == "POST" else READ)
        if request.method == "POST":
            await self._frame.posted(request)
            try:
                await self._served.cancel(run.run_id, request.state.user)
            except AlreadyCompletedError:
                raise RefusedError(409, "This run had ended before it could be canceled.") from None
            return RedirectResponse(f"run?id={run.run_id}", 303)
        refresh = 0 if run.ended else REFRESH_SECONDS
        return self._html(
            "run",
            refresh=refresh,
            run=run,
            graph=graph(run),
            waiting_for=[task for task in run.tasks if is_open(task)],
            holder=self._engine.holder(run.pipeline) if run.waiting else None,
            outputs=_outputs(run),
            sees_groups=sees_groups(self._served, request.state.identity, run),
            token=self._frame.form_token(request),
        )

    async def rerun(self, request: Request) -> Response:
        """Another run of the same, as its pipeline is defined now."""
        run = self._rights.run(request, RERUN)
        await self._frame.posted(request)
        try:
            again = await self._served.rerun(run.run_id, request.state.identity, Way.PAGE)
        except ScheduleRefusedError as error:
            status = 503 if isinstance(error, ShuttingDownError) else 409
            raise RefusedError(status, f"It was not started: {error}.") from None
        return RedirectResponse(f"run?id={again.run_id}", 303)

    async def task(self, request: Request) -> Response:
        """One task and the ends of its two logs."""
        run, task = self._rights.task(request)
        query = urlencode({"id": run.run_id, "task": task.name})
        tails = log_tails(self._served.logs, run, task)
        return self._html("task", run=run, task=task, tails=tails, query=query)

    async def login(self, request: Request) -> Response:
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
                if self._served.login:  # nobody is two
                    self._served.login.logged_out(request, answer)
                secure = is_https(request)
                answer.set_cookie(COOKIE, token, path="/", httponly=True, samesite="strict", secure=secure)
                return answer
        return self._html(
            "login", 403 if wrong else 200, wrong=wrong, next=target, provider=self._served.login
        )

    async def logout(self, request: Request) -> Response:
        """The session of a log-in is over for good."""
        answer = RedirectResponse("login", 303)
        if self._served.login:
            self._served.login.logged_out(request, answer)
        answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return answer

    async def file(self, request: Request) -> Response:
        """What pages load."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise RefusedError(404, "There is no such file.")
        return found.answer(request)

    def _guarded(self, view: View, *, is_open: bool = False) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            try:
                _check_origin(request)
                if not is_open:
                    who = self._gate.identity(request)
                    request.state.identity, request.state.user = who, str(who)
                answer = await view(request)
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
    if run.start is None:
        return "waiting"
    return "blocked" if run.blocked_since else "running"


def _outputs(run: Run) -> Mapping[str, object]:
    """The run's own, then those of its tasks."""
    of_tasks = {f"{task.name}: {name}": value for task in run.tasks for name, value in task.outputs.items()}
    return {**run.outputs, **of_tasks}


def _check_origin(request: Request) -> None:
    if request.method == "POST" and not is_from_own_page(request):
        raise RefusedError(
            403, "This came from no page of this server, or its proxy kept the Host to itself."
        )


def _own_page(page: str) -> str:
    """Where to go after the log-in: a page of ours, never another place."""
    return page if page and _OWN_PAGE.fullmatch(page) else "./"
