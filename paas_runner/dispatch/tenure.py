"""One runner under one setting: the tasks that need it, and its end once none does any more.

A reload that changes a runner does not touch what has begun. The old `Served` is relieved: it asks for no
further job, and goes on serving the jobs that it has, with the credentials that they were started with, until
the last of them is gone. Its successor asks from the same moment on.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from paas_runner.dispatch.served import Served


class Tenure:
    """A `Served` from the first task that needs it to the last."""

    def __init__(self, served: Served) -> None:
        """Nobody needs it yet."""
        self.served = served
        self.ending = asyncio.Event()
        """Set when the runner is to ask for no further job under this setting."""

        self._work: set[asyncio.Future[None]] = set()
        self._aside: set[asyncio.Task[None]] = set()

    @property
    def work(self) -> Sequence[asyncio.Future[None]]:
        """What must come to its own end: the request for a job, and each job."""
        return list(self._work)

    def add(self, work: asyncio.Future[None]) -> None:
        """A task of the work."""
        self._work.add(work)
        work.add_done_callback(self._work.discard)

    def add_aside(self, task: asyncio.Task[None]) -> None:
        """A task that may be cut off at any time."""
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    @contextmanager
    def held(self) -> Iterator[Served]:
        """Inside, the runner is needed."""
        self.add(need := asyncio.get_running_loop().create_future())
        try:
            yield self.served
        finally:
            need.set_result(None)

    def cut_aside(self) -> None:
        """End what may be cut off."""
        for task in self._aside:
            task.cancel()

    def relieve(self) -> None:
        """Out of service: only what has begun goes on."""
        self.ending.set()
        self.cut_aside()

    async def over(self) -> None:
        """Wait until no task needs it any more."""
        while tasks := self._work | self._aside:
            await asyncio.wait(tasks)
