"""All metrics of one service: a registry of its own, fed by the ports, written out when somebody scrapes.

A scrape is computed once a second at most, however many ask: its cost in the event loop is bounded by that.
"""

import asyncio
import platform
from collections.abc import Callable

import attrs
from prometheus_client import CollectorRegistry, Gauge, Histogram, disable_created_metrics
from prometheus_client import exposition as plain
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from paas_runner import __version__
from paas_runner.metrics.happenings import Happenings
from paas_runner.metrics.labels import Labels
from paas_runner.metrics.present import Present, PresentCollector
from paas_runner.metrics.sharing import RENEWAL_SECONDS

FRESH_SECONDS = 1.0
"""For so long a scrape is answered with what the one before was."""

LAG_EVERY_SECONDS = 1.0
LAG_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)

_CLASHING = "gitlab_runner_jobs"
"""GitLab Runner has a gauge of this name, and with `_total` a counter: OpenMetrics has one name for both."""


@attrs.frozen(kw_only=True)
class Exposition:
    """What a scrape gets."""

    content_type: str
    body: bytes


class Metrics:
    """Counts from the moment at which it is made."""

    def __init__(
        self,
        read: Callable[[], Present],
        *,
        system_id: str,
        name_of: Callable[[str], str],
        exemplars: Callable[[], bool],
    ) -> None:
        """`read` gives what is so now, `name_of` the name of a runner by its key.

        `exemplars` says whether buckets name a job, in the format that can (OpenMetrics).
        """
        disable_created_metrics()  # type: ignore[no-untyped-call]  # of each counter a second series, with its time
        self._registry = CollectorRegistry(auto_describe=False)
        self._read = read
        self._labels = Labels(system_id)
        self._made: dict[bool, tuple[float, Exposition]] = {}
        self._timer: asyncio.TimerHandle | None = None
        # the first of all: it makes the other collectors begin with what there is
        self._registry.register(PresentCollector(self._present, self._labels))
        self.happenings = Happenings(self._registry, self._labels, name_of=name_of, exemplars=exemplars)
        """To be told by the ports."""

        self._renewals: Histogram | None = None
        ProcessCollector(registry=self._registry)
        _version(self._registry)
        self._lag = Histogram(
            "paas_runner_event_loop_lag_seconds",
            "How late the event loop was for an appointment that it had each second.",
            registry=self._registry,
            buckets=LAG_SECONDS,
        )

    def renewed(self, seconds: float, failed: bool) -> None:
        """A renewal of leases took so long; failures are counted where they are known."""
        if self._renewals is None:
            self._renewals = Histogram(
                "paas_runner_lease_renewal_seconds",
                "How long the shared store took for a renewal of leases.",
                registry=self._registry,
                buckets=RENEWAL_SECONDS,
            )
        if not failed:
            self._renewals.observe(seconds)

    def start(self) -> None:
        """Measure the event loop until `stop`."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(LAG_EVERY_SECONDS, self._appear, loop.time() + LAG_EVERY_SECONDS)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def exposition(self, accept: str) -> Exposition:
        """Everything, in the format that a scraper's `Accept` asks for: OpenMetrics, or Prometheus's text."""
        as_openmetrics = "application/openmetrics-text" in accept
        now = asyncio.get_running_loop().time()
        made = self._made.get(as_openmetrics)
        if made is None or now - made[0] >= FRESH_SECONDS:
            made = self._made[as_openmetrics] = now, self._exposed(as_openmetrics)
        return made[1]

    def _present(self) -> Present:
        present = self._read()
        self.happenings.expect(present.view.runners)
        return present

    def _exposed(self, as_openmetrics: bool) -> Exposition:
        if as_openmetrics:
            body: bytes = openmetrics.generate_latest(_OneOfEachName(self._registry))  # type: ignore[no-untyped-call]
            return Exposition(content_type=openmetrics.CONTENT_TYPE_LATEST, body=body)
        return Exposition(
            content_type=plain.CONTENT_TYPE_PLAIN_0_0_4, body=plain.generate_latest(self._registry)
        )

    def _appear(self, due: float) -> None:
        loop = asyncio.get_running_loop()
        self._lag.observe(max(0.0, loop.time() - due))
        self.start()


class _OneOfEachName(Collector):
    """The registry for OpenMetrics: of two families with one name the counter loses its type."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> "list[Metric]":
        return [self._distinct(family) for family in self._registry.collect()]

    @staticmethod
    def _distinct(family: Metric) -> Metric:
        if family.name != _CLASHING or family.type != "counter":
            return family
        renamed = Metric(f"{_CLASHING}_total", family.documentation, "unknown")
        renamed.samples = family.samples
        return renamed


def _version(registry: CollectorRegistry) -> None:
    labels = ("version", "name", "architecture", "os")
    values = (__version__, "paas-runner", platform.machine(), platform.system().lower())
    info = Gauge("gitlab_runner_version_info", "Always 1.", labels, registry=registry)
    info.labels(*values).set(1)
    python = Gauge("paas_runner_python_info", "Always 1.", ("version",), registry=registry)
    python.labels(platform.python_version()).set(1)
