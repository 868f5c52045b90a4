"""What settings mean in numbers: how many jobs and requests, how long until something is given up. Pure."""

import math
from collections.abc import Iterator, Mapping
from datetime import timedelta

from paas_runner.addresses import listen_place
from paas_runner.config import Config, Runner
from paas_runner.config.lines import KeyPath
from paas_runner.job.capacity import Load
from paas_runner.job.decision import Policy
from paas_runner.job.limits import Flavors, jobs_at_once
from paas_runner.plain_text import exact_span

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)


def meanings(config: Config, flavors: Mapping[str, Flavors]) -> Mapping[KeyPath, str]:
    """Sentences by key; `flavors` are those of the runners whose hosts are known, by short token."""
    load = Load(limits=config.limits, flavors=flavors)
    found: dict[KeyPath, str] = {(key,): sentence for key, sentence in _of_all(config, load)}
    for number, runner in enumerate(config.runners):
        found["runners", number] = _capacity(config, runner, load)
        for key, sentence in _of_runner(runner, config.policy_of(runner)):
            found["runners", number, key] = sentence
    return found


def _of_all(config: Config, load: Load) -> Iterator[tuple[str, str]]:
    yield "concurrent", _concurrent(config)
    yield "check_interval", _polls(config)
    yield "job_progress_poll_interval", _status_requests(config)
    yield "shutdown_timeout", f"a stop takes {exact_span(config.shutdown_timeout)} at most"
    preparing = config.paas_max_concurrent_provisioning
    yield (
        "paas_max_concurrent_provisioning",
        f"at most {preparing} jobs wait for a sign of life of their host",
    )
    if distance := config.paas_min_seconds_between_launches:
        yield "paas_min_seconds_between_launches", f"at most {60 / distance:.3g} launches a minute"
    if config.paas_orphan_sweep_interval > timedelta():
        searches = _HOUR / config.paas_orphan_sweep_interval
        yield (
            "paas_orphan_sweep_interval",
            f"each runner's orphans are searched for {searches:.3g} times an hour",
        )
    if config.paas_finished_jobs_keep_resources:
        yield "paas_finished_jobs_keep_resources", "every host stays after its job, and costs, for ever"
    if config.paas_page:
        yield "paas_page", _page(config)
    if load.quota is not None:
        yield "quota_computation", f"all hosts together may weigh {load.quota:.1f}"


def _number(value: float) -> str:
    """With three digits, or all before the point."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _page(config: Config) -> str:
    place = listen_place(config.listen_address)
    where = str(place) if place.path else f"http://{place}/"
    local = "whoever may open that socket" if place.path else "everybody on this machine"
    whom = "whoever has the token" if config.paas_page_token else local
    return f"what runs, waits, fails and costs is shown at {where} to {whom}"


def _concurrent(config: Config) -> str:
    limits = [runner.limit for runner in config.runners]
    together = f"; the limits of all runners together allow {sum(limits)}" if all(limits) else ""
    return f"at most {config.concurrent} jobs at once over all runners{together}"


def _polls(config: Config) -> str:
    each = _MINUTE / config.shortest_check_interval
    rarely = _MINUTE / config.longest_check_interval
    when_idle = f" and {rarely:.3g} times when none has come for a while" if rarely < each else ""
    return (
        f"a runner with room that gets no job asks for one up to {each:.3g} times a minute{when_idle}, all "
        f"runners together up to {_number(each * len(config.runners))} times; less where the coordinator "
        "holds requests"
    )


def _status_requests(config: Config) -> str:
    policy = config.policy_of(config.runners[0])
    interval = policy.status_every
    each = _MINUTE / interval
    return (
        f"each job that has run for a while costs {each:.3g} requests a minute, {config.concurrent} jobs "
        f"{_number(each * config.concurrent)}; its end is noticed within {exact_span(interval)}, "
        f"a young job's sooner, a dead host within about {exact_span(policy.dead_host_within)}"
    )


def _of_runner(runner: Runner, policy: Policy) -> Iterator[tuple[str, str]]:
    yield (
        "unhealthy_requests_limit",
        (
            f"after {runner.unhealthy_requests_limit} failed requests in a row the coordinator is left alone "
            f"for {exact_span(runner.longest_backoff)} at most"
        ),
    )
    yield "paas_job_trace_watch", _given_up(policy)


def _given_up(policy: Policy) -> str:
    attempts = math.ceil(policy.life_within / policy.life_every)
    return (
        f"given up are: a launched job that writes nothing, after {exact_span(policy.life_within)} and up to "
        f"{attempts} looks at its log; a host that cannot be had, after {exact_span(policy.host_within)}; "
        f"a host that is still busy, {exact_span(policy.lifetime_margin)} after its job's own timeout"
    )


def _capacity(config: Config, runner: Runner, load: Load) -> str:
    """How many jobs at once, of each flavor alone."""
    most = min(runner.limit or config.concurrent, config.concurrent)
    flavors = load.flavors.get(runner.short_token)
    if flavors is None or not flavors.weights:
        return f"at most {most} jobs at once; what its hosts weigh could not be found out"
    allowed = load.allowance(runner.short_token)
    if allowed is None:
        return f"at most {most} jobs at once, of each of {', '.join(flavors.granted)}"
    fitting = jobs_at_once(flavors, allowed)
    counts = ", ".join(f"{flavor} {min(count, most)}" for flavor, count in fitting.items())
    return f"jobs at once if all are of one flavor, within {allowed:.1f} of the quota: {counts}"
