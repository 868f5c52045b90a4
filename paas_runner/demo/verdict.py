"""Whether the promise was kept, judged from other books than what the service says."""

from collections.abc import Iterable, Mapping, Sequence

import attrs

from paas_runner.demo.hosts import KnownJobs
from paas_runner.pipelines.jobs import Job, LedgerKind

_NEVER_GIVEN_OUT = frozenset({"skipped", "created", "canceled"})


@attrs.frozen(kw_only=True)
class Verdict:
    """Kept when there are no problems."""

    jobs: int
    hosts_created: int
    hosts_left: int
    problems: Sequence[str]


def judge(jobs: Iterable[Job], hosts: KnownJobs, *, expected: Mapping[str, str] | None = None) -> Verdict:
    """Look at every job that the coordinator ever had and at every host that there ever was."""
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
        yield f"{name} was given out {acquired} times"
    if acquired == 0 and job.status not in _NEVER_GIVEN_OUT:
        yield f"{name} is {job.status} although nobody had it"
