"""A crowded world: jobs of all flavors come in swarms, answers take their time, and the quota is short.

So several requests for a job are in flight whatever happens, and jobs wait for their room.
"""

import asyncio
import random

from paas_runner.job.variables import Variable
from paas_runner.pipelines.spec import JobSpec
from tests.simulation.world import HOUR, SimulatedWorld

SWARMS = 3
JOBS_OF_A_SWARM = 10
HALF = "quota_max_fraction = 0.5"
BOUNDS = """
paas_max_concurrent_provisioning = {provisioning}
[quota_computation]
reference_runner = "virtual"
reference_flavor = "M"
reference_jobs_count = {jobs}
"""


class CrowdedWorld(SimulatedWorld):
    """One runner, three swarms of jobs within an hour."""

    def __init__(self, folder, seed: int) -> None:
        super().__init__(folder, seed)
        self._dice = random.Random(f"crowd {seed}")
        self.latency = self._dice.choice([0.05, 0.3])
        self.reference_jobs = self._dice.choice([2, 12, 60])
        self._config["concurrent"] = self._dice.choice([4, 30])
        self._config["more"] = BOUNDS.format(
            provisioning=self._dice.choice([3, 30]), jobs=self.reference_jobs
        )
        section = self._dice.choice(["", "request_concurrency = 3", HALF, 'cc_max_flavor = "XL"'])
        self._config["runner"] = section
        if section == HALF:
            self.share = 0.5

    async def _users(self) -> None:
        for swarm in range(SWARMS):
            for number in range(JOBS_OF_A_SWARM):
                flavor = self._dice.choice(["XS", "S", "M", "M", "L", "XL"])
                variables = (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value=flavor),)
                script = (f"sleep {self._dice.choice([1, 30, 600])}",)
                job = self.submitted_job(
                    JobSpec(name=f"{swarm}-{number}", script=script, variables=variables)
                )
                self.submitted.append(job)
                if self._dice.random() < self.chaos.mood.cancels:
                    self.detached(self._cancel_later(job.job_id, self._dice.expovariate(1 / 300)))
            await asyncio.sleep(self._dice.uniform(0, HOUR / SWARMS))
