"""What tests of executors and of embedded services need: a store in memory, and a clock that jumps.

    from paas_runner.testing import MemoryStore, run_virtual, virtual_now

`docs/testing.md` shows how they are used. The conformance suite for executors is `paas_runner.conformance`.
"""

from paas_runner.testing.memory_store import MemoryStore
from paas_runner.testing.virtual_time import EPOCH, VirtualTimeLoop, run_virtual, virtual_now

__all__ = ["EPOCH", "MemoryStore", "VirtualTimeLoop", "run_virtual", "virtual_now"]
