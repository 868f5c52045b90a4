"""A GitLab-style coordinator on loopback: hands out jobs, takes trace and state."""

from paas_runner.sandbox.coordinator.api import create_app
from paas_runner.sandbox.coordinator.jobs import Entry, Job, Kind, Project, Repository
from paas_runner.sandbox.coordinator.model import Coordinator, SubmittedPipeline
from paas_runner.sandbox.coordinator.options import CoordinatorOptions
from paas_runner.sandbox.coordinator.pipeline import load_pipeline
from paas_runner.sandbox.coordinator.runners import Runner, RunnerType
from paas_runner.sandbox.coordinator.spec import (
    Image,
    JobSpec,
    Pipeline,
    PipelineError,
    PipelineWarning,
    Retry,
    Service,
    When,
)
from paas_runner.sandbox.coordinator.states import JobState

__all__ = [
    "Coordinator",
    "CoordinatorOptions",
    "Entry",
    "Image",
    "Job",
    "JobSpec",
    "JobState",
    "Kind",
    "Pipeline",
    "PipelineError",
    "PipelineWarning",
    "Project",
    "Repository",
    "Retry",
    "Runner",
    "RunnerType",
    "Service",
    "SubmittedPipeline",
    "When",
    "create_app",
    "load_pipeline",
]
