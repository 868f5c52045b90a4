"""Pipelines of tasks behind an HTTP API: compatible with prunner, durable, on hosts that runners provide."""

__version__ = "0.1.0"
