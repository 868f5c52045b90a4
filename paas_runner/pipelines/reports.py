"""What a runner sends about its job, and what it is answered (spec gitlab-runner-api.md §3, §4, §6)."""

import hashlib
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import attrs

from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.spec import ARCHIVE
from paas_runner.pipelines.states import JobState
from paas_runner.secret import Secret

FAILURE_REASONS = (
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "runner_unsupported",
    "job_execution_timeout",
    "trace_size_exceeded",
    "image_pull_failure",
    "runner_configuration_error",
    "runner_external_dependency_failure",
    "runner_interrupted",
)
"""The failure reasons that this coordinator understands; any other is stored as the first."""

RETRY_REASONS = frozenset(
    {
        *FAILURE_REASONS,
        "always",
        "archived_failure",
        "data_integrity_failure",
        "missing_dependency_failure",
        "runner_provisioning_timeout",
        "scheduler_failure",
        "stale_schedule",
        "unmet_prerequisites",
    }
)
"""What `retry:when` may name: these, and what only GitLab's own schedule gives as a reason."""


@attrs.frozen(kw_only=True)
class StateReport:
    """The body of a PUT, as far as it matters here (§3.1)."""

    state: str
    failure_reason: str | None = None
    exit_code: int | None = None
    checksum: str | None = None


@attrs.frozen(kw_only=True)
class Reply:
    """The answer to a PUT or PATCH, and the job as it is then."""

    status: int  # of HTTP
    job_status: JobState | None  # None: the answer is without it
    trace_bytes: int
    wait_seconds: int | None = None  # with 202 on a PUT


def reply(status: int, job: Job, *, with_status: bool = True, wait_seconds: int | None = None) -> Reply:
    return Reply(
        status=status,
        job_status=job.status if with_status else None,
        trace_bytes=job.trace_bytes,
        wait_seconds=wait_seconds,
    )


def checksum(trace: bytes) -> str:
    """A trace's checksum as runners send it (§3.1)."""
    return f"crc32:{zlib.crc32(trace):08x}"


def known_reason(reason: str | None) -> str:
    """A failure reason as it is stored."""
    return reason if reason in FAILURE_REASONS else FAILURE_REASONS[0]


@attrs.frozen(kw_only=True)
class Artifact:
    """One uploaded file (§6.1); its content may be on a disk."""

    filename: str
    size: int  # in bytes
    digest: str  # the SHA-256 of the content
    read: Callable[[], bytes] = attrs.field(repr=False, eq=False)
    kind: str = ARCHIVE
    form: str = "zip"
    expires_at: datetime | None = None

    @classmethod
    def of(cls, content: bytes, **described: Any) -> "Artifact":
        """One whose content is in memory."""
        digest = hashlib.sha256(content).hexdigest()
        return cls(size=len(content), digest=digest, read=lambda: content, **described)

    def available(self, now: datetime) -> bool:
        """Whether it is still there to be read."""
        return self.expires_at is None or now < self.expires_at


@attrs.frozen(kw_only=True)
class Dependency:
    """A job whose artifacts another gets, and the token that opens them."""

    job_id: int
    name: str
    token: Secret
    archive: Artifact | None
    """None when it left none, or they have expired."""
