"""`executor = "slurm"`: each CI job in a Slurm job of its own, for PaaS Runner."""

from typing import Any

import attrs

from paas_executor_slurm.executor import SlurmExecutor
from paas_executor_slurm.settings import SlurmSettings
from paas_runner.executor.contract import Executor, RunnerSection
from paas_runner.http import Connect


@attrs.frozen
class Slurm:
    """What the entry point names; nothing of it speaks HTTP, so `connect` is not used."""

    settings: type[Any] = SlurmSettings

    def build(self, settings: SlurmSettings, section: RunnerSection, connect: Connect) -> Executor:  # noqa: ARG002
        return SlurmExecutor(settings, section)


KIND = Slurm()
