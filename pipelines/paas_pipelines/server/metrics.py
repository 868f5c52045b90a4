"""`/metrics`: what Prometheus may know, computed from the records at a scrape; it needs a token as all else.

Names of pipelines are a label: there are as many as definitions.
"""

from collections import Counter
from collections.abc import Iterator

import attrs
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from paas_pipelines.pages.site import state_of
from paas_pipelines.runs.engine import Engine

_STATES = ("waiting", "running", "done", "error", "canceling", "canceled")


def route(engine: Engine) -> Route:
    """Of one server."""
    registry = CollectorRegistry()
    registry.register(_Pipelines(engine))
    ProcessCollector(registry=registry)

    async def answer(_request: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Route("/metrics", answer, methods=["GET"])


@attrs.frozen(eq=False)
class _Pipelines(Collector):
    engine: Engine

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        counts = Counter((run.pipeline, state_of(run)) for run in self.engine.book.runs())
        runs = GaugeMetricFamily(
            "paas_pipelines_runs", "Runs that are kept, by state.", labels=("pipeline", "state")
        )
        schedulable = GaugeMetricFamily(
            "paas_pipelines_schedulable", "Whether one more run would be taken.", labels=("pipeline",)
        )
        for each in self.engine.pipelines():
            name = each.definition.name
            schedulable.add_metric((name,), each.schedulable)
            for state in _STATES:
                runs.add_metric((name, state), counts[name, state])
        yield from (runs, schedulable)
