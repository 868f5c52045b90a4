"""What a runner says of its job, and what it is answered: values of spec gitlab-runner-api.md §3 and §4."""

import zlib
from collections.abc import Mapping

import attrs

from paas_runner.pipelines.states import Change

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

CHANGES: Mapping[str, Change | None] = {"running": None, "success": Change.SUCCEED, "failed": Change.FAIL}
"""What each `state` of a PUT does to the job."""


@attrs.frozen(kw_only=True)
class JobReport:
    """The body of a PUT, as far as it matters here (§3.1)."""

    state: str
    failure_reason: str | None = None
    exit_code: int | None = None
    checksum: str | None = None


@attrs.frozen(kw_only=True)
class Reply:
    """The answer to a PUT or PATCH."""

    status: int  # of HTTP
    wait_seconds: int | None = None  # with 202 on a PUT
    tells_status: bool = True  # whether the answer carries `Job-Status`


def checksum(trace: bytes) -> str:
    """A trace's checksum as runners send it (§3.1)."""
    return f"crc32:{zlib.crc32(trace):08x}"


def known_reason(reason: str | None) -> str:
    """A failure reason as it is stored."""
    return reason if reason in FAILURE_REASONS else FAILURE_REASONS[0]
