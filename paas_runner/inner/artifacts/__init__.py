"""A job's artifacts, to the coordinator and from it (spec gitlab-runner-api.md §6.1, §6.2)."""

from paas_runner.inner.artifacts.job_artifacts import Artifacts, job_artifacts

__all__ = ["Artifacts", "job_artifacts"]
