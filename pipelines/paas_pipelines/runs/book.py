"""All runs of a server, in memory, with an index for each question that is asked again and again.

What is saved or removed between two awaits belongs together: `written` hears of it at once, and whoever
answers or acts waits until that is on the disk (`store.journal`).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from paas_pipelines.runs.run import Run

Written = Callable[[str, Run | None], None]
"""Is told the id of each run that changes, and its new record; None for one that was removed."""


class UnknownRunError(LookupError):
    """There is no run with that id, or no more."""


class RunBook:
    """Records by id, and by pipeline who waits and who has a slot."""

    def __init__(self, stored: Iterable[Run] = (), *, written: Written = lambda _id, _run: None) -> None:
        self._runs: dict[str, Run] = {}  # in the order of their numbers
        self._waiting: dict[str, dict[str, None]] = {}
        self._active: dict[str, dict[str, None]] = {}
        self._changed: set[str] = set()
        self._written: Written = lambda _id, _run: None
        self._last = 0
        for run in sorted(stored, key=lambda run: run.number):
            self.save(run)
        self._written = written

    def __len__(self) -> int:
        return len(self._runs)

    def next_number(self) -> int:
        """For a run that is to be saved now."""
        return self._last + 1

    def save(self, *runs: Run) -> None:
        for run in runs:
            self._runs[run.run_id] = run
            self._changed.add(run.run_id)
            self._last = max(self._last, run.number)
            for index, belongs in ((self._waiting, run.waiting), (self._active, run.active)):
                ids = index.setdefault(run.pipeline, {})
                if belongs:
                    ids[run.run_id] = None
                else:
                    ids.pop(run.run_id, None)
            self._written(run.run_id, run)

    def remove(self, run_id: str) -> None:
        """Forget a run that has ended."""
        del self._runs[run_id]
        self._changed.discard(run_id)
        self._written(run_id, None)

    def run(self, run_id: str) -> Run:
        """Raises `UnknownRunError`."""
        try:
            return self._runs[run_id]
        except KeyError:
            raise UnknownRunError(run_id) from None

    def take_changed(self) -> Sequence[Run]:
        """Those that were saved since this was last called, as they are now: for one caller alone."""
        changed, self._changed = self._changed, set()
        return [self._runs[run_id] for run_id in changed]

    def runs(self) -> Iterator[Run]:
        """All of them, newest first."""
        return reversed(self._runs.values())

    def waiting(self, pipeline: str) -> Sequence[Run]:
        """Those on the wait list, in its order."""
        return [self._runs[run_id] for run_id in self._waiting.get(pipeline, ())]

    def active(self, pipeline: str) -> Sequence[Run]:
        """Those that have a slot."""
        return [self._runs[run_id] for run_id in self._active.get(pipeline, ())]

    def all_waiting(self) -> Iterator[Run]:
        """Of all pipelines."""
        return self._of_all(self._waiting)

    def all_active(self) -> Iterator[Run]:
        """Of all pipelines, each as it is when the iterator comes to it."""
        return self._of_all(self._active)

    def _of_all(self, index: dict[str, dict[str, None]]) -> Iterator[Run]:
        return (self._runs[run_id] for ids in tuple(index.values()) for run_id in tuple(ids))
