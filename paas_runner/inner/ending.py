"""How a job ended: for the coordinator, for its after_script, for the reader of its trace."""

import enum
from collections.abc import Collection
from datetime import timedelta

import attrs

from paas_runner.errors import RunnerError
from paas_runner.job.durations import go_text


class Reason(enum.StrEnum):
    """Failure reasons that an inner runner reports (spec gitlab-runner-api.md §3.7)."""

    SCRIPT = "script_failure"
    SYSTEM = "runner_system_failure"
    TIMEOUT = "job_execution_timeout"
    IMAGE_PULL = "image_pull_failure"
    CONFIGURATION = "runner_configuration_error"
    UNKNOWN = "unknown_failure"

    def known_to(self, coordinator: Collection[str]) -> "Reason":
        """This reason, or what stands for it at a coordinator that does not list it (§3.7)."""
        if self in (Reason.SCRIPT, Reason.SYSTEM, Reason.TIMEOUT) or self in coordinator:
            return self
        match self:
            case Reason.IMAGE_PULL:
                return Reason.SYSTEM
            case Reason.CONFIGURATION:
                return Reason.SCRIPT
            case _:
                return Reason.UNKNOWN


class Result(enum.StrEnum):
    """The value is what after_script finds in `CI_JOB_STATUS` (spec gitlab-runner-api.md §10.4)."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timedout"
    BROKEN = "broken"  # something could not be done for the script: no after_script will be run


@attrs.frozen(kw_only=True)
class StateUpdate:
    """What a PUT says of the job: that it runs, or its result (spec gitlab-runner-api.md §3.1)."""

    state: str
    failure_reason: str | None = None
    exit_code: int | None = None


@attrs.frozen(kw_only=True)
class Ending:
    """A result with what belongs to it."""

    result: Result
    exit_code: int = 0
    text: str = ""
    reason: Reason = Reason.SYSTEM
    """Of a broken job."""

    def state_update(self, reasons: Collection[str] = ()) -> StateUpdate:
        """The report to the coordinator; `reasons` are those it lists in the payload's features."""
        match self.result:
            case Result.SUCCESS:
                return StateUpdate(state="success")
            case Result.FAILED:
                return StateUpdate(state="failed", failure_reason=Reason.SCRIPT, exit_code=self.exit_code)
            case Result.CANCELED:
                return StateUpdate(state="failed", failure_reason=Reason.UNKNOWN)
            case Result.TIMED_OUT:
                return StateUpdate(state="failed", failure_reason=Reason.TIMEOUT)
            case Result.BROKEN:
                return StateUpdate(state="failed", failure_reason=self.reason.known_to(reasons))

    def complaint(self, timeout: timedelta) -> str:
        """The last line of the trace of a job that did not succeed (§10.3)."""
        match self.result:
            case Result.SUCCESS:
                return ""
            case Result.FAILED:
                return f"Job failed: exit code {self.exit_code}"
            case Result.CANCELED:
                return "Job failed: canceled"
            case Result.TIMED_OUT:
                return f"Job failed: execution took longer than {_whole_seconds(timeout)} seconds"
            case Result.BROKEN if self.reason is Reason.SYSTEM:
                return f"Job failed (system failure): {self.text}"
            case Result.BROKEN:
                return f"Job failed: {self.text}"


SUCCEEDED = Ending(result=Result.SUCCESS)
CANCELED = Ending(result=Result.CANCELED)
TIMED_OUT = Ending(result=Result.TIMED_OUT)


class StageError(RunnerError):
    """A stage failed in a way that ends the job; its trace has the details already."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.text or f"exit code {ending.exit_code}")
        self.ending = ending


def exited(code: int) -> Ending:
    """The ending that a script's exit code makes."""
    return Ending(result=Result.FAILED, exit_code=code) if code else SUCCEEDED


def broken(text: str, reason: Reason = Reason.SYSTEM) -> Ending:
    """The ending of a job for which something could not be done."""
    return Ending(result=Result.BROKEN, text=text, reason=reason)


def _whole_seconds(span: timedelta) -> str:
    return go_text(int(span.total_seconds()) * 10**9)
