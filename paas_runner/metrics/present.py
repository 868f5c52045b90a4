"""What is so at the moment of a scrape, computed from the records: nothing here is kept between two of them.

With thousands of jobs it costs one walk over them, and sums over their shares (`job/shares.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from paas_runner.dispatch.standstill import OtherReason, standstill
from paas_runner.dispatch.view import DispatchView
from paas_runner.job.capacity import Bound
from paas_runner.job.cost import Total
from paas_runner.job.standing import HostState, state_of
from paas_runner.job.tracked import Phase, TrackedJob
from paas_runner.metrics.happenings import OF_JOBS
from paas_runner.metrics.labels import OTHER, RUNNER, Labels, RunnerValues, clean
from paas_runner.metrics.sharing import of_sharing
from paas_runner.status.reach import Reached, ReachState
from paas_runner.status.sharing import Role, SharingReport

MOST_REACHED = 50
LONGEST_ADDRESS = 200


def _reason(reason: Bound | OtherReason) -> str:
    return reason.replace(" ", "_")


BLOCKS = tuple(map(_reason, (*Bound, *OtherReason)))
"""Why a runner asks for no job: the closed set of the label `reason`."""

STATES: Mapping[Phase, tuple[str, str]] = {
    **dict.fromkeys(OF_JOBS, ("pending", "prepare_executor")),
    Phase.RUNNING: ("running", ""),
    Phase.FAILING: ("finished", ""),
    Phase.DECOMMISSIONING: ("finished", ""),
}
"""`state` and `stage` of GitLab Runner, as far as we know of them: what runs on a host we do not see."""


@attrs.frozen(kw_only=True)
class Present:
    """All that is read at a scrape."""

    now: datetime
    view: DispatchView
    concurrent: int
    limits: Mapping[str, int]
    """Of each runner in service, by its key."""

    requests_at_once: Mapping[str, int]
    """How many requests for a job each of them may have in flight."""

    counters: Mapping[str, int]
    """What must not happen, and how often it has."""

    costs: Mapping[tuple[str, str], Total]
    """Of hosts that are gone, by tenant and flavor."""

    reached: Mapping[str, Reached]
    log_lines: Mapping[str, int]
    """At warning and above, by level."""

    sharing: SharingReport | None = None
    """With other processes; None of one that is alone with its store."""

    @property
    def headroom(self) -> int:
        """Of `concurrent`, or of this process's part of it, what no job takes."""
        load = self.view.load.without_requests
        most = (
            min(self.concurrent, int(load.limits.allotted.jobs)) if load.limits.allotted else self.concurrent
        )
        return max(0, most - load.jobs)


