"""`executor = "service-docker"`: one helper service that is there already takes the jobs, one at a time."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

import attrs

from executors.helper.opening import needs_grpc
from executors.service_docker.executor import ServiceDockerExecutor
from executors.service_docker.questions import QUESTIONS
from executors.service_docker.settings import ServiceDockerSettings
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.questions import Question
from paas_runner.http import Connect


@attrs.frozen
class ServiceDocker:
    """The executor's entry point."""

    second_look_after: timedelta = timedelta(seconds=5)
    settings: type[Any] = ServiceDockerSettings
    questions: Sequence[Question] = QUESTIONS
    scale: ClassVar[str] = "hosts"

    def build(
        self, settings: ServiceDockerSettings, section: RunnerSection, connect: Connect
    ) -> ServiceDockerExecutor:
        """The executor of one section; raises `MissingPackagesError` without what gRPC needs."""
        if not settings.http1:
            needs_grpc(f'executor = "service-docker" (runner {section.name!r}), for gRPC,')
        return ServiceDockerExecutor(
            settings, section, connect=connect, second_look_after=self.second_look_after
        )


KIND = ServiceDocker()
