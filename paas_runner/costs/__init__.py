"""`paas-runner costs`: how long hosts were there, and what that has cost, as far as the service knows."""

from paas_runner.costs.command import run

__all__ = ["run"]
