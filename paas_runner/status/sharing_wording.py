"""How several processes share one store, for people: the role of this one in a sentence, and all in lines."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from paas_runner.plain_text import aligned, one_line, short_span, span
from paas_runner.status.sharing import MemberReport, Role, SharingReport


def role_line(report: SharingReport) -> str:
    """Who works and who stands by, and what is wrong with the store."""
    return "; ".join(filter(None, [_role(report), _trouble(report)]))


def _role(report: SharingReport) -> str:
    having = [f"{member.name} ({_runners(member.runners)})" for member in report.alive if member.runners]
    others = [member.name for member in report.alive if not member.runners and not member.here]
    match report.role:
        case Role.CUT_OFF:
            return "cut off from the store: no jobs are asked for, and another process may have taken over"
        case Role.ABSENT if having:
            return f"not here; {', '.join(having)} {'works' if len(having) == 1 else 'work'}"
        case Role.ABSENT:
            return "nobody works: its jobs are not cared for until a process starts"
        case Role.STANDBY if having:
            return f"standby: {', '.join(having)} {'works' if len(having) == 1 else 'work'}"
        case Role.STANDBY:
            return "standby, and nobody works: runners are taken within seconds"
        case _ if len(having) > 1:
            return f"one of {len(having)} that work: {', '.join(having)}"
        case _ if others:
            return f"works; standing by: {', '.join(others)}"
        case _:
            return "works; nobody stands by"


def _trouble(report: SharingReport) -> str:
    if not report.trouble:
        return ""
    since = f" since {report.silent_since:%H:%M:%S}" if report.silent_since else ""
    return f"{report.store} cannot be reached{since}: {one_line(report.trouble)}"


def sharing_lines(report: SharingReport, at: datetime, *, weighs: bool) -> Iterator[str]:
    """For the page of `paas-runner status`: the role, and a line for each process.

    `weighs` is whether there is a quota: without one weights bound nothing.
    """
    yield f"shares {report.store}, mode {report.mode}: {role_line(report)}"
    happened = [f"{name} {number}" for name, number in report.counters.items() if number]
    if happened:
        yield f"runners since the start: {', '.join(happened)}"
    if report.members:
        yield ""
        head = ("PROCESS", "VERSION", "MODE", "RUNNERS", "PRESENT", "LAST RENEWAL", "MAY USE")
        yield from aligned([head, *(_member_row(member, at, weighs=weighs) for member in report.members)])


def _member_row(member: MemberReport, at: datetime, *, weighs: bool) -> Sequence[str]:
    part = member.may_use
    weight = f", weight {part.weight:g}" if weighs and part.weight else ""
    return (
        f"{member.name}{' (this one)' if member.here else ''}",
        member.version,
        str(member.mode),
        str(member.runners),
        span((at - member.since).total_seconds()) if member.alive else "gone",
        f"{short_span(max(0.0, (at - member.renewed_at).total_seconds()))} ago",
        f"{part.jobs:g} job{'' if part.jobs == 1 else 's'}, {part.provisioning:g} in provisioning{weight}",
    )


def _runners(count: int) -> str:
    return f"{count} runner{'' if count == 1 else 's'}"
