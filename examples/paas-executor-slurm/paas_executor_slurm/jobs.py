"""What Slurm says of its jobs, as values. Pure.

States, reasons and formats: the manual pages of squeue, sacct and scontrol, of 22.05. `--json`, which that
version has, too, is not used: it takes no filter, so each call would dump the whole queue, and every version
changes its form.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import attrs

from paas_runner.job.tracked import HostName

_SEPARATOR = "\x1f"
LISTED = _SEPARATOR.join(("%A", "%T", "%V", "%r", "%j", "%k"))
"""For `squeue --format`."""

ACCOUNTED = ("--noheader", "--parsable2", "--allocations", "--format=JobName%200,State%40,ExitCode")
"""For sacct."""

SHOWN = ("--oneliner", "show", "job")
"""For scontrol."""

RUNNING = "RUNNING"
_OVER = re.compile(
    "BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF_MEMORY|PREEMPTED|REVOKED|TIMEOUT"
)
_NEVER_STARTS = re.compile(
    r"Max\w+PerJob|MaxWall|Partition(?:Node|Time)Limit|BadConstraints|Invalid(?:Account|QOS)|NotAllowed"
)
_ACCOUNTED = re.compile(
    r"^(?P<name>[^|]*)\|(?P<state>\w+)(?: by (?P<by>\d+))?\|(?P<code>\d+):(?P<signal>\d+)", re.MULTILINE
)
_SHOWN = re.compile(
    r"JobName=(?P<name>\S*).* JobState=(?P<state>\w+)(?P<by>) .* ExitCode=(?P<code>\d+):(?P<signal>\d+)"
)


@attrs.frozen
class SlurmJob:
    """One that Slurm has in its memory, where those that have ended stay for MinJobAge, 300 s usually."""

    ref: str
    state: str
    submitted: str
    """In seconds since 1970."""

    reason: str
    name: HostName
    comment: str

    @property
    def submitted_at(self) -> datetime | None:
        """None where Slurm does not say."""
        return datetime.fromtimestamp(int(self.submitted), UTC) if self.submitted.isdecimal() else None

    @property
    def over(self) -> bool:
        """Whether nothing of it runs, or ever will."""
        return bool(_OVER.fullmatch(self.state))

    @property
    def may_start(self) -> bool:
        """Whether a CI job that is handed over now may begin."""
        return not self.over and self.state != "COMPLETING"

    @property
    def never_starts(self) -> bool:
        """Whether it waits for what no time brings."""
        return self.state == "PENDING" and bool(_NEVER_STARTS.search(self.reason))


@attrs.frozen(kw_only=True)
class Ending:
    """How a Slurm job ended, as far as is known."""

    state: str = ""
    code: int = 0
    signal: int = 0
    by: str = ""
    """The number of the user who canceled it."""


def listed(text: str) -> Sequence[SlurmJob]:
    """What squeue wrote; a line that cannot be read is none of ours."""
    rows = (line.split(_SEPARATOR) for line in text.splitlines())
    return [
        SlurmJob(ref, state, submitted, reason, HostName(name), comment)
        for ref, state, submitted, reason, name, comment in (row for row in rows if len(row) == 6)
    ]


def ending(text: str, name: str) -> Ending | None:
    """What sacct wrote, or `scontrol --oneliner show job`; numbers are used again, so the name counts."""
    found = _ACCOUNTED.search(text) or _SHOWN.search(text)
    if found is None or found["name"] != name:
        return None
    code, signal = int(found["code"]), int(found["signal"])
    return Ending(state=found["state"], code=code, signal=signal, by=found["by"] or "")
