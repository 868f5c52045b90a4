"""The account of a host that failed or stands still: facts in, a few plain lines out. Pure.

For the job's author and for the operators: what was asked for, what the cloud says, the likely cause, who can
do what, where to look further, and the end of the host's own log where we may read it. Values that are the
job's or the operators' own are masked: a build may print its environment, to all who may read the job.
"""

from collections.abc import Sequence
from datetime import datetime

import attrs

from executors.clever.causes import BLOCKED, Case, Diagnosis, diagnosis, in_the_light_of_its_log
from executors.clever.deployments import Deployment, Sighting
from executors.host_log import log_state, quoted
from paas_runner.job.failure import fact_sheet, moment, reference
from paas_runner.job.tracked import Host
from paas_runner.plain_text import rough_span


@attrs.frozen(kw_only=True)
class HostFacts:
    """What is known of the host; `lines` are the end of its log, None when that cannot be read."""

    host: Host
    zone: str
    seen: Sighting
    case: Case
    now: datetime
    lines: Sequence[str] | None = None
    hidden: Sequence[str] = attrs.field(default=(), repr=False)
    """Values to be masked."""

    stays: bool = False
    """Whether it runs a helper service, not one job."""

    @property
    def diagnosis(self) -> Diagnosis:
        """Of the case, knowing the log."""
        case = in_the_light_of_its_log(self.case, self.lines)
        return diagnosis(case, self.lines, stays=self.stays)


def ended(facts: HostFacts) -> str:
    """For a host whose job is ended because of it: what happened, and why."""
    return f"The host of this job {facts.diagnosis.happened}.\n{particulars(facts)}"


def particulars(facts: HostFacts) -> str:
    """What is known beyond what happened."""
    explained, launch = facts.diagnosis, facts.seen.launch
    sheet = fact_sheet(
        {
            "Asked for": _request(facts),
            "Clever Cloud": _reported(facts),
            "Likely cause": explained.cause.format(place=_place(facts)),
            "What to do": explained.advice,
            "Reference": reference(facts.host.ref, launch.uuid if launch else ""),
            "Its own log": log_state(facts.lines) if facts.case.has_log else "",
        }
    )
    return sheet + quoted(facts.lines, facts.hidden)


def _place(facts: HostFacts) -> str:
    what = f"flavor {facts.host.flavor}" if facts.host.flavor else "a host"
    return f"{what} in zone {facts.zone}"


def _request(facts: HostFacts) -> str:
    launch = facts.seen.launch
    at = facts.seen.created_at or (launch.at if launch else None)
    return f"{_place(facts)}, at {moment(at)}" if at else _place(facts)


def _reported(facts: HostFacts) -> str:
    """What the cloud says, as near to its own words as can be read."""
    seen, launch = facts.seen, facts.seen.launch
    if seen.removed:
        return "it no longer knows the application"
    if launch is None:
        return f"it took the push, but lists no deployment; the application is {seen.state or 'there'}"
    parts = [f"the deployment is {launch.state}{_begun(launch, facts.now)}"]
    if seen.machines is not None:
        parts.append(_machine(seen))
    if later := seen.later:
        cause = later.cause or "no cause given"
        parts.append(
            f"after it came {later.action} ({cause}), which is {later.state}{_begun(later, facts.now)}"
        )
    if seen.state in BLOCKED:
        parts.append(f"the application is {seen.state}")
    return "; ".join(parts)


def _begun(deployment: Deployment, now: datetime) -> str:
    return f", begun {rough_span(now - deployment.at)} ago" if deployment.at else ""


def _machine(seen: Sighting) -> str:
    if not seen.alive:
        return "it has no machine"
    return f"its machine is {' and '.join(machine.state for machine in seen.alive)}"
