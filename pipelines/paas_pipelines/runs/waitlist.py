"""One pipeline's wait list: who may start, who waits, who gives way (spec prunner-api.md §2).

Its order is that of the runs' numbers, as every new one goes to the end: a replaced one was the last there.
"""

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime

import attrs

from paas_pipelines.definitions.definition import Definition, QueueStrategy
from paas_pipelines.runs.run import Run

DISABLED = "concurrency exceeded and queueing disabled for pipeline"
FULL = "concurrency exceeded and queue limit reached for pipeline"


class WaitList:
    """Those that wait; no question costs more for many of them."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._partitions: dict[str, dict[str, Run]] = {}
        self._delayed: list[tuple[datetime, int, str]] = []  # heaps, with some that wait no more
        self._ready: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(tuple(self._runs.values()))

    def last(self) -> Run | None:
        return next(reversed(self._runs.values()), None)

    def of_partition(self, partition: str) -> Sequence[Run]:
        """In order; there are at most as many as the partition's limit."""
        return tuple(self._partitions.get(partition, {}).values())

    def put(self, run: Run) -> None:
        """At its end; one that is there already stays in its place."""
        if run.run_id not in self._runs:
            if run.not_before is None:
                heapq.heappush(self._ready, (run.number, run.run_id))
            else:
                heapq.heappush(self._delayed, (run.not_before, run.number, run.run_id))
        self._runs[run.run_id] = run
        self._partitions.setdefault(run.partition, {})[run.run_id] = run

    def discard(self, run: Run) -> None:
        """It waits no more, if it did."""
        if self._runs.pop(run.run_id, None) is None:
            return
        mine = self._partitions[run.partition]
        del mine[run.run_id]
        if not mine:
            del self._partitions[run.partition]
        if len(self._delayed) > 2 * len(self._runs) + 16:  # a burst that replaces itself leaves many
            self._delayed = [entry for entry in self._delayed if entry[-1] in self._runs]
            heapq.heapify(self._delayed)

    def end_of_next_delay(self) -> datetime | None:
        """Of those that have not been startable yet; it may be over."""
        while self._delayed and self._delayed[0][-1] not in self._runs:
            heapq.heappop(self._delayed)
        return self._delayed[0][0] if self._delayed else None

    def first_startable(self, now: datetime) -> Run | None:
        """One whose delay goes on does not block those behind it."""
        while (end := self.end_of_next_delay()) is not None and end <= now:
            _, number, run_id = heapq.heappop(self._delayed)
            heapq.heappush(self._ready, (number, run_id))
        while self._ready and self._ready[0][-1] not in self._runs:
            heapq.heappop(self._ready)
        return self._runs[self._ready[0][-1]] if self._ready else None


@attrs.frozen(kw_only=True)
class Admission:
    """What a new run may do."""

    starts: bool = False
    """At once, since there is a slot; else it waits."""

    replaces: Run | None = None
    """The waiting run that gives way to it."""

    refusal: str = ""


def admission(definition: Definition, waiting: WaitList, active: int, partition: str) -> Admission:
    """For one more run, with those that wait, and the number of slots in use."""
    if not definition.start_delay and active < definition.concurrency:
        return Admission(starts=True)
    limit = definition.queue_limit
    match definition.queue_strategy:
        case QueueStrategy.PARTITIONED_REPLACE:
            mine = waiting.of_partition(partition)
            full = len(mine) >= (definition.queue_partition_limit or 1)
            return Admission(replaces=mine[-1] if full else None)
        case _ if limit == 0:
            return Admission(refusal=DISABLED)
        case QueueStrategy.APPEND:
            full = limit is not None and len(waiting) >= limit
            return Admission(refusal=FULL if full else "")
        case QueueStrategy.REPLACE:
            return Admission(replaces=waiting.last() if len(waiting) >= (limit or 1) else None)
