"""What machines ask: does the service live, by the watchdog's evidence; could it take jobs; all its numbers.

`/health` is for whoever restarts the service, so that nothing outside counts in it. `/ready` is for whoever
wants to know whether jobs get through: it fails when no runner could take one, or a coordinator or cloud that
is needed does not answer or refuses us. Where several processes share a store, one that stands by is ready,
too: to take over; one that is cut off from the store is not. `/metrics` is the exposition of the room
`metrics`, never compressed.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from paas_runner.http import coordinator_at
from paas_runner.status.reach import Reached
from paas_runner.status.report import RunnerReport, RunnerState, ServiceState, StatusReport
from paas_runner.status.sharing import Role, SharingReport
from paas_runner.status.sharing_wording import role_line
from paas_runner.web.site import Sources

_NEVER_CACHED = {"Cache-Control": "no-store"}
_TAKING = (RunnerState.POLLING, RunnerState.NO_ROOM)
"""A runner without room is as it should be: jobs end."""


def health(sources: Sources) -> Sequence[BaseRoute]:
    """The routes of this part."""

    async def alive(_request: Request) -> Response:
        hung = sources.hung()
        body = {"alive": not hung, "hung": list(hung), "role": _role(sources.sharing())}
        return JSONResponse(body, 503 if hung else 200, headers=_NEVER_CACHED)

    async def ready(_request: Request) -> Response:
        body = readiness(sources)
        return JSONResponse(body, 200 if body["ready"] else 503, headers=_NEVER_CACHED)

    async def metrics(request: Request) -> Response:
        exposed = sources.scraped(request.headers.get("accept", ""))
        return Response(exposed.body, headers={"Content-Type": exposed.content_type})

    return [
        Route("/health", alive, methods=["GET"]),
        Route("/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
    ]


def readiness(sources: Sources) -> Mapping[str, Any]:
    """Whether jobs could be taken, why not, and what is known of each coordinator and cloud.

    Ages are in seconds, None where there was no success yet.
    """
    report, now = sources.status(), sources.clock()
    services = _services(sources)
    obstacles = [*_obstacles(sources.running(), report)]
    if not _stands_by(report):  # who asks nobody knows of nobody how he is now
        obstacles += [*_works_not(report), *_of_services(services.values())]
    return {
        "ready": not obstacles,
        "why_not": obstacles,
        "service": str(report.service.state),
        "role": _role(report.sharing),
        "since": report.service.since and report.service.since.isoformat(),
        "services": [_described(service, now) for service in services.values()],
        "runners": [_runner(runner) for runner in report.runners],
    }


def _role(sharing: SharingReport | None) -> str | None:
    """Among those that share a store; None of one that is alone."""
    return None if sharing is None else str(sharing.role)


def _stands_by(report: StatusReport) -> bool:
    return report.sharing is not None and report.sharing.role is Role.STANDBY


def _services(sources: Sources) -> Mapping[str, Reached]:
    """Those that were called, and the coordinators that are configured; others that were do not count."""
    configured = [coordinator_at(url) for url in sources.coordinators()]
    found = {name: Reached(service=name) for name in configured}
    for name, service in sources.reached().items():
        if name in found or not service.is_coordinator:
            found[name] = service
    return found


def _obstacles(running: bool, report: StatusReport) -> Iterator[str]:
    if report.service.state is not ServiceState.RUNNING:
        yield f"the service is {report.service.state}: it takes no more jobs"
    elif not running:
        yield "the service is still starting"
    if report.service.trouble:
        yield report.service.trouble
    if report.sharing and report.sharing.role is Role.CUT_OFF:
        yield role_line(report.sharing)


def _works_not(report: StatusReport) -> Iterator[str]:
    if not any(runner.state in _TAKING for runner in report.runners):
        yield "no runner can ask for a job"


def _of_services(services: Iterable[Reached]) -> Iterator[str]:
    for service in services:
        if service.is_silent:
            yield f"{service.service}: {service.why}"
        elif service.is_coordinator and service.last_success is None:
            yield f"{service.service}: has not answered yet"


def _described(service: Reached, now: datetime) -> Mapping[str, Any]:
    last = service.last_success
    return {
        "service": service.service,
        "state": str(service.state),
        "last_success": last and last.isoformat(timespec="milliseconds"),
        "age_seconds": None if last is None else round(max(0.0, (now - last).total_seconds()), 1),
        "failures_in_a_row": service.failures,
        "last_status": service.last_status,
    }


def _runner(runner: RunnerReport) -> Mapping[str, Any]:
    return {"name": runner.name, "runner": runner.runner, "state": str(runner.state), "why": runner.why}
