"""The program that a sandbox's host runs: one job, from `runner.toml` and `job.json`."""

from paas_runner.sandbox.inner.link import Pace
from paas_runner.sandbox.inner.runner import InnerRunner, ScriptedInnerRunner, run_job
from paas_runner.sandbox.inner.section import InnerRunnerError

__all__ = ["InnerRunner", "InnerRunnerError", "Pace", "ScriptedInnerRunner", "run_job"]
