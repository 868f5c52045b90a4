"""The configuration as the rest of the service sees it: complete, consistent, frozen.

The fields made by `setting` are the keys of the file, with type, default and meaning. The properties are what
follows from them for the service: every command that explains a configuration sees the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs

from paas_runner.http import Tls
from paas_runner.job.capacity import Limits, QuotaRule
from paas_runner.job.decision import Policy
from paas_runner.job.known_runner import (
    KnownRunner,
    RunnerIdentity,
    TokenLife,
    peer_name,
    recognised,
    short_token,
)
from paas_runner.logs import LEVELS
from paas_runner.secret import Secret, secrets_in
from paas_runner.setting_types import Fraction, GoDuration, InstallationId, ReadableFile, Url
from paas_runner.settings import setting

STATE_FILE = Path("paas-runner-state.json")

LONGEST_CHECK_INTERVAL = timedelta(seconds=3)  # as GitLab Runner's
SHORTEST_CHECK_INTERVAL = timedelta(seconds=0.6)
SHORTEST_HOST_INTERVAL = timedelta(seconds=10)
LONGEST_UNHEALTHY_INTERVAL = timedelta(minutes=1)
"""After an outage jobs do not wait for longer than this to be taken, whatever `unhealthy_interval` says."""


def store_path(state: Path) -> Path:
    """The store stands beside the state file."""
    return state.with_suffix(".db")


def installation_path(state: Path) -> Path:
    """So does the file with the installation's id: each service has its own."""
    return state.with_suffix(".installation")


@attrs.frozen(kw_only=True)
class JobTraceWatch:
    """`[runners.paas_job_trace_watch]`: how a launched job's first sign of life is awaited."""

    token: Secret | None = setting(
        "Accepted from 1.1.1 and not needed: the job's own token does.", default=None
    )
    timeout_seconds: timedelta = setting(
        "How long a launched job may stay silent before its launch has failed.",
        default=timedelta(seconds=300),
        minimum=1,
    )
    poll_step: timedelta = setting(
        "Longest pause between two looks at the trace.", default=timedelta(seconds=10), minimum=0.1
    )


@attrs.frozen(kw_only=True)
class QuotaComputation:
    """`[quota_computation]`: the weight quota, given as so many jobs of one flavor on one runner."""

    reference_runner: str = setting("Name of the runner whose flavor is counted.")
    reference_flavor: str = setting("Flavor of the counted jobs.")
    reference_jobs_count: int = setting("How many such jobs the quota is worth.", minimum=1)
    allowed_fraction_per_runner: Fraction = setting(
        "Share of the quota that one runner may use.", default=Fraction(1.0)
    )


