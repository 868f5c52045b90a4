"""One `[[runners]]` section, and the table in it that is ours."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from paas_runner.http import Tls
from paas_runner.job.known_runner import RunnerIdentity, TokenLife, short_token
from paas_runner.secret import Secret
from paas_runner.setting_types import Fraction, GoDuration, ReadableFile, Url
from paas_runner.settings import setting

LONGEST_UNHEALTHY_INTERVAL = timedelta(minutes=1)
"""After an outage jobs do not wait for longer than this to be taken, whatever `unhealthy_interval` says."""


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
class AcquisitionAudit:
    """`[runners.paas_acquisition_audit]`: whether all that was handed out to us has arrived."""

    token: Secret | None = setting(
        "A user's token that may list the runner's jobs (scope read_api): jobs that were lost on their way "
        "to our disk are found with it. Without it nothing is looked for.",
        default=None,
    )
    cancel_token: Secret | None = setting(
        "A user's token that may cancel and retry (scope api): lost jobs are canceled and retried with it.",
        default=None,
    )
    every_seconds: timedelta = setting(
        "Pause between two looks at the coordinator's list.", default=timedelta(seconds=300), minimum=30
    )


@attrs.frozen(kw_only=True)
class Runner:
    """One `[[runners]]` section: a token at one coordinator, and the executor of its jobs."""

    name: str = setting("Description, for logs and for `reference_runner`.", default="")
    url: Url = setting(
        "Base address of the coordinator; `local:` is the pipelines server that serves this file."
    )
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
    paas_keep_resources_for_reuse_seconds: timedelta = setting(
        "How long a host that can be used again waits for another job of its tenant; 0: it goes at once.",
        default=timedelta(seconds=120),
        minimum=0,
    )
    paas_keep_resources_for_reuse_cost: float | None = setting(
        "What a host may cost while it waits, in the provider's own unit; by default what the seconds cost.",
        default=None,
        minimum=0,
    )
    paas_job_trace_watch: JobTraceWatch = setting(
        "How a launched job's first sign of life is awaited.", factory=JobTraceWatch
    )

    paas_acquisition_audit: AcquisitionAudit = setting(
        "Whether all that was handed out to us has arrived.", factory=AcquisitionAudit
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
