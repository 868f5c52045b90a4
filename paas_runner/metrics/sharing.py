"""What processes that share a store have of it, each its own: sums and maxima over all of them make sense.

The label `system_id`, which all of them have in common, tells one group from another.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from paas_runner.metrics.labels import RUNNER, RunnerValues
from paas_runner.status.sharing import SharingReport

GROUP = ("system_id",)

RENEWAL_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 2.5, 5)

_CHANGES = ("taken", "taken_over", "handed_over", "lost")


def of_sharing(
    report: SharingReport, now: datetime, runners: Mapping[str, RunnerValues], system_id: str
) -> Iterator[Metric]:
    """All of it; `runners` has the labels of those that are told apart."""
    group = [system_id]
    yield from _leases(report, now, runners)
    members = _gauge("paas_runner_members", "Processes that share the store and are alive.", GROUP)
    members.add_metric(group, len(report.alive))
    silent = _gauge(
        "paas_runner_store_silent_seconds", "For how long the shared store has not answered.", GROUP
    )
    since = report.silent_since
    silent.add_metric(group, max(0.0, (now - since).total_seconds()) if since else 0.0)
    part = _gauge(
        "paas_runner_allotment", "What this process may use of the common bounds.", (*GROUP, "bound")
    )
    for bound, amount in (
        ("jobs", report.may_use.jobs),
        ("provisioning", report.may_use.provisioning),
        ("weight", report.may_use.weight),
    ):
        part.add_metric([*group, bound], amount)
    yield from (members, silent, part)
    yield from _counted(report.counters, group)


def _leases(report: SharingReport, now: datetime, runners: Mapping[str, RunnerValues]) -> Iterator[Metric]:
    held = _gauge("paas_runner_lease_held", "1 where this process has the runner, else 0.", RUNNER)
    left = _gauge(
        "paas_runner_lease_seconds", "Until the lease of a runner that this process has runs out.", RUNNER
    )
    sections = {section.runner: section for section in report.sections}
    for key, labels in runners.items():
        section = sections.get(key)
        here = section is not None and section.here
        held.add_metric(labels, here)
        if section and here and section.until:
            left.add_metric(labels, (section.until - now).total_seconds())
    yield from (held, left)


def _counted(counters: Mapping[str, int], group: Sequence[str]) -> Iterator[Metric]:
    changes = CounterMetricFamily(
        "paas_runner_lease_changes", "Runners that this process got or gave.", labels=[*GROUP, "change"]
    )
    for change in _CHANGES:
        changes.add_metric([*group, change], counters.get(change, 0))
    yield changes
    for name, key, text in (
        ("paas_runner_stale_writes", "stale_writes", "Writes that were refused: another had the runner."),
        ("paas_runner_lease_renewals_failed", "renewals_failed", "Renewals that the store did not answer."),
    ):
        family = CounterMetricFamily(name, text, labels=GROUP)
        family.add_metric(group, counters.get(key, 0))
        yield family


def _gauge(name: str, text: str, labels: Sequence[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)
