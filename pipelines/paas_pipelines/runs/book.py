"""All runs of a server, in memory, with an index for each question that is asked again and again.

What is saved or removed between two awaits belongs together: `written` hears of it at once, and whoever
answers or acts waits until that is on the disk (`store.journal`).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import attrs

from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs import approving
from paas_pipelines.runs.revisions import Revisions
from paas_pipelines.runs.run import Run, TaskStatus
from paas_pipelines.runs.waitlist import WaitList

Written = Callable[[str, Run | None], None]
"""Is told the id of each run that changes, and its new record; None for one that was removed."""


Observer = Callable[[Run | None, Run], None]
"""Is told a run as it was, None for a new one, and as it is; what it puts belongs to the same transaction."""


class UnknownRunError(LookupError):
    """There is no run with that id, or no more."""


@attrs.frozen
class _OfPipeline:
    """The ids of its runs, in the order of their numbers, and those that wait, are under way, wait for
    people, or have released their slot until these have decided.
    """

    all: dict[str, None] = attrs.field(factory=dict)
    active: dict[str, None] = attrs.field(factory=dict)
    blocked: dict[str, None] = attrs.field(factory=dict)
    released: dict[str, None] = attrs.field(factory=dict)
    waiting: WaitList = attrs.field(factory=WaitList)


class RunBook:
    """Records by id and by pipeline."""

    def __init__(self, stored: Iterable[Run] = (), *, written: Written = lambda _id, _run: None) -> None:
        self.revisions = Revisions()
        self.observers: list[Observer] = []
        self._runs: dict[str, Run] = {}  # in the order of their numbers
        self._pipelines: dict[str, _OfPipeline] = defaultdict(_OfPipeline)
        self._changed: dict[str, None] = {}
        self._written: Written = lambda _id, _run: None
        self._last = 0
        self.save(*sorted(stored, key=lambda run: run.number))
        self._written = written

    def __len__(self) -> int:
        return len(self._runs)

    def next_number(self) -> int:
        """For a run that is to be saved now."""
        return self._last + 1

    def save(self, *runs: Run) -> None:
        for run in runs:
            before = self._runs.get(run.run_id)
            self._runs[run.run_id] = run
            self._changed[run.run_id] = None
            self._last = max(self._last, run.number)
            of = self._pipelines[run.pipeline]
            of.all[run.run_id] = None
            if run.waiting:
                of.waiting.put(run)
            else:
                of.waiting.discard(run)
            _noted(of.active, run, run.active)
            blocked = run.active and any(task.status is TaskStatus.BLOCKED for task in run.tasks)
            _noted(of.blocked, run, blocked)
            _noted(of.released, run, blocked and approving.has_released(run))
            self.revisions.saved(run.run_id)
            self._written(run.run_id, run)
            for observer in self.observers:
                observer(before, run)

    def remove(self, run_id: str) -> None:
        """Forget a run that has ended."""
        run = self._runs.pop(run_id)
        self._changed.pop(run_id, None)
        of = self._pipelines[run.pipeline]
        del of.all[run_id]
        if not of.all:
            del self._pipelines[run.pipeline]
        self.revisions.removed(run_id)
        self._written(run_id, None)

    def take_changed(self) -> Sequence[Run]:
        """Those that were saved since this was last called, as they are now: for one caller alone."""
        changed, self._changed = self._changed, {}
        return [self._runs[run_id] for run_id in changed]

    def run(self, run_id: str) -> Run:
        """Raises `UnknownRunError`."""
        try:
            return self._runs[run_id]
        except KeyError:
            raise UnknownRunError(run_id) from None

    def runs(self) -> Iterator[Run]:
        """All of them, newest first."""
        return reversed(self._runs.values())

    def runs_of(self, pipeline: str) -> Iterator[Run]:
        """Newest first."""
        return (self._runs[run_id] for run_id in reversed(self._of(pipeline).all))

    def waiting(self, pipeline: str) -> WaitList:
        """Those on the wait list, in its order."""
        return self._of(pipeline).waiting

    def active(self, pipeline: str) -> Sequence[Run]:
        """Those that are under way: nearly all have a slot."""
        return [self._runs[run_id] for run_id in self._of(pipeline).active]

    def blocked(self, pipeline: str) -> Sequence[Run]:
        """Those of them of which a task waits for people."""
        return [self._runs[run_id] for run_id in self._of(pipeline).blocked]

    def released(self, pipeline: str) -> Sequence[Run]:
        """Those of them that have no slot until people have decided."""
        return [self._runs[run_id] for run_id in self._of(pipeline).released]

    def all_blocked(self) -> Sequence[Run]:
        """Of all pipelines, oldest first."""
        ids = [run_id for of in self._pipelines.values() for run_id in of.blocked]
        return sorted((self._runs[run_id] for run_id in ids), key=lambda run: run.number)

    def slots_in_use(self, pipeline: str) -> int:
        """How many runs have one."""
        of = self._of(pipeline)
        return len(of.active) - len(of.released)

    def pipelines_released(self) -> Sequence[str]:
        """Those of which a run has released its slot."""
        return [name for name, of in self._pipelines.items() if of.released]

    def wait_lists(self) -> Iterator[WaitList]:
        """Of all pipelines that have runs."""
        return (of.waiting for of in self._pipelines.values())

    def all_waiting(self) -> Iterator[Run]:
        """Of all pipelines, as they are now."""
        return (run for of in tuple(self._pipelines.values()) for run in of.waiting)

    def all_active(self) -> Iterator[Run]:
        """Of all pipelines, each as it is when the iterator comes to it."""
        ids = [run_id for of in self._pipelines.values() for run_id in of.active]
        return (self._runs[run_id] for run_id in ids)

    def expired(self, definitions: Mapping[str, Definition], now: datetime) -> Iterator[Run]:
        """Those that are kept no longer (§8); the unfinished are kept, and count for the position."""
        for name, of in self._pipelines.items():
            definition = definitions.get(name)
            for position, run_id in zip(range(len(of.all) - 1, -1, -1), of.all, strict=True):
                run = self._runs[run_id]
                if definition and not _over(run, position, definition, now):
                    break  # nor are those that are younger
                if not run.waiting and not run.active:
                    yield run

    def _of(self, pipeline: str) -> _OfPipeline:
        return self._pipelines.get(pipeline) or _OfPipeline()


def _noted(ids: dict[str, None], run: Run, belongs: bool) -> None:
    if belongs:
        ids[run.run_id] = None
    else:
        ids.pop(run.run_id, None)


def _over(run: Run, position: int, definition: Definition, now: datetime) -> bool:
    period, count = definition.retention_period, definition.retention_count
    return (bool(period) and now - run.created > period) or (bool(count) and position >= count)
