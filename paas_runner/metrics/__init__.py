"""Metrics in Prometheus's formats: from the records at each scrape, and from what the ports tell."""

from paas_runner.metrics.metrics import Metrics

__all__ = ["Metrics"]
