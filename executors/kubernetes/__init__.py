"""`executor = "kubernetes"`: hosts are pods in one namespace of a cluster."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import attrs

from executors.kubernetes.executor import KubernetesExecutor
from executors.kubernetes.questions import questions
from executors.kubernetes.settings import KubernetesSettings
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.questions import Question
from paas_runner.http import Connect
from paas_runner.kubernetes.api import Cluster
from paas_runner.kubernetes.config import load


@attrs.frozen
class Kubernetes:
    """The executor's entry point; `environ` is where $KUBECONFIG, or the pod's own cluster, is looked for."""

    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    settings: type[Any] = KubernetesSettings
    scale: ClassVar[str] = "gibibytes of pods"

    @property
    def questions(self) -> Sequence[Question]:
        return questions(self.environ)

    def build(
        self, settings: KubernetesSettings, section: RunnerSection, connect: Connect
    ) -> KubernetesExecutor:
        """The executor of one section; raises `KubeconfigError`, and `MissingPackagesError` without YAML."""
        configuration = load(self.environ, kubeconfig=settings.kubeconfig, context=settings.context)
        cluster = Cluster(configuration, connect, namespace=settings.namespace)
        return KubernetesExecutor(settings, section, cluster=cluster)


KIND = Kubernetes()
