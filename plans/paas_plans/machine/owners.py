"""What plans and blocks have in common: how they open, and the checks that run while they work."""

import enum
from typing import TypeVar

from paas_plans.machine.parts import Turn, begin_checks, is_, waiting, with_part, without_wait
from paas_plans.plan import DEFAULT_DELAY, Block, CheckKind, Checks, Path, Plan, Status

Owner = TypeVar("Owner", Plan, Block)


class Gate(enum.Enum):
    """Whether the work of a plan or block may be done."""

    WAITING = enum.auto()  # for checks that run
    BYPASSED = enum.auto()
    CLOSED = enum.auto()
    OPEN = enum.auto()


def opened(owner: Owner, path: Path, turn: Turn, *, has_begun: bool) -> tuple[Owner, Gate]:
    """Bypass checks first; if one of them fails, pre checks beside one run of continuous checks."""
    owner = run_once(owner, CheckKind.BYPASS, path, turn)
    if is_(owner.bypass_checks, Status.RUNNING):
        return owner, Gate.WAITING
    if is_(owner.bypass_checks, Status.COMPLETED):
        return owner, Gate.BYPASSED
    if owner.pre_checks and not has_begun:
        for kind in (CheckKind.PRE, CheckKind.CONTINUOUS):
            owner = run_once(owner, kind, path, turn)
        together = (owner.pre_checks, owner.continuous_checks)
        if any(is_(checks, Status.RUNNING) for checks in together):
            return owner, Gate.WAITING
        if any(is_(checks, Status.FAILED) for checks in together):
            return owner, Gate.CLOSED
    if turn.stopping and not has_begun:
        return owner, Gate.CLOSED
    return run_once(owner, CheckKind.CONTINUOUS, path, turn), Gate.OPEN


def run_once(owner: Owner, kind: CheckKind, path: Path, turn: Turn) -> Owner:
    """Begins checks that have not been."""
    checks: Checks | None = getattr(owner, kind.field)
    if checks is None or checks.state.status is not Status.NOT_STARTED or turn.stopping:
        return owner
    return with_part(owner, kind.field, begin_checks(checks, (*path, kind.field), turn))


def with_looped(owner: Owner, path: Path, turn: Turn) -> Owner:
    """Continuous checks while the work goes on: run again `delay` after a run, up to one that failed."""
    checks, field = owner.continuous_checks, CheckKind.CONTINUOUS.field
    if checks is None or checks.state.status is not Status.COMPLETED or turn.stopping:
        return owner
    path = (*path, field)
    waits = waiting(checks, path, checks.delay or DEFAULT_DELAY, turn)
    return with_part(owner, field, waits or begin_checks(checks, path, turn))


def with_settled(owner: Owner) -> Owner:
    """Continuous checks are not to run again; a run in progress goes on to its end."""
    checks = owner.continuous_checks
    return with_part(owner, CheckKind.CONTINUOUS.field, checks and without_wait(checks))
