"""Why a job could not run: a reason for the coordinator, a text for the job's author."""

import enum
from collections.abc import Iterable

import attrs

from paas_runner.job.variables import Variable


class FailureReason(enum.StrEnum):
    """The `failure_reason` values that every GitLab accepts (spec `gitlab-runner-api.md` §3.7)."""

    SCRIPT = "script_failure"  # the author's: no banner, no automatic retry
    SYSTEM = "runner_system_failure"  # ours or the cloud's: `retry:when` may run the job again
    TIMEOUT = "job_execution_timeout"


@attrs.frozen(kw_only=True)
class Failure:
    """`text` goes into the job's log: sentences for its author, no credentials, no traceback."""

    reason: FailureReason
    text: str

    def masked(self, variables: Iterable[Variable]) -> "Failure":
        """The same without the values of masked variables, which an answer may have quoted."""
        text = self.text
        for value in sorted((v.value for v in variables if v.masked and v.value), key=len, reverse=True):
            text = text.replace(value, "[MASKED]")
        return attrs.evolve(self, text=text)


def as_trace(failure: Failure, *, runner: str, version: str) -> str:
    """What the job's log shows, in the form and colours of GitLab Runner (spec §10.3)."""
    kind = "" if failure.reason is FailureReason.SCRIPT else " (system failure)"
    return (
        f"Running with paas-runner {version} on {runner}\n"
        f"\x1b[31;1mERROR: Job failed{kind}: {failure.text}\x1b[0;m\n"
    )
