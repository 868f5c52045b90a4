"""An event loop whose clock jumps to the next timer, so that hours of waiting take microseconds.

Its limits: what takes real time it does not see. Threads (`asyncio.to_thread`, name look-ups) it refuses;
sockets and child processes look like nothing to do, and the clock jumps while they work: put a transport in
memory (`httpx.MockTransport`, `httpx.ASGITransport`) in their place. Its time is that of `loop.time()`; code
that asks `time.monotonic()` or `datetime.now()` lives in another, so give it a clock (`virtual_now`).
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
"""When every virtual loop begins."""


class _Jump(selectors.DefaultSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen: every task waits for another, and no timer is set")
        files = len(self.get_map()) > 1  # beside the loop's own, by which only threads would wake it
        ready = super().select(0) if files else []
        self.now += timeout if not ready else 0
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Time passes when every task waits, and then at once; a wait without end is a `RuntimeError`."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = 1e-6  # a real clock's billionth is lost in a float that counts months

    def time(self) -> float:
        """Seconds since `EPOCH`."""
        return self._jump.now

    def run_in_executor(self, _executor: object, func: Callable[..., object], *_args: object) -> NoReturn:
        """Always refused: while a thread works the clock would jump over it."""
        raise RuntimeError(f"{func} needs a thread, for which no virtual time passes")


def virtual_now() -> datetime:
    """The running virtual loop's time as a date: a clock to inject."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
