"""`paas-runner check`: whether a configuration would work here, found out without changing anything."""

from paas_runner.checking.command import run

__all__ = ["run"]
