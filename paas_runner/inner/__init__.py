"""The program that a host runs: one job, from `runner.toml` and `job.json`."""

from paas_runner.inner.runner import InnerRunner, UnreportedError
from paas_runner.inner.settings import InnerRunnerError, Timings
from paas_runner.inner.stop import Stops

__all__ = ["InnerRunner", "InnerRunnerError", "Stops", "Timings", "UnreportedError"]
