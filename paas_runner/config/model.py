"""The configuration as the rest of the service sees it: complete, consistent, frozen.

The fields made by `setting` are the keys of the file, with type, default and meaning. The properties are what
follows from them for the service: every command that explains a configuration sees the same.
"""

import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import attrs

from paas_runner.config.notify import Receiver
from paas_runner.config.runner import Runner
from paas_runner.config.telemetry import LogRemote, Traces
from paas_runner.database_url import DatabaseUrl, StorePlace
from paas_runner.job.decision import Policy
from paas_runner.job.known_runner import (
    KnownRunner,
    peer_name,
    recognised,
)
from paas_runner.job.lease import Mode
from paas_runner.job.limits import Limits, QuotaRule
from paas_runner.logs import LEVELS
from paas_runner.secret import Secret, secrets_in
from paas_runner.setting_types import (
    Fraction,
    InstallationId,
    ListenAddress,
)
from paas_runner.settings import setting

STATE_FILE = Path("paas-runner-state.json")

LONGEST_CHECK_INTERVAL = timedelta(seconds=3)  # as GitLab Runner's
SHORTEST_CHECK_INTERVAL = timedelta(seconds=0.6)
SHORTEST_HOST_INTERVAL = timedelta(seconds=10)


def store_path(state: Path) -> Path:
    """The store stands beside the state file."""
    return state.with_suffix(".db")


def installation_path(state: Path) -> Path:
    """So does the file with the installation's id: each service has its own."""
    return state.with_suffix(".installation")


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
class Config:
    """A whole configuration file; `warnings` are lines for the log."""

    path: Path
    runners: tuple[Runner, ...]
    warnings: tuple[str, ...]
    notify: tuple[Receiver, ...] = ()
    """Who is told when something is wrong."""

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
    state_store: DatabaseUrl | None = setting(
        "The database of all records where several processes share them, postgresql://user@host:port/db; by "
        "default a file beside `state_file`, for one process.",
        default=None,
    )
    state_store_password: Secret | None = setting(
        "The password for `state_store`, where it does not stand in the address.", default=None
    )
    state_store_mode: str = setting(
        "How processes that share `state_store` divide the runners: standby (one has all, the others wait) "
        "or spread (evenly).",
        default=str(Mode.STANDBY),
        choices=tuple(map(str, Mode)),
    )
    state_store_member: str = setting(
        "What this process is called among those that share `state_store`; by default as its machine.",
        default="",
    )
    installation_id: InstallationId | None = setting(
        "The mark on each host by which it is known to be ours; by default made once, kept beside the state.",
        default=None,
    )
    shutdown_timeout: timedelta = setting(
        "How long calls in flight may take at a stop; 0 or less is the default.",
        default=timedelta(seconds=100),
    )
    listen_address: ListenAddress = setting(
        "Where metrics and health are served over HTTP, host:port or unix:/path; by default nowhere.",
        default=ListenAddress(""),
    )
    paas_page: bool = setting(
        "Whether a page for people and `/api/v1/` are served on `listen_address`, too.", default=False
    )
    paas_page_token: Secret | None = setting(
        "What whoever wants to see the page has to enter; without one it is for this machine alone.",
        default=None,
        token=True,
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
    paas_metrics_exemplars: bool = setting(
        "Whether buckets of metrics name a job each, for those who ask for OpenMetrics.", default=False
    )
    paas_costs_keep_days: int = setting(
        "For how many days the ledger keeps what a host has cost.", default=400, minimum=1, maximum=36_500
    )
    quota_computation: QuotaComputation | None = setting("The weight quota.", default=None)
    log_remote: LogRemote | None = setting(
        "The log beside standard error, for a receiver of syslog.", default=None
    )
    traces: Traces | None = setting("A trace of each job, for a receiver of OpenTelemetry's.", default=None)

    @property
    def longest_check_interval(self) -> timedelta:
        """After a request that brought no job, when none has come for a while."""
        return self.check_interval or LONGEST_CHECK_INTERVAL

    @property
    def shortest_check_interval(self) -> timedelta:
        """The same while jobs come."""
        return self.check_interval or SHORTEST_CHECK_INTERVAL

    @property
    def store(self) -> StorePlace:
        """Where the records are."""
        if self.state_store and self.state_store_password:
            return self.state_store.with_password(self.state_store_password)
        return self.state_store or self.store_path

    @property
    def mode(self) -> Mode:
        """How the processes of one store divide the runners."""
        return Mode(self.state_store_mode)

    @property
    def member(self) -> str:
        """What this process is called, for people."""
        return self.state_store_member or socket.gethostname()

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
            standby=runner.paas_keep_resources_for_reuse_seconds,
            standby_cost=runner.paas_keep_resources_for_reuse_cost,
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

    @property
    def helper_names(self) -> Mapping[str, str]:
        """The same, but of runners that would share a name: they are called by their short tokens."""
        names = self.peer_names
        shared = Counter(names.values())
        return {short: short if shared[name] > 1 else name for short, name in names.items()}

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
        shown = self.state_store.title if self.state_store else None  # an address may be no secret at all
        return (secret for secret in secrets_in(self) if secret.reveal() != shown)