class PresentCollector(Collector):
    """Asks `read` at each scrape."""

    def __init__(self, read: Callable[[], Present], labels: Labels) -> None:
        self._read = read
        self._labels = labels

    def describe(self) -> Iterable[Metric]:
        """Nothing: else a scrape would be made at the registration."""
        return []

    def collect(self) -> Iterator[Metric]:
        present = self._read()
        view = present.view
        every = {key: self._labels.runner(key, name) for key, name in view.names.items()}
        runners = {key: labels for key, labels in every.items() if labels[0] != OTHER}
        yield from _bounds(present, runners)
        yield from self._jobs(view, present.now, runners)
        yield from self._hosts(view.jobs, runners)
        yield from _weights(view, runners)
        yield _blocks(view, runners)
        yield _looks(view)
        if present.sharing is None or present.sharing.role is not Role.STANDBY:  # it asks nobody
            yield from _services(present.reached, present.now)
        if present.sharing:
            yield from of_sharing(present.sharing, present.now, runners, self._labels.system_id)
        yield from _counted(present)
        yield from self._costs(present.costs, view.jobs)

    def _jobs(
        self, view: DispatchView, now: datetime, runners: Mapping[str, RunnerValues]
    ) -> Iterator[Metric]:
        counts: Counter[tuple[RunnerValues, Phase]] = Counter()
        for share, count in view.load.shares.items():
            counts[self._labels.runner(share.runner), share.phase] += count
        theirs = _gauge("gitlab_runner_jobs", "Jobs now.", *RUNNER, "state", "stage", "executor_stage")
        ours = _gauge("paas_runner_jobs", "Jobs now, by phase.", *RUNNER, "phase")
        for (runner, phase), count in counts.items():
            if phase in STATES:
                theirs.add_metric([*runner, *STATES[phase], phase], count)
        for runner in {*runners.values(), *(runner for runner, _ in counts)}:
            for phase in OF_JOBS:
                ours.add_metric([*runner, phase], counts[runner, phase])
        yield theirs
        yield ours
        yield _single("paas_runner_jobs_over_timeout", "Jobs older than their own timeout.", _late(view, now))
        yield _single(
            "paas_runner_oldest_job_seconds",
            "Age of the oldest job.",
            max((0.0, *((now - job.acquired_at).total_seconds() for job in view.jobs if not job.on_standby))),
        )
        yield _single(
            "paas_runner_jobs_waiting_for_room",
            "Jobs without room for their hosts under the quota.",
            len(view.load.waiting),
        )
        yield _single(
            "paas_runner_records_refused", "Jobs whose records the disk refuses now.", len(view.refused)
        )

    def _hosts(self, jobs: Sequence[TrackedJob], runners: Mapping[str, RunnerValues]) -> Iterator[Metric]:
        hosts: Counter[str] = Counter()
        prices: dict[str, float] = {}
        unpriced = possible = 0
        for job in jobs:
            if job.host is None:
                possible += job.host_intended
                continue
            hosts[self._labels.flavor(job.host.flavor)] += 1
            tenant = self._labels.tenant(job.tenant)
            prices[tenant] = prices.get(tenant, 0.0) + (job.host.price or 0.0)
            unpriced += job.host.price is None
        by_flavor = _gauge("paas_runner_hosts", "Hosts that exist by our records.", "flavor")
        for flavor, count in hosts.items():
            by_flavor.add_metric([flavor], count)
        per_hour = _gauge(
            "paas_runner_cost_per_hour", "What the hosts of now cost, in the provider's own unit.", "tenant"
        )
        for tenant, price in prices.items():
            per_hour.add_metric([tenant], price)
        yield by_flavor
        yield self._host_states(jobs, runners)
        yield per_hour
        yield _single("paas_runner_hosts_unpriced", "Hosts of now without a known price.", unpriced)
        yield _single("paas_runner_hosts_asked_for", "Hosts asked for that are not known yet.", possible)

    def _host_states(self, jobs: Sequence[TrackedJob], runners: Mapping[str, RunnerValues]) -> Metric:
        counts = Counter((self._labels.runner(job.key.runner), state_of(job)) for job in jobs if job.host)
        family = _gauge("paas_runner_host_states", "Hosts by what they do.", *RUNNER, "state")
        for runner in {*runners.values(), *(runner for runner, _ in counts)}:
            for state in HostState:
                if state is not HostState.GONE:
                    family.add_metric([*runner, state], counts[runner, state])
        return family

    def _costs(self, costs: Mapping[tuple[str, str], Total], jobs: Sequence[TrackedJob]) -> Iterator[Metric]:
        """Several pairs may have one label: they are added up, and only ever grow.

        Whoever has a host has cost 0 before it goes: what Prometheus sees first has not grown, for it.
        """
        begun = {(job.tenant, job.host.flavor) for job in jobs if job.host}
        cost: dict[tuple[str, str], float] = {}
        seconds: dict[tuple[str, str], float] = {}
        for (tenant, flavor), total in [*costs.items(), *((paid, Total()) for paid in begun)]:
            paid = self._labels.tenant(tenant), self._labels.flavor(flavor)
            cost[paid] = cost.get(paid, 0.0) + (total.cost or 0.0)
            seconds[paid] = seconds.get(paid, 0.0) + total.time.total_seconds()
        text = "Estimated cost of the hosts that are gone, since the start, in the provider's own unit."
        yield _counter_of("paas_runner_cost", text, cost)
        yield _counter_of(
            "paas_runner_host_seconds", "Time of the hosts that are gone, since the start.", seconds
        )


