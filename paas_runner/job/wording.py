"""A job's history in words for the operator.

Made when it is looked at, for the terminal and for `--json` alike. They are free to change: nothing is
compared or decided by them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import attrs

from paas_runner.job.history import ACQUIRED, LEGACY
from paas_runner.job.tracked import Entry, Fact, Phase
from paas_runner.job.use import memory


@attrs.frozen(kw_only=True)
class HistoryLine:
    """One line of a job's history; the fields are those of `--json`, and of `Entry` but for the words."""

    at: datetime
    phase: Phase
    what: str
    why: str = ""
    times: int = 1
    last: datetime | None = None
    until: datetime | None = None


def describe_history(history: Iterable[Entry]) -> Sequence[HistoryLine]:
    return [describe_entry(entry) for entry in history]


def describe_entry(entry: Entry) -> HistoryLine:
    what, why = words(entry)
    return HistoryLine(
        at=entry.at,
        phase=entry.phase,
        what=what,
        why=why,
        times=entry.times,
        last=entry.last,
        until=entry.until,
    )


def words(entry: Entry) -> tuple[str, str]:
    """What happened, the same whenever it happens again, and why or with which outcome."""
    if entry.event == LEGACY:
        return str(entry.facts.get("what")), str(entry.facts.get("why", ""))
    if entry.event == ACQUIRED and "job_name" not in entry.facts:
        return "acquired", "its definition cannot be read"
    by_phase = _BY_PHASE.get(entry.event)
    what, why = (by_phase and by_phase.get(entry.phase)) or _WORDS[entry.event]
    return what, why.format_map(_Facts(entry.facts)) if "{" in why else why


class _Facts(dict[str, Fact]):
    """With what is made of facts, and a word for those that a damaged record is without."""

    def __missing__(self, name: str) -> str:
        match name:
            case "of_flavor":
                return f", flavor {self['flavor']}" if self.get("flavor") else ""
            case "after_seconds":
                seconds = self.get("seconds")
                return f"after {seconds:.1f} s" if isinstance(seconds, int | float) else "after some time"
            case "used":
                size, seconds = self.get("memory_bytes"), self.get("cpu_seconds")
                if not isinstance(size, int) or not isinstance(seconds, int | float):
                    return ""
                return f"; the job used {memory(size)} of memory, {seconds:.1f} s of CPU"
            case _:
                return "unknown"


_WORDS: Mapping[str, tuple[str, str]] = {
    "acquired": ("acquired", "its name is {job_name}"),
    "provision_intended": ("a host is asked for", "its name is {host_name}"),
    "host_created": ("host created", "{host}{of_flavor}, {after_seconds}"),
    "host_found_or_created": ("host found or created", "{host}{of_flavor}, {after_seconds}"),
    "host_ready": ("the host takes the job", "{after_seconds}"),
    "launch_intended": (
        "the job is handed to its host",
        "the host takes it, and the coordinator still wants it",
    ),
    "launched": ("the host has the job", "{after_seconds}"),
    "life_seen": ("the job has begun", "its log has its first bytes, {after_seconds}"),
    "checked": ("the coordinator still wants the job", "so it goes on"),
    "canceling": ("the job is being canceled", "its user wants it to end, says the coordinator"),
    "unchecked": ("the coordinator could not be asked about the job", "it goes on until the answer is no"),
    "host_checked": ("the host was looked at", "nothing speaks for giving the job up"),
    "not_yet": ("what was waited for has not come yet", "it is looked for again"),
    "deferred": ("a try failed", "{trouble}"),
    "failed": ("the job cannot be run", "{reason}: {text}"),
    "ended": ("the coordinator no longer runs the job", "it has ended, was canceled or erased"),
    "explained": ("the author was told why", "in the job's log"),
    "reported": ("the coordinator was told that the job failed", "so that it ends there, too"),
    "decommissioned": ("the host is gone", "{after_seconds}{used}"),
    "host_reused": (
        "a host on standby is used again",
        "{host}{of_flavor}, which another job has left clean; its name is {host_name}",
    ),
    "host_released": ("the host is clean and waits for another job", "for {standby_seconds} s at most"),
    "host_unfit": ("the host is not used again", "its job did not succeed, or it could not be proved clean"),
    "host_renewed": ("the host on standby lives", "it has heard of us, and waits on"),
    "standby_over": ("the host waits no longer", "{why}, {after_seconds}"),
    "host_taken": ("the host is another job's now", "{by}, {after_seconds}"),
    "host_left": ("the host is left in place", "as configured"),
    "service_started": (
        "the service goes on from the job's record",
        "whichever process had the job was stopped or killed, or has handed it over",
    ),
}

_BY_PHASE: Mapping[str, Mapping[Phase, tuple[str, str]]] = {
    "not_yet": {
        Phase.PROVISIONING: ("the host does not take the job yet", "its provider is still preparing it"),
        Phase.LAUNCHED: ("nothing is in the job's log yet", "its host is still starting"),
    },
    "deferred": {
        Phase.ACQUIRED: ("the coordinator could not be told that the job has a runner", "{trouble}"),
        Phase.PROVISIONING: ("there is no host yet", "{trouble}"),
        Phase.PROVISIONED: ("the job could not be launched yet", "{trouble}"),
        Phase.LAUNCHING: ("the job could not be launched yet", "{trouble}"),
        Phase.LAUNCHED: ("the job's log could not be looked at", "{trouble}"),
        Phase.RUNNING: ("the coordinator could not be asked whether the job has ended", "{trouble}"),
        Phase.FAILING: ("the failure could not be reported yet", "{trouble}"),
        Phase.DECOMMISSIONING: ("the host could not be removed, or cleaned, yet", "{trouble}"),
        Phase.STANDBY: ("the host on standby could not be asked whether it lives", "{trouble}"),
    },
}
"""Where an event means something else in each phase."""
