"""The coordinator's side of a job: asking for one, following it, reporting it failed."""

from paas_runner.coordinator.protocol import CoordinatorClient, JobStatus, TraceState

__all__ = ["CoordinatorClient", "JobStatus", "TraceState"]
