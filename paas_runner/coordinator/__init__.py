"""The coordinator's side of a job: asking for one, following it, reporting it failed."""

from paas_runner.coordinator.gitlab import Coordinator, JobStatus, TraceState

__all__ = ["Coordinator", "JobStatus", "TraceState"]
