"""The pages on which people decide: what waits for them, and each approval with all that it is about.

Reading changes nothing: programs that follow the links in mails decide nothing. A decision is a form of the
page, with what was shown as a digest.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

import attrs
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.statements import READ
from paas_pipelines.api import approvals, requests, run_routes
from paas_pipelines.api.requests import RefusedError
from paas_pipelines.api.rights import identity_of, require
from paas_pipelines.api.run_routes import Said
from paas_pipelines.pages.framing import Frame
from paas_pipelines.pages.log_tail import Tail, log_tails
from paas_pipelines.pages.start_form import Field, empty_fields, filled_fields
from paas_pipelines.runs.approving import of
from paas_pipelines.runs.run import Run, Task, TaskStatus

REFRESH_SECONDS = 5
MOST_LOGS = 10
"""So many of the tasks before an approval are shown with the ends of their logs, the last of them."""


@attrs.frozen(kw_only=True)
class Behind:
    """A task that has come before, with what it has said last, and has left to those after it."""

    task: Task
    tails: Sequence[Tail]
    files: approvals.SavedFiles | None = None


class ApprovalPages:
    """All of them."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._served = frame.served

    def routes(self) -> Sequence[Route]:
        guarded = self._frame.guarded
        return [
            Route("/inbox", guarded(self.inbox), methods=["GET"]),
            Route("/approval", guarded(self.approval), methods=["GET", "POST"]),
        ]

    async def inbox(self, request: Request) -> Response:
        """What waits for people: for whoever asks first, then for others."""
        served, who, now = self._served, identity_of(request), self._served.clock()
        mine: list[tuple[Run, Task]] = []
        others: list[tuple[Run, Task]] = []
        for run, task in approvals.open_approvals(served.engine, served.access, who):
            (mine if approvals.may_decide(run, task, served.access, who, now) else others).append((run, task))
        return self._frame.html("inbox", refresh=REFRESH_SECONDS, mine=mine, others=others)

    async def approval(self, request: Request) -> Response:
        """One of them; a POST decides."""
        run, task = self._asked(request)
        fields, wrong, status, reason = empty_fields(of(task).params), "", 200, ""
        if request.method == "POST":
            given = await self._frame.posted(request)
            fields, values = filled_fields(of(task).params, given)
            approved, reason = given.get("decision") == "approve", given.get("reason", "")
            if approved and any(field.wrong for field in fields):
                wrong, status = "Something is missing or wrong: see below.", 400
            else:
                said = Said(
                    approved=approved,
                    digest=given.get("digest", ""),
                    reason=reason.replace("\r\n", "\n").strip(),
                    values=dict(values),
                )
                try:
                    await run_routes.decide(self._served, request, run, task, said)
                    return RedirectResponse(f"run?id={run.run_id}", 303)
                except RefusedError as error:
                    wrong, status = f"Your decision does not count: {error}.", error.status
                run, task = self._asked(request)
        return await self._page(request, run, task, fields, wrong=wrong, status=status, reason=reason)

    async def _page(
        self,
        request: Request,
        run: Run,
        task: Task,
        fields: Sequence[Field],
        *,
        wrong: str,
        status: int,
        reason: str,
    ) -> Response:
        served, who = self._served, identity_of(request)
        return self._frame.html(
            "approval",
            status,
            run=run,
            task=task,
            approval=of(task),
            who=str(who),
            state=approvals.state_of(task),
            mine=approvals.may_decide(run, task, served.access, who, served.clock()),
            behind=await self._behind(request, run, task),
            fields=fields,
            wrong=wrong,
            reason=reason,
            token=self._frame.form_token(request),
            query=urlencode({"id": run.run_id, "task": task.name}),
        )

    def _asked(self, request: Request) -> tuple[Run, Task]:
        run, task = requests.asked_task(request, self._served.engine.book)
        who = identity_of(request)
        require(self._served, who, READ, resources.pipeline(run.pipeline), hidden="Job not found")
        asked = resources.task(run.pipeline, task.name)
        require(self._served, who, READ, asked, hidden="Task not found")
        if approvals.approval_of(task) is None:
            raise RefusedError(404, "This task is no approval.")
        return run, task

    async def _behind(self, request: Request, run: Run, task: Task) -> Sequence[Behind]:
        """Without the logs that whoever asks may not read."""
        may, who = self._served.access.may, identity_of(request)
        files = {each.task: each for each in await approvals.files_before(self._served, run, task, who)}
        found = []
        for each in approvals.tasks_before(run, task)[-MOST_LOGS:]:
            log = resources.log(run.pipeline, each.name)
            readable = each.status is not TaskStatus.SKIPPED and may(who, READ, log).allowed
            tails = log_tails(self._served.logs, run, each) if readable else []
            said = [tail for tail in tails if tail.end]
            found.append(Behind(task=each, tails=said, files=files.get(each.name)))
        return found
