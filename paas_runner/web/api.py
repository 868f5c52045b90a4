"""`/api/v1/…`: the values of `status`, `explain`, `costs` and more as JSON. It reads, and changes nothing."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from paas_runner.errors import UsageError
from paas_runner.job import cost_report
from paas_runner.job.tracked import Phase
from paas_runner.logs import redactor
from paas_runner.status.report import to_data
from paas_runner.status.views import JobExplanation
from paas_runner.store import StoreError
from paas_runner.web import answers, openapi
from paas_runner.web.moment import BusyError, Moment, Watched, Workroom
from paas_runner.web.parameters import Parameter, WrongParameterError, read_all

PREFIX = "/api/v1"

MOST_ROWS = 1000
LONGEST_TEXT = 4000
"""So much of a text that somebody else wrote is told."""

_OFFSET = Parameter(name="offset", doc="Leave out the first so many.", bounds=(0, 10_000_000), default=0)
_LIMIT = Parameter(name="limit", doc="So many at most.", bounds=(1, MOST_ROWS), default=100)
_PART = (_OFFSET, _LIMIT)
_RUNNER = Parameter(name="runner", doc="A runner's short token, or its name.", default="")
_JOB = Parameter(name="job", doc="The job's id.", place="path", bounds=(1, 10**18 - 1))
_DAYS = r"[0-9]{1,4}(?:\.[0-9]{1,3})?[mhdw]"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T[0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
_WHEN = f"{_DAYS}|{_DATE}"
_SINCE = Parameter(
    name="since", doc="a date, a date and time, or a span before now such as 24h or 7d", pattern=_WHEN
)


@attrs.frozen(kw_only=True)
class CostsAnswer:
    """The fields of `paas-runner costs --json`; a part of `rows`, of which there are `row_count`."""

    since: str
    until: str
    by: str
    rows: Sequence[Mapping[str, str | int | float | None]]
    total: Mapping[str, int | float | None]
    row_count: int
    offset: int
    limit: int


@attrs.frozen
class Asked:
    """What a request asks for, and of which moment."""

    watched: Watched
    moment: Moment
    values: Mapping[str, Any]

    @property
    def part(self) -> Mapping[str, Any]:
        return {"offset": self.values["offset"], "limit": self.values["limit"]}


class NothingKnownError(Exception):
    """Nothing is known of what was asked for."""


def _status(asked: Asked) -> answers.StatusAnswer:
    return answers.status_answer(asked.moment.status())


def _runners(asked: Asked) -> answers.RunnersAnswer:
    report = asked.moment.status()
    return answers.RunnersAnswer(at=report.at, runners=report.runners)


def _services(asked: Asked) -> answers.ServicesAnswer:
    return answers.services_answer(asked.watched, asked.moment.at)


def _jobs(asked: Asked) -> answers.JobsAnswer:
    phase = Phase(asked.values["phase"]) if asked.values["phase"] else None
    wanted = answers.JobsWanted(phase=phase, runner=asked.values["runner"], **asked.part)
    return answers.jobs_answer(asked.moment.status(), wanted)


def _job(asked: Asked) -> Sequence[JobExplanation]:
    job, runner = asked.values["job"], asked.values["runner"]
    found = answers.explanations(asked.moment, asked.watched.past, job, runner)
    if not found:
        raise NothingKnownError(f"nothing is known of job {job}: it was never here, or long ago")
    return found


def _hosts(asked: Asked) -> answers.HostsAnswer:
    names = answers.names_of(asked.moment.status())
    return answers.hosts_answer(asked.moment, names=names, **asked.part)


def _orphans(asked: Asked) -> answers.OrphansAnswer:
    names = answers.names_of(asked.moment.status())
    return answers.orphans_answer(asked.watched, asked.moment.at, names=names, **asked.part)


def _failures(asked: Asked) -> answers.FailuresAnswer:
    since = asked.moment.at - timedelta(hours=asked.values["hours"])
    return answers.failures_answer(asked.moment, answers.failed_before(asked.watched.past), since)


def _costs(asked: Asked) -> CostsAnswer:
    values = {name: asked.values[name] for name in ("since", "until", "by")}
    names = answers.names_of(asked.moment.status())
    found = answers.costs(asked.moment, asked.watched.past, **values, names=names)
    offset, limit = asked.part["offset"], asked.part["limit"]
    document = cost_report.document(attrs.evolve(found, rows=found.rows[offset : offset + limit]))
    return CostsAnswer(**document, row_count=len(found.rows), **asked.part)


@attrs.frozen(kw_only=True)
class Operation(openapi.Described):
    """One GET, and the function that answers it, in the thread for that."""

    work: Callable[[Asked], Any]


OPERATIONS: Sequence[Operation] = (
    Operation(
        path="/status",
        name="status",
        summary="The service, its room, its runners: as `paas-runner status`",
        answer=answers.StatusAnswer,
        work=_status,
    ),
    Operation(
        path="/runners",
        name="runners",
        summary="What each runner does, and why it asks for no jobs",
        answer=answers.RunnersAnswer,
        work=_runners,
    ),
    Operation(
        path="/services",
        name="services",
        summary="When each coordinator and cloud last answered, and whether it refuses us",
        answer=answers.ServicesAnswer,
        work=_services,
    ),
    Operation(
        path="/jobs",
        name="jobs",
        summary="The tracked jobs, in the order of their acquisition",
        answer=answers.JobsAnswer,
        work=_jobs,
        parameters=(
            Parameter(
                name="phase",
                doc="Only those in that phase.",
                choices=tuple(str(phase) for phase in Phase if phase not in (Phase.STANDBY, Phase.GONE)),
            ),
            _RUNNER,
            *_PART,
        ),
    ),
    Operation(
        path="/jobs/{job}",
        name="job",
        summary="What happened to the jobs of that id, and what comes next: as `paas-runner explain`",
        answer=Sequence[JobExplanation],
        work=_job,
        parameters=(_JOB, attrs.evolve(_RUNNER, doc="Only that of the runner with that short token.")),
    ),
    Operation(
        path="/hosts",
        name="hosts",
        summary="The hosts of tracked jobs, and what they cost an hour",
        answer=answers.HostsAnswer,
        work=_hosts,
        parameters=_PART,
    ),
    Operation(
        path="/orphans",
        name="orphans",
        summary="What the service's last searches for orphans found; no provider is asked",
        answer=answers.OrphansAnswer,
        work=_orphans,
        parameters=_PART,
    ),
    Operation(
        path="/failures",
        name="failures",
        summary="The jobs that could not be run, by cause",
        answer=answers.FailuresAnswer,
        work=_failures,
        parameters=(
            Parameter(name="hours", doc="Those of so many hours before now.", bounds=(1, 744), default=24),
        ),
    ),
    Operation(
        path="/costs",
        name="costs",
        summary="How long hosts were there, and what that has cost: as `paas-runner costs`",
        answer=CostsAnswer,
        work=_costs,
        parameters=(
            _SINCE,
            attrs.evolve(_SINCE, name="until"),
            Parameter(
                name="by",
                doc="What a row stands for.",
                choices=("tenant", "runner", "flavor", "job", "day"),
                default="tenant",
            ),
            *_PART,
        ),
    ),
)


class Json(Response):
    """JSON, already written."""

    media_type = "application/json"


def api(watched: Watched, workroom: Workroom) -> BaseRoute:
    """All routes under `/api/v1`."""
    described = [attrs.evolve(each, path=f"{PREFIX}{each.path}") for each in OPERATIONS]
    document = json.dumps(openapi.document(described), ensure_ascii=False, indent=1)

    async def openapi_document(_request: Request) -> Response:
        return Json(document)

    routes = [
        Route(each.path, _endpoint(each, watched, workroom), methods=["GET"], name=each.name)
        for each in OPERATIONS
    ]
    routes.append(Route("/openapi.json", openapi_document, methods=["GET"]))
    return Mount(PREFIX, routes=[*routes, Route("/{path:path}", _unknown)])


def problem(status: int, detail: str, *, where: Mapping[str, str] | None = None) -> Response:
    """An answer that says what is wrong."""
    content = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    text = json.dumps(content | ({"where": where} if where else {}))
    return Response(redactor.text(text), status, media_type=openapi.PROBLEM_TYPE)


def _endpoint(operation: Operation, watched: Watched, workroom: Workroom) -> Callable[[Request], Any]:
    def answer(asked: Asked) -> str:
        found = operation.work(asked)
        data = [to_data(each) for each in found] if isinstance(found, list) else to_data(found)
        return redactor.text(json.dumps(bounded(data), ensure_ascii=False, allow_nan=False))

    async def endpoint(request: Request) -> Response:
        try:
            values = read_all(operation.parameters, request.path_params, request.query_params.multi_items())
            asked = Asked(watched, watched.moment(), values)
            return Json(await workroom.run(answer, asked))
        except WrongParameterError as error:
            return problem(400, str(error), where={"in": error.place, "name": error.name})
        except UsageError as error:
            return problem(400, str(error))
        except NothingKnownError as error:
            return problem(404, str(error))
        except StoreError as error:
            return problem(503, str(error))
        except BusyError:
            return problem(503, "too much is asked for at a time: ask again in some seconds")

    return endpoint


async def _unknown(_request: Request) -> Response:
    return problem(404, f"there is nothing at this path; {PREFIX}/openapi.json has all there is")


def bounded(value: Any) -> Any:
    """Without what no JSON text may have, and without the rest of texts that are too long."""
    if isinstance(value, str):
        text = value if len(value) <= LONGEST_TEXT else redactor.beginning(value, LONGEST_TEXT)
        return text if text.isascii() else text.encode(errors="replace").decode()
    if isinstance(value, Mapping):
        return {name: bounded(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [bounded(part) for part in value]
    return value
