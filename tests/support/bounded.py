"""What a piece of work may cost at most: time of this thread's processor, and memory."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

MEBIBYTE = 1024 * 1024


@contextmanager
def cheap(*, seconds: float = 1.0, mebibytes: float = 8) -> Iterator[None]:
    """Fail when what is inside takes more; generous, because tracing memory costs time, too."""
    tracemalloc.start()
    begun = time.thread_time()
    try:
        yield
        taken, (_, peak) = time.thread_time() - begun, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken <= seconds, f"{taken:.2f} s"
    assert peak <= mebibytes * MEBIBYTE, f"{peak / MEBIBYTE:.1f} MiB"
