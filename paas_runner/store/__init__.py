"""Durable records of tracked jobs, and the state file in which they travel between installations."""

from paas_runner.store.protocol import JobStore, LedgerStore, RunnerStore, Store
from paas_runner.store.sqlite_file import StoreError

__all__ = ["JobStore", "LedgerStore", "RunnerStore", "Store", "StoreError"]
