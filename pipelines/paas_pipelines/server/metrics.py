"""`/metrics`: what Prometheus may know, computed from the records at a scrape; it needs a token as all else.

Names of pipelines are a label: there are as many as definitions. Of requests the routes are, never paths.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from paas_pipelines.api.access import DeniedError, Gate
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Run
from paas_pipelines.server.listening import Requests

_MILLISECOND = timedelta(milliseconds=1)
_STATES = ("waiting", "running", "completed", "failed", "canceled")


class Metrics(Collector):
    """Of one server; `requests` are counted by route and status."""

    def __init__(self, engine: Engine, requests: Requests, gate: Gate) -> None:
        self._engine = engine
        self._requests = requests
        self._gate = gate
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def route(self) -> Route:
        return Route("/metrics", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        try:
            self._gate.user(request)
        except DeniedError as denied:
            return PlainTextResponse(f"{denied}\n", 401)
        return Response(generate_latest(self._registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        kept = list(self._engine.book.runs())
        runs = Counter((run.pipeline, _state(run)) for run in kept)
        took = Counter[str]()
        for run in kept:
            took[run.pipeline] += (run.end - run.start) // _MILLISECOND if run.start and run.end else 0
        shown = GaugeMetricFamily(
            "paas_pipelines_runs", "Runs that are kept, by state.", labels=("pipeline", "state")
        )
        open_ = GaugeMetricFamily(
            "paas_pipelines_schedulable", "Whether one more run would be taken.", labels=("pipeline",)
        )
        seconds = GaugeMetricFamily(
            "paas_pipelines_run_seconds", "Time that kept runs have taken.", labels=("pipeline",)
        )
        for each in self._engine.pipelines():
            name = each.definition.name
            open_.add_metric((name,), each.schedulable)
            seconds.add_metric((name,), took[name] / 1000)
            for state in _STATES:
                shown.add_metric((name, state), runs[name, state])
        tasks = GaugeMetricFamily(
            "paas_pipelines_tasks", "Tasks of kept runs, by status.", labels=("status",)
        )
        for status, count in Counter(task.status for run in kept for task in run.tasks).items():
            tasks.add_metric((status,), count)
        requests = CounterMetricFamily(
            "paas_pipelines_requests", "Requests, by answer.", labels=("route", "status")
        )
        for (route, code), count in self._requests.items():
            requests.add_metric((route, str(code)), count)
        yield from (shown, open_, seconds, tasks, requests)


def _state(run: Run) -> str:
    if run.waiting:
        return "waiting"
    if run.canceled or not run.completed:
        return "canceled" if run.canceled else "running"
    return "failed" if run.errored else "completed"
