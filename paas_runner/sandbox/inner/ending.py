"""How a job ended: for the coordinator, for its after_script, for the reader of its trace."""

import enum
from datetime import timedelta

import attrs


class Result(enum.StrEnum):
    """The value is what after_script finds in `CI_JOB_STATUS` (spec gitlab-runner-api.md §10.4)."""

    SUCCESS = "success"
    FAILED = "failed"
    CANCELED = "canceled"
    TIMED_OUT = "timedout"  # no after_script any more
    BROKEN = "broken"  # the script could not be run at all, nor will after_script be


@attrs.frozen(kw_only=True)
class FinalWord:
    """The part of the final PUT that tells the result (spec gitlab-runner-api.md §3.1)."""

    state: str
    failure_reason: str | None = None
    exit_code: int | None = None


@attrs.frozen(kw_only=True)
class Ending:
    """A result with what belongs to it."""

    result: Result
    exit_code: int = 0
    text: str = ""

    def word(self) -> FinalWord:
        """What the coordinator is told; a cancelled job is no more than unknown to it (§3.7)."""
        match self.result:
            case Result.SUCCESS:
                return FinalWord(state="success")
            case Result.FAILED:
                return FinalWord(state="failed", failure_reason="script_failure", exit_code=self.exit_code)
            case Result.CANCELED:
                return FinalWord(state="failed", failure_reason="unknown_failure")
            case Result.TIMED_OUT:
                return FinalWord(state="failed", failure_reason="job_execution_timeout")
            case Result.BROKEN:
                return FinalWord(state="failed", failure_reason="runner_system_failure")

    def complaint(self, timeout: timedelta) -> str:
        """What the last line of the trace says of a job that did not succeed (§10.3)."""
        match self.result:
            case Result.SUCCESS:
                return ""
            case Result.FAILED:
                return f"Job failed: exit code {self.exit_code}"
            case Result.CANCELED:
                return "Job failed: canceled"
            case Result.TIMED_OUT:
                return f"Job failed: execution took longer than {_go_duration(timeout)} seconds"
            case Result.BROKEN:
                return f"Job failed (system failure): {self.text}"


def exited(code: int) -> Ending:
    """The ending that a script's exit code makes."""
    return Ending(result=Result.FAILED, exit_code=code) if code else Ending(result=Result.SUCCESS)


def _go_duration(span: timedelta) -> str:
    minutes, seconds = divmod(int(span.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{seconds}s" if hours else f"{minutes}m{seconds}s" if minutes else f"{seconds}s"
