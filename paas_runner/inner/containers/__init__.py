"""Runs a job's scripts in a container of its image, with its services beside it, on a Docker engine."""

from paas_runner.inner.containers.shell import ContainerShell

__all__ = ["ContainerShell"]
