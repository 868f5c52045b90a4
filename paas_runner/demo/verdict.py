"""Whether the promise was kept, judged from the sandbox's own books and not from what the service says."""

from collections.abc import Iterable, Mapping, Sequence

import attrs

from paas_runner.sandbox.cloud import Ledger
from paas_runner.sandbox.coordinator import Job, Kind

EXPECTED: Mapping[str, str] = {
    "compile": "success",
    "unit tests": "success",
    "broken": "failed",
    "large": "success",
    "unknown flavor": "failed",
    "report": "success",
}
"""How the jobs of the demo's own pipeline must end."""

_NEVER_GIVEN_OUT = frozenset({"skipped", "created", "canceled"})


@attrs.frozen(kw_only=True)
class Verdict:
    """Kept when there are no problems."""

    jobs: int
    hosts_created: int
    hosts_left: int
    problems: Sequence[str]


def judge(jobs: Iterable[Job], ledger: Ledger, *, expected: Mapping[str, str] | None = None) -> Verdict:
    """Look at every job that the coordinator ever had and at every host that the cloud ever billed."""
    jobs = list(jobs)
    problems = [problem for job in jobs for problem in _of_job(job)]
    problems += [
        f"host {entry.app_id} ({entry.name}) ran its job {entry.launches} times"
        for entry in ledger.created
        if entry.launches > 1
    ]
    left = list(ledger.alive)
    problems += [f"host {entry.app_id} ({entry.name}) is still there" for entry in left]
    for name, status in (expected or {}).items():
        found = [job.status for job in jobs if job.spec.name == name]
        if found != [status]:
            ended = ", ".join(found) or "nothing"
            problems.append(f"job {name!r} should have ended as {status}, not as {ended}")
    return Verdict(jobs=len(jobs), hosts_created=len(ledger.created), hosts_left=len(left), problems=problems)


def _of_job(job: Job) -> Iterable[str]:
    name = f"job {job.job_id} ({job.spec.name})"
    if not job.ended:
        yield f"{name} has not ended: it is {job.status}"
    acquired = job.count(Kind.ACQUIRED)
    if acquired > 1:
        yield f"{name} was given out {acquired} times"
    if acquired == 0 and job.status not in _NEVER_GIVEN_OUT:
        yield f"{name} is {job.status} although nobody had it"