@attrs.frozen(kw_only=True)
class Runner:
    """One `[[runners]]` section: a token at one coordinator, and the executor of its jobs."""

    name: str = setting("Description, for logs and for `reference_runner`.", default="")
    url: Url = setting("Base address of the coordinator.")
    token: Secret = setting("Authentication token of the runner.", token=True)
    executor: str = setting("Where the jobs run.")
    limit: int = setting("Jobs at once for this section; 0 is unlimited.", default=0, minimum=0)
    request_concurrency: int | None = setting(
        "Requests for a job in flight at once, at most; by default up to 8, while each brings one.",
        default=None,
        minimum=1,
    )
    tls_ca_file: ReadableFile | None = setting(
        "Certificates to trust beside the system's; hosts get the file, too.", default=None, key="tls-ca-file"
    )
    tls_cert_file: ReadableFile | None = setting(
        "Our certificate for the coordinator.", default=None, key="tls-cert-file"
    )
    tls_key_file: ReadableFile | None = setting(
        "The private key of our certificate.", default=None, key="tls-key-file"
    )
    unhealthy_requests_limit: int = setting(
        "Failed requests in a row after which the coordinator is left alone for a while.",
        default=3,
        minimum=1,
    )
    unhealthy_interval: GoDuration = setting(
        "How long an unhealthy coordinator is left alone, but never for more than a minute.",
        default=GoDuration(timedelta(hours=1)),
    )
    token_obtained_at: datetime | None = setting("Since when the token is good.", default=None)
    token_expires_at: datetime | None = setting(
        "Until when the token is good: said 30 days, or a quarter of its life, ahead.", default=None
    )
    quota_max_fraction: Fraction = setting(
        "Share of the quota that this section may use.", default=Fraction(1.0)
    )
    paas_job_trace_watch: JobTraceWatch = setting(
        "How a launched job's first sign of life is awaited.", factory=JobTraceWatch
    )

    settings: Any = attrs.field(repr=False)
    """The executor's own keys: an instance of its settings class."""

    forwarded: Mapping[str, Any] = attrs.field(repr=False)
    """GitLab Runner's keys that concern the inner runner, as they are; credentials of caches among them."""

    known_as: str | None = None
    """The short form of the token with which the runner was first seen, once it was recognised."""

    @property
    def short_token(self) -> str:
        """The runner's key: public, different for each section, the same whatever becomes of the token."""
        return self.known_as or short_token(self.token.reveal())

    @property
    def title(self) -> str:
        """What people call the runner."""
        return self.name or self.short_token

    @property
    def tls(self) -> Tls:
        """The certificates that the section names for its coordinator."""
        return Tls(ca_file=self.tls_ca_file, cert_file=self.tls_cert_file, key_file=self.tls_key_file)

    @property
    def token_life(self) -> TokenLife | None:
        """As far as the section says it."""
        if self.token_expires_at is None:
            return None
        return TokenLife(expires_at=self.token_expires_at, obtained_at=self.token_obtained_at)

    @property
    def longest_backoff(self) -> timedelta:
        """How long an unhealthy coordinator is left alone at most."""
        return min(self.unhealthy_interval, LONGEST_UNHEALTHY_INTERVAL)

    @property
    def identity(self) -> RunnerIdentity:
        """By what the runner is recognised."""
        return RunnerIdentity(token=short_token(self.token.reveal()), url=self.url, name=self.name)


