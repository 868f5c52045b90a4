"""Durable records of tracked jobs, and the state file in which they travel between installations."""

from paas_runner.store.protocol import (
    AuditStore,
    JobStore,
    LeaseStore,
    LedgerStore,
    NoStoreError,
    NoticeStore,
    RunnerStore,
    StaleLeaseError,
    Store,
    StoreError,
    StoreUnreachableError,
)

__all__ = [
    "AuditStore",
    "JobStore",
    "LeaseStore",
    "LedgerStore",
    "NoStoreError",
    "NoticeStore",
    "RunnerStore",
    "StaleLeaseError",
    "Store",
    "StoreError",
    "StoreUnreachableError",
]
