"""Whether a lease is still good, by a clock of this machine alone.

It is good for so long from *before* the request for it was sent, by a clock that counts the machine's sleep,
too: so it ends here no later than in the store.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from paas_runner.dispatch.tenure import Tenure
from paas_runner.job.lease import LEASE_SECONDS
from paas_runner.loop.timing import seconds_awake_or_not
from paas_runner.store import LeaseStore, StoreError

ANSWER_SECONDS = 4.0
"""For so long an answer of the store is waited for."""

Elapsed: TypeAlias = Callable[[], float]
"""Counts seconds, from any moment on."""

_Answer = TypeVar("_Answer")


async def answered(answer: Awaitable[_Answer], *, within: float = ANSWER_SECONDS) -> _Answer:
    """The answer of a store; raises `StoreError`, after so many seconds without one, too."""
    try:
        async with asyncio.timeout(within):
            return await answer
    except TimeoutError:
        raise StoreError(f"the store has not answered within {within:.0f} s") from None


class Validity(Tenure):
    """What dispatch asks; whoever keeps the leases says what is good, and hears of refused writes."""

    def __init__(self, leases: LeaseStore, elapsed: Elapsed = seconds_awake_or_not) -> None:
        self.elapsed = elapsed
        self.refused: Callable[[str], None] = lambda _runner: None
        """Called with a section whose write was refused."""

        self.expected: Callable[[str], None] = lambda _runner: None
        """Called with a section for which a job was recorded here while it was not served."""

        self._leases = leases
        self._good_until: dict[str, float] = {}

    def renew(self, runner: str, sent_at: float) -> None:
        """The store has given the lease at a request that was sent then, by the own clock."""
        self._good_until[runner] = sent_at + LEASE_SECONDS

    def withdraw(self, runner: str) -> None:
        """Whatever the clock says: not ours."""
        self._good_until.pop(runner, None)

    def holds(self, runner: str) -> bool:
        until = self._good_until.get(runner)
        return until is not None and self.elapsed() < until

    async def confirm(self, runner: str) -> None:
        await answered(self._leases.confirm(runner))

    def lost(self, runner: str) -> None:
        self.withdraw(runner)
        self.refused(runner)

    def arrived(self, runner: str) -> None:
        self.expected(runner)