def _bounds(present: Present, runners: Mapping[str, RunnerValues]) -> Iterator[Metric]:
    view, load = present.view, present.view.load.without_requests
    yield _single("gitlab_runner_concurrent", "`concurrent`: jobs at once.", present.concurrent)
    limit = _gauge("gitlab_runner_limit", "`limit` of the section; 0 is none.", *RUNNER)
    hard = _gauge(
        "gitlab_runner_request_concurrency_hard_limit", "Requests for a job in flight at most.", *RUNNER
    )
    for key, most in present.limits.items():
        if labels := runners.get(key):
            limit.add_metric(labels, most)
            hard.add_metric(labels, present.requests_at_once[key])
    asking = Counter(reservation.runner for reservation in view.load.reservations)
    in_flight = _gauge("gitlab_runner_request_concurrency", "Requests for a job in flight.", *RUNNER)
    for key, labels in runners.items():
        in_flight.add_metric(labels, asking[key])
    yield from (limit, hard, in_flight)
    yield _single("paas_runner_headroom_jobs", "Jobs that `concurrent` still allows.", present.headroom)
    limit_of = load.limits.provisioning
    yield _single("paas_runner_provisioning", "Jobs that are not known to run yet.", load.preparing)
    yield _single("paas_runner_provisioning_limit", "`paas_max_concurrent_provisioning`.", limit_of)


def _weights(view: DispatchView, runners: Mapping[str, RunnerValues]) -> Iterator[Metric]:
    """Without requests in flight, as `status` has it."""
    load = view.load.without_requests
    if load.limits.quota is None:
        return
    yield _single("paas_runner_weight", "Weight of all hosts that jobs have.", load.weight)
    yield _single("paas_runner_standby_weight", "Weight of all hosts on standby.", load.standby_weight)
    if load.quota is None:
        return
    quota = load.total.without(load.elsewhere).weight
    yield _single("paas_runner_weight_quota", "What all hosts may weigh.", quota)
    headroom = max(0.0, quota - load.weight)
    yield _single("paas_runner_weight_headroom", "What is left of it.", headroom)
    allowed = _gauge("paas_runner_weight_allowance", "What the hosts of a runner may weigh.", *RUNNER)
    for key, labels in runners.items():
        allowed.add_metric(labels, load.allowance(key) or 0.0)
    yield allowed


def _blocks(view: DispatchView, runners: Mapping[str, RunnerValues]) -> Metric:
    family = _gauge(
        "paas_runner_blocked",
        "1 for the reason for which a runner asks for no job, else 0.",
        *RUNNER,
        "reason",
    )
    for key, labels in runners.items():
        stands = standstill(view, key)
        why = _reason(stands.reason) if stands else ""
        for reason in BLOCKS:
            family.add_metric([*labels, reason], reason == why)
    return family


def _looks(view: DispatchView) -> Metric:
    """Of the coordinator that is worst off, where there are several."""
    return _single(
        "paas_runner_looks_stretch",
        "How many times rarer than configured the looks at jobs are made; 1 where they are not.",
        max((budget.stretch for budget in view.looks.values()), default=1.0),
    )


def _services(reached: Mapping[str, Reached], now: datetime) -> Iterator[Metric]:
    """Each coordinator and cloud; their number is bounded where they are found."""
    states = _gauge(
        "paas_runner_service_state", "1 for the state of a coordinator or cloud.", "service", "state"
    )
    ages = _gauge("paas_runner_service_success_age_seconds", "Since its last good answer.", "service")
    first = {clean(name, LONGEST_ADDRESS): service for name, service in list(reached.items())[:MOST_REACHED]}
    for label, service in first.items():
        for state in ReachState:
            states.add_metric([label, state], service.state is state)
        if service.last_success:
            age = max(0.0, (now - service.last_success).total_seconds())
            ages.add_metric([label], age)
    yield states
    yield ages


def _counted(present: Present) -> Iterator[Metric]:
    broken = CounterMetricFamily(
        "paas_runner_broken_promises", "What must not happen: 0 as long as it has not.", labels=["promise"]
    )
    for name, number in present.counters.items():
        broken.add_metric([name], number)
    yield broken
    lines = CounterMetricFamily("gitlab_runner_errors", "Log lines at warning and above.", labels=["level"])
    for level, number in present.log_lines.items():
        lines.add_metric([level], number)
    yield lines


def _late(view: DispatchView, now: datetime) -> int:
    return sum(now - job.acquired_at > job.timeout and not job.failed_or_over for job in view.jobs)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)


def _single(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)


def _counter_of(name: str, text: str, values: Mapping[tuple[str, str], float]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=["tenant", "flavor"])
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
