"""When time alone changes a run: deadlines of approvals, and of a run itself."""

import heapq
from collections.abc import Iterable
from datetime import datetime

from paas_pipelines.runs import approving
from paas_pipelines.runs.run import Run


def timeout_of(run: Run) -> datetime | None:
    """When its time is over, if nothing blocks it until then; None while it is blocked, or has no limit."""
    if run.timeout is None or run.start is None or run.blocked_since is not None or not run.active:
        return None
    if run.broken or run.canceled or run.hook_began:
        return None
    return run.start + run.timeout + run.blocked_before


def next_moment(run: Run) -> datetime | None:
    """The first that changes it."""
    if not run.active:
        return None
    deadlines = [task.asked.deadline for task in run.tasks if task.asked and approving.is_open(task)]
    if (timeout := timeout_of(run)) is not None:
        deadlines.append(timeout)
    return min(deadlines, default=None)


class Moments:
    """Those of all runs; no question costs more for many of them."""

    def __init__(self, runs: Iterable[Run]) -> None:
        self._moments: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []  # with some that are no more
        for run in runs:
            self.saved(None, run)

    def saved(self, _before: Run | None, run: Run) -> None:
        """An observer of the book."""
        moment = next_moment(run)
        if moment is None:
            self._moments.pop(run.run_id, None)
        elif self._moments.get(run.run_id) != moment:
            self._moments[run.run_id] = moment
            heapq.heappush(self._heap, (moment, run.run_id))

    def first(self) -> datetime | None:
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take_due(self, now: datetime) -> list[str]:
        """The ids of the runs whose moment has come; each is told once, until it is saved again."""
        due = []
        while (moment := self.first()) is not None and moment <= now:
            due.append(heapq.heappop(self._heap)[1])
            del self._moments[due[-1]]
        return due
