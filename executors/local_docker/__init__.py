"""`executor = "local-docker"`: hosts are containers of a Docker engine."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from executors.local_docker.executor import LocalDockerExecutor
from executors.local_docker.questions import questions
from executors.local_docker.settings import LocalDockerSettings, address
from paas_runner.docker.engine import Engine
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.questions import Question
from paas_runner.http import Connect


@attrs.frozen
class LocalDocker:
    """The executor's entry point; `environ` is where $DOCKER_HOST is looked for."""

    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    settings: type[Any] = LocalDockerSettings
    scale: ClassVar[str] = "hosts"

    @property
    def questions(self) -> Sequence[Question]:
        return questions(self.environ)

    def build(
        self,
        settings: LocalDockerSettings,
        section: RunnerSection,
        connect: Connect,  # noqa: ARG002 - the SDK has connections of its own
    ) -> LocalDockerExecutor:
        """The executor of one section; raises `RunnerError` when it cannot be served on this machine."""
        return LocalDockerExecutor(settings, section, engine=Engine(address(settings, self.environ)))


KIND = LocalDocker()
