"""Each kind of store, for tests of what all of them promise: opened as a process that holds its sections."""

from datetime import UTC, datetime

from paas_runner.job.lease import Mode, Tending
from paas_runner.store.opening import open_store
from paas_runner.store.snapshot import accounts
from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.shared_memory import LeaseTable, SharedMemoryStore

STORES = ["sqlite", "memory", "shared memory", "postgres"]

FILES = ["sqlite", "postgres"]
"""Those that a command can read beside the service."""

SHARED_STORES = ["shared memory", "postgres"]

ALWAYS = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
SECTIONS = frozenset({"abc123xyz", "other1234", "zzz"})


class SharedMemory:
    """Where several processes in one event loop have their records."""

    def __init__(self):
        self.now = 1000.0
        self.disk = MemoryStore()
        self.table = LeaseTable(lambda: self.now)


def place_of(request, tmp_path):
    """One that is empty, of the kind that the test's parameter says."""
    match request.param:
        case "sqlite":
            return tmp_path / "s.db"
        case "memory":
            return MemoryStore()
        case "shared memory":
            return SharedMemory()
        case "postgres":
            return request.getfixturevalue("database")


async def open_place(place):
    """As a process that holds nothing."""
    match place:
        case MemoryStore():
            return place
        case SharedMemory():
            return SharedMemoryStore(place.disk, place.table)
        case _:
            return await open_store(place)


async def open_to_write(place):
    """As the process that holds the sections which tests use."""
    store = await open_place(place)
    if store.leases:
        await store.leases.tend(tending(take=SECTIONS))
    return store


def tending(**changes):
    return Tending(**{"name": "one", "version": "1.0", "mode": Mode.STANDBY, "serves": SECTIONS, **changes})


async def close_store(store):
    if store.leases:
        await store.leases.leave()
    await store.aclose()


def charges_in(place):
    match place:
        case MemoryStore():
            return place.charges
        case SharedMemory():
            return place.disk.charges
        case _:
            return accounts(place, *ALWAYS).charges
