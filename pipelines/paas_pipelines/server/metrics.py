"""`/metrics`: what Prometheus may know, computed from the records at a scrape; it needs a token as all else.

Whose token it is may not see every pipeline: then the others are not counted.

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

from paas_pipelines.api.rights import Rights, visible
from paas_pipelines.api.served import Served
from paas_pipelines.api.shapes import Reads
from paas_pipelines.notices.outbox import Outbox
from paas_pipelines.pages.site import state_of
from paas_pipelines.runs.engine import Engine
from paas_pipelines.triggers.event import EventState
from paas_pipelines.triggers.feed import Feed

_STATES = ("waiting", "running", "done", "error", "canceling", "canceled")


def route(served: Served, feed: Feed, outbox: Outbox | None = None) -> Route:
    """Of one server; without an outbox it tells nobody anything."""
    rights, process = Rights(served), ProcessCollector(registry=None)

    async def answer(request: Request) -> Response:
        registry = CollectorRegistry()
        registry.register(_Pipelines(served.engine, rights.reads(request)))
        registry.register(_Events(feed))
        registry.register(_Owed(served, rights.reads(request), outbox))
        registry.register(process)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Route("/metrics", answer, methods=["GET"])


@attrs.frozen(eq=False)
class _Pipelines(Collector):
    engine: Engine
    reads: Reads | None

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        counts = Counter(
            (run.pipeline, state_of(run))
            for run in visible(self.engine.book.runs(), self.reads, lambda run: run.pipeline)
        )
        runs = GaugeMetricFamily(
            "paas_pipelines_runs", "Runs that are kept, by state.", labels=("pipeline", "state")
        )
        schedulable = GaugeMetricFamily(
            "paas_pipelines_schedulable", "Whether one more run would be taken.", labels=("pipeline",)
        )
        for each in visible(self.engine.pipelines(), self.reads, lambda state: state.definition.name):
            name = each.definition.name
            schedulable.add_metric((name,), each.schedulable)
            for state in _STATES:
                runs.add_metric((name, state), counts[name, state])
        yield from (runs, schedulable)


@attrs.frozen(eq=False)
class _Events(Collector):
    feed: Feed

    def collect(self) -> Iterator[Metric]:
        """How many there are, and for how long the oldest has waited."""
        counts = self.feed.book.counts()
        events = GaugeMetricFamily(
            "paas_pipelines_events", "Events that are kept, by state.", labels=("state",)
        )
        for state in EventState:
            events.add_metric((state.value,), counts[state])
        oldest = self.feed.oldest_waiting()
        yield events
        yield GaugeMetricFamily(
            "paas_pipelines_events_oldest_waiting_seconds",
            "For how long the oldest event has waited that is not handled.",
            value=oldest.total_seconds(),
        )


@attrs.frozen(eq=False)
class _Owed(Collector):
    served: Served
    reads: Reads | None
    outbox: Outbox | None

    def collect(self) -> Iterator[Metric]:
        """What somebody has to look after, and what people are still to be told."""
        leaks = visible(self.served.leaks(), self.reads, lambda leak: leak.pipeline)
        yield GaugeMetricFamily(
            "paas_pipelines_leaks",
            "Executors of which something could not be taken away.",
            value=len(leaks),
        )
        yield GaugeMetricFamily(
            "paas_pipelines_notices_waiting",
            "Notices that are not delivered yet.",
            value=len(self.outbox.waiting()) if self.outbox else 0,
        )
