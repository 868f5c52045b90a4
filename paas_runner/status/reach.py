"""Which coordinators and clouds have answered when, and whether they refuse us.

It hears of every call (`http.Exchange`) and asks nothing of its own. A service that is called seldom is known
as of its last call, so that each word of it comes with its age.
"""

import enum
from collections.abc import Mapping
from datetime import datetime, timedelta

import attrs

from paas_runner.http import Exchange, ServiceKind, kind_of
from paas_runner.loop.timing import Clock

FAILURES_TOLERATED = 3
"""In a row: fewer are hiccups, which the calls' own repetitions are for."""

SILENT_FOR = timedelta(seconds=30)
"""Without any success, for a service to be called unreachable."""

MOST_SERVICES = 200
"""More are not told apart: nobody has so many, and memory is bounded."""

REQUEST_A_JOB = "request a job"


class ReachState(enum.StrEnum):
    """How a service was at its last calls."""

    UNKNOWN = "unknown"
    REACHED = "reached"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


@attrs.frozen(kw_only=True)
class Reached:
    """One coordinator, cloud or git server."""

    service: str
    """As in messages: `coordinator https://…`, `Clever Cloud`."""

    state: ReachState = ReachState.UNKNOWN
    last_success: datetime | None = None
    last_failure: datetime | None = None
    last_status: int | None = None
    """Of the last answer; None also when the last call had none."""

    failures: int = 0
    """In a row, up to now."""

    failing_since: datetime | None = None
    refused_ops: frozenset[str] = frozenset()
    """The operations that were refused the last time for the credentials' sake."""

    @property
    def is_coordinator(self) -> bool:
        return kind_of(self.service) is ServiceKind.COORDINATOR

    @property
    def is_silent(self) -> bool:
        """Whether it keeps jobs waiting."""
        return self.state in (ReachState.UNREACHABLE, ReachState.REFUSED)

    @property
    def why(self) -> str:
        """What is wrong with one that is silent, as what it does."""
        if self.state is ReachState.REFUSED:
            return f"refuses our credentials ({', '.join(sorted(self.refused_ops))})"
        return f"has not answered well {self.failures} times in a row"

    def after(self, exchange: Exchange, now: datetime) -> "Reached":
        """As it is after one more call."""
        status = exchange.answer.status if exchange.answer else None
        if _is_refusal(exchange.op, status, coordinator=self.is_coordinator):
            refused = self.refused_ops | {exchange.op}
            told = attrs.evolve(self, refused_ops=refused, last_failure=now, last_status=status)
            return attrs.evolve(told, state=ReachState.REFUSED)
        if status is None or status in (408, 425, 429) or status >= 500:
            failures, since = self.failures + 1, self.failing_since or now
            told = attrs.evolve(
                self, failures=failures, failing_since=since, last_failure=now, last_status=status
            )
            if failures < FAILURES_TOLERATED or now - since < SILENT_FOR:
                return told
            return attrs.evolve(told, state=ReachState.UNREACHABLE)
        refused = self.refused_ops - {exchange.op}
        return attrs.evolve(
            self,
            state=ReachState.REFUSED if refused else ReachState.REACHED,
            refused_ops=refused,
            last_success=now,
            last_status=status,
            failures=0,
            failing_since=None,
        )


class Reach:
    """All services that were called since the start; `Exchanges` tells it of each call."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._services: dict[str, Reached] = {}

    @property
    def services(self) -> Mapping[str, Reached]:
        """By name."""
        return dict(self._services)

    def __call__(self, exchange: Exchange) -> None:
        name = exchange.service
        if kind_of(name) in (ServiceKind.RECEIVER, ServiceKind.HOST):
            return
        if name not in self._services and len(self._services) >= MOST_SERVICES:
            return
        before = self._services.get(name, Reached(service=name))
        self._services[name] = before.after(exchange, self._clock())


def _is_refusal(op: str, status: int | None, *, coordinator: bool) -> bool:
    """Of ours, not of one job's: its token dies with it, and a coordinator says so by a 403, too.

    A 403 of Clever Cloud may be a rate limit, or a right that a token lacks for one call (§1.3).
    """
    if coordinator:
        return op == REQUEST_A_JOB and status in (401, 403)
    return status == 401
