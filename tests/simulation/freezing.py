"""Processes in one event loop that can be stopped in any instruction, as by SIGSTOP, and continued.

What belongs to a process is told by the context of its tasks and timers. As long as it is frozen the loop
passes over all of them: answers wait in its sockets, timers that come due fire when it goes on, and its clock
has gone on then.
"""

import asyncio
import collections
import contextvars

from paas_runner.testing.virtual_time import VirtualTimeLoop

_process: "contextvars.ContextVar[Freezable | None]" = contextvars.ContextVar("_process", default=None)


class Freezable:
    """One process: its tasks begin with `begin`."""

    def __init__(self) -> None:
        self.context = contextvars.copy_context()
        self.context.run(_process.set, self)
        self.frozen = False
        self._withheld: list[asyncio.Handle] = []

    def begin(self, coroutine) -> asyncio.Task:
        """A task of this process, whoever calls."""
        return asyncio.get_running_loop().create_task(coroutine, context=self.context.copy())

    @staticmethod
    def running() -> "Freezable | None":
        """Whose code this is; None outside of all processes."""
        return _process.get()

    def freeze(self) -> None:
        """From the next instruction on that may be interrupted."""
        self.frozen = True

    def withhold(self, handle: asyncio.Handle) -> None:
        self._withheld.append(handle)

    def thaw(self, *, timers_first: bool = False) -> None:
        """Go on with everything that has become due; what it was woken by comes first, or its timers do."""
        self.frozen = False
        due, self._withheld = self._withheld, []
        if timers_first:
            due.sort(key=lambda handle: not isinstance(handle, asyncio.TimerHandle))
        asyncio.get_running_loop()._ready.extend(due)


class _Ready(collections.deque):
    """The callbacks of all processes that are to run now; those of frozen ones are put aside."""

    def popleft(self) -> asyncio.Handle:
        handle = super().popleft()
        process = handle._context.get(_process)
        if process is None or not process.frozen:
            return handle
        process.withhold(handle)
        return _nothing(handle)


def _nothing(like: asyncio.Handle) -> asyncio.Handle:
    nothing = asyncio.Handle(print, (), like._loop)
    nothing.cancel()
    return nothing


class FreezableLoop(VirtualTimeLoop):
    """A loop in virtual time whose processes can be frozen."""

    def __init__(self) -> None:
        super().__init__()
        self._ready = _Ready(self._ready)
