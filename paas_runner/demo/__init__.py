"""`paas-runner demo`: the real service on a sandbox, in front of an audience."""

from paas_runner.demo.command import run

__all__ = ["run"]
