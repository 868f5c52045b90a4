"""What happened to each job, and whether the promise was kept. Pure.

A job's story comes from the service's log and from the coordinator. The verdict does not: it is made from
what the coordinator and the provider of the hosts have recorded themselves.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs

from paas_runner.demo.hosts import HostLedger
from paas_runner.pipelines.jobs import Job, LedgerKind

PHASES = ("provisioning", "provisioned", "launching", "launched", "running", "failing", "decommissioning")
"""In the order of a job's life; each one's seconds are counted."""

_SECTION_MARKER = re.compile(r"section_(?:start|end):\d+:[^\r\n]*\r(?:\x1b\[0K)?")
_ERASE = "\x1b[0K"
_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NEVER_HANDED_OUT = frozenset({"skipped", "created", "canceled"})


@attrs.frozen(kw_only=True)
class JobStory:
    """One job so far; `seconds` is how long each phase took that is over."""

    job_id: int
    name: str
    stage: str
    phase: str = "waiting"
    status: str = "created"
    flavor: str = ""
    host: str = ""
    failure_reason: str = ""
    exit_code: int | None = None
    seconds: Mapping[str, float] = attrs.field(factory=dict)

    @property
    def total(self) -> float:
        """From acquisition until the host was gone."""
        return sum(self.seconds.values())


def continued(story: JobStory, event: Mapping[str, Any]) -> JobStory:
    """The story after a line of the service's log about the job."""
    phase = str(event.get("phase", story.phase))
    if phase == story.phase:
        return story
    seconds = dict(story.seconds)
    if story.phase in (*PHASES, "acquired"):
        seconds[story.phase] = seconds.get(story.phase, 0.0) + float(event.get("seconds", 0.0))
    return attrs.evolve(
        story,
        phase=phase,
        seconds=seconds,
        host=str(event.get("host", story.host)),
        flavor=str(event.get("flavor", story.flavor)),
    )


def as_author_sees_it(trace: bytes, *, colours: bool) -> Sequence[str]:
    """The trace's lines without the section markers, as GitLab's page shows them."""
    text = _SECTION_MARKER.sub("", trace.decode(errors="replace")).replace(_ERASE, "")
    if not colours:
        text = _COLOUR.sub("", text)
    return [line.rpartition("\r")[2] for line in text.splitlines()]


@attrs.frozen(kw_only=True)
class Verdict:
    """Kept when there are no problems."""

    jobs: int
    hosts_created: int
    hosts_left: int
    problems: Sequence[str]
    takeover_seconds: float | None = None
    """How long it took until another service went on, where one was killed."""


def judge(jobs: Iterable[Job], hosts: HostLedger, *, expected: Mapping[str, str] | None = None) -> Verdict:
    """Of every job that the coordinator ever had, and every host that there ever was."""
    jobs = list(jobs)
    problems = [problem for job in jobs for problem in _of_job(job)]
    problems += [
        f"host {host.ref} ({host.name}) ran its job {host.launches} times"
        for host in hosts.created
        if host.launches > 1
    ]
    problems += [f"{left} is still there" for left in hosts.left]
    for name, status in (expected or {}).items():
        found = [job.status for job in jobs if job.spec.name == name]
        if found != [status]:
            ended = ", ".join(found) or "nothing"
            problems.append(f"job {name!r} should have ended as {status}, not as {ended}")
    return Verdict(
        jobs=len(jobs), hosts_created=len(hosts.created), hosts_left=len(hosts.left), problems=problems
    )


def _of_job(job: Job) -> Iterable[str]:
    name = f"job {job.job_id} ({job.spec.name})"
    if not job.ended:
        yield f"{name} has not ended: it is {job.status}"
    acquired = job.count(LedgerKind.ACQUIRED)
    if acquired > 1:
        yield f"{name} was handed out {acquired} times"
    if acquired == 0 and job.status not in _NEVER_HANDED_OUT:
        yield f"{name} is {job.status} although no runner had it"
