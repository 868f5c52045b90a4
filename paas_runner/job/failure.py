"""Why a job could not run: a reason for the coordinator, a text for the job's author."""

import enum
import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime

import attrs

from paas_runner.errors import RemoteError, RunnerError
from paas_runner.job.masks import masked, masked_values
from paas_runner.job.variables import Variable
from paas_runner.plain_text import one_line, printable

MOST_COLUMNS = 140  # of a fact sheet: what a job's page shows without wrapping
RETRY = "retry the job; if that does not help, ask the operators of this runner"
NOT_RUN_EXIT_CODE = 103
"""What heptapod-paas-runner tells of every job that it could not run (core-features.md H114).

No script need end with it, so `retry:exit_codes` and `allow_failure:exit_codes` with 103 mean these failures.
"""
NO_RETRY = "ask the operators of this runner, whose credentials were refused: no retry helps before"


class FailureReason(enum.StrEnum):
    """The `failure_reason` values that every GitLab accepts (spec `gitlab-runner-api.md` §3.7)."""

    SCRIPT = "script_failure"  # the author's: no banner, no automatic retry
    SYSTEM = "runner_system_failure"  # ours or the cloud's: `retry:when` may run the job again
    TIMEOUT = "job_execution_timeout"
    CANCELED = (
        "unknown_failure"  # as GitLab Runner's `job_canceled` leaves it; the coordinator stores "canceled"
    )


@attrs.frozen(kw_only=True)
class Failure:
    """`text` goes into the trace: sentences for its author, no credentials, no traceback.

    Its first line says what happened; more lines, a `fact_sheet` usually, may follow.
    """

    reason: FailureReason
    text: str

    @property
    def exit_code(self) -> int | None:
        """For the coordinator; None for what the job's own timeout or its cancellation has ended."""
        could_not_run = self.reason in (FailureReason.SCRIPT, FailureReason.SYSTEM)
        return NOT_RUN_EXIT_CODE if could_not_run else None

    def masked(self, variables: Iterable[Variable]) -> "Failure":
        """The same without the values of masked variables, which an answer may have quoted."""
        return self.hiding(masked_values(variables))

    def hiding(self, values: Iterable[str]) -> "Failure":
        """The same without any of the values."""
        return attrs.evolve(self, text=masked(self.text, values))


class JobRefusedError(RunnerError):
    """This job cannot be run as it is; `failure` is what its author and the coordinator get."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


def fact_sheet(facts: Mapping[str, str]) -> str:
    """Lines in two columns, a label and its text; what is empty is left out.

    The facts may quote another system: they are put on one line, without control characters, and broken only
    between words, so that no secret in them is cut in two before it is masked.
    """
    width = max(map(len, facts), default=0) + len("  : ")
    lines: list[str] = []
    for label, fact in facts.items():
        lines += textwrap.wrap(
            one_line(printable(fact)),
            MOST_COLUMNS,
            initial_indent=f"  {label}: ".ljust(width),
            subsequent_indent=" " * width,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


def moment(at: datetime) -> str:
    """A point in time for readers in any zone."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def reference(*names: str) -> str:
    """What operators find in the service's log and at their provider; without names nothing."""
    known = " ".join(filter(None, names))
    return f"{known} (for the operators of this runner)" if known else ""


def call_facts(error: RemoteError, at: datetime, *names: str) -> str:
    """A fact sheet of a call that failed: what was asked for, the answer, and what can be done.

    `names` are those by which the provider knows the host.
    """
    request = f"request {error.reference}" if error.reference else ""
    return fact_sheet(
        {
            "Asked for": f"{error.op}, at {moment(at)}",
            "Answer": f"{error.service}: {error.text}",
            "What to do": error.advice or _advice(error),
            "Reference": reference(*names, request),
        }
    )


def _advice(error: RemoteError) -> str:
    if error.status in (401, 403):
        return NO_RETRY
    return RETRY


def as_trace(failure: Failure, *, runner: str, version: str) -> str:
    """The trace of a job that did not run, in the form and colours of GitLab Runner (spec §10.3).

    Only the first line is coloured: the rest is to be read.
    """
    theirs = failure.reason in (FailureReason.SCRIPT, FailureReason.CANCELED)
    kind = "" if theirs else " (system failure)"
    headline, newline, more = failure.text.partition("\n")
    return (
        f"Running with paas-runner {version} on {runner}\n"
        f"\x1b[31;1mERROR: Job failed{kind}: {headline}\x1b[0;m\n"
        f"{more}{newline}"
    )
