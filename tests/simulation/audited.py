"""Worlds in which the coordinator's list is compared with the records: what was lost on its way is found.

Nothing acknowledges here, so that every crash at the wrong moment loses a job. Of the lost ones each must be
canceled and retried, and none that was ever recorded may be touched.
"""

import re

from tests.simulation.edges import ChaoticTransport
from tests.simulation.world import SimulatedWorld, Violation

AUDIT = """
  [runners.paas_acquisition_audit]
    token = "admin"
    cancel_token = "admin"
"""
_ACT = re.compile(r"/jobs/([0-9]+)/(cancel|retry)$")


class Noted(ChaoticTransport):
    """What the audit does is written down as it arrives, however late that is."""

    async def _performed(self, request, delay):
        response = await super()._performed(request, delay)
        if act := _ACT.search(request.url.path):
            self._world.note_act(int(act[1]), act[2])
        return response


class AuditedWorld(SimulatedWorld):
    """One process and its audit."""

    runner_more = AUDIT
    two_phases_likely = 0.0
    transport_kind = Noted

    def note_act(self, job_id: int, verb: str) -> None:
        self.chaos.counts[f"audit: {verb}"] += 1
        self.acted.add(job_id)
        if job_id in self.recorded:
            raise Violation(f"the audit: {verb} of job {job_id}, of which there was a record")

    def owes(self) -> bool:
        return owes(self.store)

    def _excused(self, job) -> bool:
        """Nothing is: what was lost is found."""
        return False

    def _judge_job(self, job, launches: int) -> None:
        super()._judge_job(job, launches)
        judge_acted(self, job, lost=job.job_id not in self.recorded and not launches)


def owes(store) -> bool:
    """Whether something that was begun with a lost job is not done."""
    return any(text not in ("", "[]") for text in store._owed.values())


def judge_acted(world, job, *, lost: bool) -> None:
    """What the audit did to a job, if anything, was right and is whole."""
    if job.job_id not in world.acted:
        return
    what = f"job {job.job_id} ({job.status}), which the audit has canceled"
    if not lost:
        raise Violation(f"{what}: was no lost one")
    if job.status == "canceled" and job.retried_as is None:
        raise Violation(f"{what}: is not retried")
