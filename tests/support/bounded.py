"""What a piece of work may cost at most: time of this thread's processor, and memory."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

MEBIBYTE = 1024 * 1024
_COUNTED, _COUNTED_SECONDS = 200_000, 0.01


def slowness() -> float:
    """How many times as long as on a usual machine a piece of work takes here and now; never below 1."""
    begun = time.thread_time()
    total = 0
    for number in range(_COUNTED):
        total += number
    return max(1.0, (time.thread_time() - begun) / _COUNTED_SECONDS)


@contextmanager
def cheap(*, seconds: float = 1.0, mebibytes: float = 8) -> Iterator[None]:
    """Fail when what is inside takes more; generous, because tracing memory costs time, too.

    Seconds are those of a usual machine: a processor that others use, too, is slow.
    """
    slow = slowness()
    tracemalloc.start()
    begun = time.thread_time()
    try:
        yield
        taken, (_, peak) = time.thread_time() - begun, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    slow = max(slow, slowness())
    assert taken <= seconds * slow, f"{taken:.2f} s, where all takes {slow:.1f} times as long as usual"
    assert peak <= mebibytes * MEBIBYTE, f"{peak / MEBIBYTE:.1f} MiB"
