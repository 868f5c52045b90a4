"""What people do with runs beside starting and canceling them: see what is needed for one, decide, run again,
look at results (automation.md §10).
"""

from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from paas_pipelines.access import resources
from paas_pipelines.access.statements import APPROVE, READ, RERUN
from paas_pipelines.api import approvals, requests, rights
from paas_pipelines.api.definition_shapes import definition_shape
from paas_pipelines.api.requests import RefusedError, json_answer
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import actor_shape, encoded
from paas_pipelines.runs.approving import DecisionRefusedError
from paas_pipelines.runs.engine import ScheduleRefusedError, ShuttingDownError
from paas_pipelines.runs.run import Run, Task

MOST_APPROVALS = 1000
_NOT_DEFINED = "Pipeline not found"
_WORDS = {"approve": True, "reject": False}
_KNOWN = frozenset({"decision", "reason", "values", "digest"})


@attrs.frozen(kw_only=True)
class Said:
    """The body of a decision."""

    approved: bool
    digest: str
    reason: str = ""
    values: dict[str, Any] = attrs.field(factory=dict)


class RunRoutes:
    """All of them."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def routes(self) -> list[Route]:
        return [
            Route("/definitions/{pipeline:path}", self.definition, methods=["GET"]),
            Route("/approvals", self.approvals, methods=["GET"]),
            Route("/runs/{run}/approvals/{task:path}", self.approval, methods=["GET"]),
            Route("/runs/{run}/approvals/{task:path}", self.decide, methods=["POST"]),
            Route("/runs/{run}/rerun", self.rerun, methods=["POST"]),
            Route("/runs/{run}/actor", self.actor, methods=["GET"]),
            Route("/runs/{run}/outputs", self.outputs, methods=["GET"]),
            Route("/runs/{run}/files/{task:path}", self.files, methods=["GET"]),
        ]

    async def definition(self, request: Request) -> Response:
        """200, 404."""
        found = self._served.engine.definitions.get(request.path_params["pipeline"])
        if found is None:
            raise RefusedError(404, _NOT_DEFINED)
        who = rights.identity_of(request)
        rights.require(self._served, who, READ, resources.pipeline(found.name), hidden=_NOT_DEFINED)
        return json_answer(encoded(definition_shape(found)))

    async def approvals(self, request: Request) -> Response:
        """Those that are open; with `mine` those that whoever asks can decide."""
        served, identity = self._served, rights.identity_of(request)
        only_mine = "mine" in request.query_params and requests.first(request, "mine") not in ("0", "false")
        found, now = [], served.clock()
        for run, task in approvals.open_approvals(served.engine, served.access, identity):
            mine = approvals.may_decide(run, task, served.access, identity, now)
            if mine or not only_mine:
                found.append(approvals.approval_shape(run, task, mine=mine))
        await served.durable()
        return json_answer(encoded({"approvals": found[:MOST_APPROVALS]}))

    async def approval(self, request: Request) -> Response:
        run, task = self._asked(request)
        await self._served.durable()
        return await self._answer(request, run, task)

    async def decide(self, request: Request) -> Response:
        """200 with what it is then, 400, 403, 404, 409."""
        said = said_in(await requests.json_object(request))
        run, task = self._asked(request)
        after = await decide(self._served, request, run, task, said)
        return await self._answer(request, after, after.task(task.name))

    async def rerun(self, request: Request) -> Response:
        """A new run as the pipeline is defined now, with the same variables: 202, 400, 503."""
        run = rights.run_of_path(self._served, request)
        identity = rights.identity_of(request)
        rights.require(self._served, identity, RERUN, resources.pipeline(run.pipeline))
        try:
            again = await self._served.rerun(run.run_id, identity, rights.way_of(request))
        except ShuttingDownError:
            raise RefusedError(503, "Server is shutting down") from None
        except ScheduleRefusedError as refused:
            raise RefusedError(400, f"Error scheduling pipeline: {refused}") from None
        return json_answer(encoded({"jobId": again.run_id}), 202)

    async def actor(self, request: Request) -> Response:
        """Who has started it; his groups for himself, and for who may read the audit."""
        run = rights.run_of_path(self._served, request)
        await self._served.durable()
        groups = rights.sees_groups(self._served, rights.identity_of(request), run)
        return json_answer(encoded(actor_shape(run, groups=groups)))

    async def outputs(self, request: Request) -> Response:
        """What its tasks have told, and the run as a whole."""
        run = rights.run_of_path(self._served, request)
        await self._served.durable()
        tasks = {task.name: dict(task.outputs) for task in run.tasks if task.outputs}
        return json_answer(encoded({"run": run.run_id, "outputs": dict(run.outputs), "tasks": tasks}))

    async def files(self, request: Request) -> Response:
        """The archive of what a task has saved: 200, 404."""
        run, task = rights.task_of_path(self._served, request)
        log, who = resources.log(run.pipeline, task.name), rights.identity_of(request)
        rights.require(self._served, who, READ, log, hidden="Task not found")
        kept = self._served.files
        path = kept.path(run.run_id, task.name) if kept and task.saved else None
        await self._served.durable()
        if path is None or not path.is_file():
            raise RefusedError(404, "This task has saved no files")
        return FileResponse(path, media_type="application/zip", headers={"Cache-Control": "no-store"})

    def _asked(self, request: Request) -> tuple[Run, Task]:
        run, task = rights.task_of_path(self._served, request)
        if approvals.approval_of(task) is None:
            raise RefusedError(404, "This task is no approval")
        return run, task

    async def _answer(self, request: Request, run: Run, task: Task) -> Response:
        served, identity = self._served, rights.identity_of(request)
        mine = approvals.may_decide(run, task, served.access, identity, served.clock())
        files = await approvals.files_before(served, run, task, identity)
        return json_answer(encoded(approvals.approval_shape(run, task, mine=mine, files=files)))


async def decide(served: Served, request: Request, run: Run, task: Task, said: Said) -> Run:
    """The decision of whoever asks, on the disk; raises `RefusedError`."""
    identity = rights.identity_of(request)
    rights.require(served, identity, APPROVE, resources.task(run.pipeline, task.name))
    try:
        return await served.decide(
            run.run_id,
            task.name,
            identity=identity,
            approved=said.approved,
            reason=said.reason,
            values=said.values if said.approved else {},
            digest=said.digest,
        )
    except DecisionRefusedError as refused:
        raise RefusedError(refused.status, str(refused)) from None


def said_in(given: dict[str, Any]) -> Said:
    """Raises `RefusedError` with 400."""
    if unknown := sorted(given.keys() - _KNOWN):
        raise RefusedError(400, f'unknown key "{unknown[0]}"')
    decision, values = given.get("decision"), given.get("values")
    if not isinstance(decision, str) or decision not in _WORDS:
        raise RefusedError(400, "decision must be approve or reject")
    for name in ("reason", "digest"):
        if not isinstance(given.get(name, ""), str):
            raise RefusedError(400, f"{name} must be a string")
    if values is not None and not isinstance(values, dict):
        raise RefusedError(400, "values must be an object")
    if not given.get("digest"):
        raise RefusedError(400, "digest is required: that of what was shown")
    return Said(
        approved=_WORDS[decision], digest=given["digest"], reason=given.get("reason", ""), values=values or {}
    )
