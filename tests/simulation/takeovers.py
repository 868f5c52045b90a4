"""Sections that change hands in a simulated world: how often, how fast, and whether it took too long."""

import asyncio
from collections import Counter

import attrs

from paas_runner.job.lease import LEASE_SECONDS
from paas_runner.testing.shared_memory import LeaseTable

LIMITS = {"crash": 20.0, "stop": 5.0}
"""Within so many seconds another process has the section, where nothing is in its way."""

SETTLED_SECONDS = LEASE_SECONDS + 1.0
"""So long a process runs before it is expected to take over: nobody waits for its last life any more."""


@attrs.frozen
class Vacancy:
    """A section whose holder is gone, or does not move."""

    kind: str
    since: float
    by: object


class Takeovers:
    """Told by the table of leases, and by those who kill and stop."""

    def __init__(self, world) -> None:
        self._world = world
        self._vacant: dict[str, Vacancy] = {}
        self._last: dict[str, str] = {}
        self.seconds: Counter[tuple[str, int]] = Counter()
        """How many sections changed hands after so many seconds, rounded up, by what had happened."""

    def vacate(self, life, kind: str) -> None:
        """This life's sections wait for another process from now on."""
        now = self._world.seconds()
        for holder in life.holders:
            for runner in self._world.table.rows_of(holder):
                before = self._vacant.get(runner)
                if before is None or before.by is not life or kind == "crash":
                    self._vacant[runner] = vacancy = Vacancy(kind, now, life)
                    if kind in LIMITS:
                        self._world.detached(self._judge(runner, vacancy))

    def taken(self, runner: str, holder: str) -> None:
        """The section has another holder."""
        life, before = self._world.life_of(holder), self._world.life_of(self._last.get(runner, ""))
        self._last[runner] = holder
        if before is None or before.member is life.member:
            self._vacant.pop(runner, None)
            return
        vacancy = self._vacant.pop(runner, None)
        self._world.chaos.counts["takeover"] += 1
        kind = vacancy.kind if vacancy and vacancy.by is before else "balance"
        self._world.chaos.counts[f"takeover: {kind}"] += 1
        if vacancy and kind != "balance":
            self.seconds[kind, -int(-(self._world.seconds() - vacancy.since) // 1)] += 1

    def end(self) -> None:
        """Nobody is to take over any more."""
        self._vacant.clear()

    async def _judge(self, runner: str, vacancy: Vacancy) -> None:
        await asyncio.sleep(LIMITS[vacancy.kind])
        if self._vacant.get(runner) is not vacancy:
            return
        others = [member for member in self._world.members if member.life is not vacancy.by]
        if vacancy.kind == "stop" and not self._is_calm(vacancy.by, vacancy.since):
            return
        able = [each for each in others if each.is_up and runner in self._world.served_by(each.life)]
        if able and all(self._is_what_it_was(each, vacancy.since) for each in others):
            self._world.accuse(
                f"{runner} has no holder {LIMITS[vacancy.kind]:.0f} s after a {vacancy.kind} "
                f"at {vacancy.since:.1f}: {self._world.table.rows[runner]}"
            )

    def _is_what_it_was(self, member, since: float) -> bool:
        """Up and well for a while, or down for so long that nobody waits for it."""
        if not member.is_up:
            return member.ended < since - LEASE_SECONDS
        life = member.life
        settled = life.began <= since - SETTLED_SECONDS and not life.stopping.is_set()
        return settled and self._is_calm(life, since)

    def _is_calm(self, life, since: float) -> bool:
        return self._world.trouble_of(life) < since - LEASE_SECONDS


class WatchedTable(LeaseTable):
    """The leases, by the world's clock, with somebody who looks on."""

    def __init__(self, clock, takeovers: Takeovers) -> None:
        super().__init__(clock)
        self._takeovers = takeovers

    def tend(self, holder, asked):
        before = {runner: row.epoch for runner, row in self.rows.items()}
        tenancy = super().tend(holder, asked)
        for runner, row in self.rows.items():
            if row.epoch != before.get(runner, 0):
                self._takeovers.taken(runner, holder)
        return tenancy
