"""The conformance suite of PaaS Runner, on a real Slurm."""

import pytest
from slurm_provider import RealSlurm

from paas_runner.conformance import ExecutorConformance


class TestSlurm(ExecutorConformance):
    @pytest.fixture
    async def provider(self, slurm, tmp_path):
        return RealSlurm(slurm, tmp_path)
