"""Durable records of tracked jobs, and the state file in which they travel between installations."""

from paas_runner.store.protocol import Store, StoreError

__all__ = ["Store", "StoreError"]
