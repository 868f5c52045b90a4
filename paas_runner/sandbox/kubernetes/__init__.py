"""A simulated Kubernetes: the API of jobs, pods and Secrets, and a node that really runs containers."""

from paas_runner.sandbox.kubernetes.access import Rule
from paas_runner.sandbox.kubernetes.api import create_app
from paas_runner.sandbox.kubernetes.cluster import Cluster
from paas_runner.sandbox.kubernetes.options import ClusterLedger, ClusterOptions, ContainerRun
from paas_runner.sandbox.kubernetes.resources import EVENTS, JOBS, PODS, QUOTAS, SECRETS
from paas_runner.sandbox.kubernetes.runtime import (
    Container,
    Exit,
    LocalRuntime,
    Runtime,
    Script,
    ScriptedRuntime,
    inner_runner,
    own_command,
)
from paas_runner.sandbox.kubernetes.server import KubernetesServer

__all__ = [
    "EVENTS",
    "JOBS",
    "PODS",
    "QUOTAS",
    "SECRETS",
    "Cluster",
    "ClusterLedger",
    "ClusterOptions",
    "Container",
    "ContainerRun",
    "Exit",
    "KubernetesServer",
    "LocalRuntime",
    "Rule",
    "Runtime",
    "Script",
    "ScriptedRuntime",
    "create_app",
    "inner_runner",
    "own_command",
]