@attrs.frozen(kw_only=True)
class Config:
    """A whole configuration file; `warnings` are lines for the log."""

    path: Path
    runners: tuple[Runner, ...]
    warnings: tuple[str, ...]

    concurrent: int = setting("Jobs at once over all runners.", default=50, minimum=1)
    check_interval: timedelta | None = setting(
        "Pause after a request that brought no job; by default 0.6 s while jobs come, up to 3 s when none "
        "has come for ten minutes. 0 or less is the default.",
        default=None,
    )
    job_progress_poll_interval: timedelta = setting(
        "Longest pause between two looks at whether a job has ended.",
        default=timedelta(seconds=30),
        minimum=0.1,
    )
    log_level: str = setting("Least level to log.", default="info", choices=LEVELS)
    log_format: str | None = setting("How log lines look.", default=None, choices=("runner", "text", "json"))
    state_file: Path = setting(
        "Where running jobs are remembered; by default in $STATE_DIRECTORY, else beside the configuration.",
        default=STATE_FILE,
    )
    installation_id: InstallationId | None = setting(
        "The mark on each host by which it is known to be ours; by default made once, kept beside the state.",
        default=None,
    )
    shutdown_timeout: timedelta = setting(
        "How long calls in flight may take at a stop; 0 or less is the default.",
        default=timedelta(seconds=100),
    )
    paas_max_concurrent_provisioning: int = setting(
        "Jobs at once between acquisition and first sign of life.", default=10, minimum=1
    )
    paas_max_looks_per_minute: int = setting(
        "Looks a minute at the jobs of one coordinator and their hosts; beyond that all become rarer.",
        default=2000,
        minimum=60,
    )
    paas_min_seconds_between_launches: float = setting(
        "Least distance of two launches.", default=0.0, minimum=0, maximum=86_400
    )
    paas_finished_jobs_keep_resources: bool = setting(
        "Whether hosts stay, and cost, for ever.", default=False
    )
    paas_decommission_launch_failures: bool = setting(
        "Whether hosts go on which a launch failed; else they stay for inspection.", default=True
    )
    paas_repoll_same_runner_immediately: bool = setting(
        "Whether a runner that got a job asks for the next one at once.", default=False
    )
    paas_orphan_sweep_interval: timedelta = setting(
        "Pause between two searches for hosts that no job needs; 0 or less is never.",
        default=timedelta(seconds=300),
    )
    paas_log_statistics: bool = setting("Whether numbers of jobs and weights are logged.", default=True)
    paas_costs_keep_days: int = setting(
        "For how many days the ledger keeps what a host has cost.", default=400, minimum=1, maximum=36_500
    )
    quota_computation: QuotaComputation | None = setting("The weight quota.", default=None)

    @property
    def longest_check_interval(self) -> timedelta:
        """After a request that brought no job, when none has come for a while."""
        return self.check_interval or LONGEST_CHECK_INTERVAL

    @property
    def shortest_check_interval(self) -> timedelta:
        """The same while jobs come."""
        return self.check_interval or SHORTEST_CHECK_INTERVAL

    @property
    def store_path(self) -> Path:
        return store_path(self.state_file)

    @property
    def installation_path(self) -> Path:
        return installation_path(self.state_file)

    def policy_of(self, runner: Runner) -> Policy:
        """How a runner's jobs are looked after, but for what its executor adds."""
        # with every second look at an old job: one request a minute and job, usually
        host_every = max(2 * self.job_progress_poll_interval, SHORTEST_HOST_INTERVAL)
        return Policy(
            status_every=self.job_progress_poll_interval,
            life_every=runner.paas_job_trace_watch.poll_step,
            life_within=runner.paas_job_trace_watch.timeout_seconds,
            host_every=host_every,
            keep_finished=self.paas_finished_jobs_keep_resources,
            keep_launch_failures=not self.paas_decommission_launch_failures,
        )

    @property
    def limits(self) -> Limits:
        """The operator's bounds, as the dispatcher wants them."""
        return Limits(
            concurrent=self.concurrent,
            provisioning=self.paas_max_concurrent_provisioning,
            per_runner={runner.short_token: runner.limit for runner in self.runners},
            quota=self._quota,
            launch_distance=timedelta(seconds=self.paas_min_seconds_between_launches),
        )

    @property
    def _quota(self) -> QuotaRule | None:
        given = self.quota_computation
        if given is None:
            return None
        [reference] = [runner for runner in self.runners if runner.name == given.reference_runner]
        return QuotaRule(
            reference_runner=reference.short_token,
            reference_flavor=given.reference_flavor,
            reference_jobs=given.reference_jobs_count,
            shares={
                runner.short_token: min(given.allowed_fraction_per_runner, runner.quota_max_fraction)
                for runner in self.runners
            },
        )

    @property
    def peer_names(self) -> Mapping[str, str]:
        """For each runner's short token what heptapod-paas-runner calls it, in its state file above all."""
        return {runner.short_token: peer_name(runner.token.reveal()) for runner in self.runners}

    def recognised(self, known: Sequence[KnownRunner]) -> tuple["Config", Sequence[KnownRunner]]:
        """This configuration with the key of each runner, and its runners as they are known from now on."""
        present = recognised([runner.identity for runner in self.runners], known)
        runners = tuple(
            attrs.evolve(runner, known_as=found.key)
            for runner, found in zip(self.runners, present, strict=True)
        )
        return attrs.evolve(self, runners=runners), present

    @property
    def secrets(self) -> Iterator[Secret]:
        """Every credential in the file, as far as we know it for one."""
        return secrets_in(self)
