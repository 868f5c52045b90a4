"""Worlds in which several processes share an audit of acquisitions, and one of them may not know the quota.

What one process takes for lost another may just have, frozen with the answer: it records the job when it goes
on. That is too late, and does no harm as long as nobody launches it.
"""

import math
import random

from tests.simulation.audited import AUDIT, Noted, judge_acted, owes
from tests.simulation.crowd import BOUNDS
from tests.simulation.lives import SplitTransport
from tests.simulation.pairs import PairWorld
from tests.simulation.world import STORM_SECONDS


class NotedSplit(Noted, SplitTransport):
    """A network that may be split, on which the audit's acts are noted as they arrive."""


class AuditedPairs(PairWorld):
    """Nothing acknowledges here: crashes and splits lose jobs, which whoever has the section finds."""

    runner_more = AUDIT
    two_phases_likely = 0.0

    def __init__(self, folder, seed: int) -> None:
        super().__init__(folder, seed)
        dice = random.Random(f"audited pairs {seed}")
        self.blind = dice.choice(self.members) if dice.random() < 0.5 else None
        """This process cannot read the cloud's flavors before the calm, so it knows no quota."""

        if self.blind:
            self.chaos.counts["world: a member without a quota"] += 1
            self._mode = "spread"
            missing = 3 - len(self._sections)
            self._sections += [self._section(len(self._sections) + each) for each in range(missing)]
            if math.isinf(self.reference_jobs):
                self.reference_jobs = dice.choice([2, 6])
                self._config["more"] += BOUNDS.format(provisioning=30, jobs=self.reference_jobs)

    def _section(self, number: int) -> str:
        return super()._section(number) + AUDIT

    def is_down(self, side) -> bool:
        blinded = self.blind and side == (self.blind.name, "cloud") and self.seconds() < STORM_SECONDS
        return bool(blinded) or super().is_down(side)

    def transport_of(self, life, url: str):
        return NotedSplit.of(self, life, url)

    def note_act(self, job_id: int, verb: str) -> None:
        """The world goes on, as for all that is judged while several processes are about."""
        self.chaos.counts[f"audit: {verb}"] += 1
        if job_id in self.recorded and job_id not in self.acted:
            self.accuse(f"the audit: {verb} of job {job_id}, of which there was a record")
        self.acted.add(job_id)

    def owes(self) -> bool:
        return owes(self.store)

    def _excused(self, job) -> bool:
        return False

    def _judge_job(self, job, launches: int) -> None:
        super()._judge_job(job, launches)
        judge_acted(self, job, lost=not launches)
