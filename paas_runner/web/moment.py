"""What page and API are told of: the service at one moment, and what its store remembers of the past.

A moment is taken in the event loop and costs next to nothing; all that is computed of it, and each reading of
the store, happens in a thread of its own, so that no look at the page delays a job.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeVar

import attrs

from paas_runner.database_url import StorePlace
from paas_runner.dispatch.view import Observer
from paas_runner.errors import UsageError
from paas_runner.job.cost import Charge
from paas_runner.job.orphans import SearchResult
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.status.reach import Reached
from paas_runner.status.report import StatusReport
from paas_runner.status.views import JobExplanation
from paas_runner.store import snapshot
from paas_runner.store.jobs import PastJob

P = ParamSpec("P")
T = TypeVar("T")

MOST_SEARCHES = 1000
"""Of the latest searches so many are remembered: one for each runner and tenant."""

MOST_CHARGES = 100_000
"""So many hosts are added up: 150 MiB for some seconds, in the process that has the jobs."""

MOST_WAITING = 16
"""So many answers may be waited for at a time."""

WITHIN_SECONDS = 20.0


class Moment(Protocol):
    """Everything as it was at one moment: frozen, so that a thread may look at it."""

    @property
    def at(self) -> datetime:
        """When that was."""

    @property
    def jobs(self) -> Sequence[TrackedJob]:
        """All tracked jobs."""

    @property
    def no_room(self) -> Mapping[JobKey, str]:
        """For each job that may wait for room why it does; empty of one that does not."""

    def status(self) -> StatusReport:
        """What `paas-runner status` says."""

    def explain(self, job_id: object) -> Sequence[JobExplanation]:
        """What `paas-runner explain` says of tracked jobs."""


class BusyError(Exception):
    """More is asked for than can be answered now."""


@attrs.frozen
class StoredPast:
    """What the store in that place remembers; each method reads it, and raises `StoreError`."""

    place: StorePlace

    def charges(self, since: datetime, until: datetime) -> Sequence[Charge]:
        """What hosts have cost that are gone; raises `UsageError`, too, for more than there is memory for."""
        found = snapshot.charges(self.place, since, until, most=MOST_CHARGES + 1)
        if len(found) > MOST_CHARGES:
            raise UsageError(
                f"more than {MOST_CHARGES} hosts were there in that time: ask for less of it; where the "
                "service runs, `paas-runner costs` adds up any number"
            )
        return found

    def histories(self, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
        """Of the jobs of that id which are gone, one for each runner."""
        return snapshot.histories(self.place, job_id)

    def past_jobs(self, *, most: int, before: int | None = None, event: str = "") -> Sequence[PastJob]:
        """The jobs that went last, those first."""
        return snapshot.past_jobs(self.place, most=most, before=before, event=event)


class LastSearches(Observer):
    """What the last search for orphans has found, of each runner and tenant; asks no provider."""

    def __init__(self) -> None:
        self._results: dict[tuple[str, str], SearchResult] = {}

    def searched(self, result: SearchResult) -> None:
        key = result.runner, result.tenant
        self._results.pop(key, None)
        if not result.not_asked:  # where no tenant could be asked there is none to name
            self._forget_that_none_was_asked(result.runner)
        self._results[key] = result
        while len(self._results) > MOST_SEARCHES:
            del self._results[next(iter(self._results))]

    def left(self, runner: str, jobs: Sequence[TrackedJob]) -> None:  # noqa: ARG002
        """Whoever has the runner searches for its orphans."""
        self._results = {of: result for of, result in self._results.items() if of[0] != runner}

    def _forget_that_none_was_asked(self, runner: str) -> None:
        before = self._results.get((runner, ""))
        if before and before.not_asked:
            del self._results[runner, ""]

    @property
    def results(self) -> Sequence[SearchResult]:
        """The oldest first."""
        return list(self._results.values())


@attrs.frozen(kw_only=True)
class Watched:
    """All that page and API know."""

    moment: Callable[[], Moment]
    reached: Callable[[], Mapping[str, Reached]]
    """The coordinators and clouds that were called, by name."""

    past: StoredPast
    searches: LastSearches


class Workroom:
    """The one thread in which answers are made, one after the other; no end of the process waits for it."""

    def __init__(self) -> None:
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._waiting = 0
        self._closed = False

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns; raises `BusyError` when too many wait, or when it takes too long."""
        if self._waiting >= MOST_WAITING or self._closed or not self._begun():
            raise BusyError
        self._waiting += 1
        try:
            answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._tasks.put(_Task(partial(work, *args, **kwargs), answer))
            async with asyncio.timeout(WITHIN_SECONDS):
                return await answer
        except TimeoutError:
            raise BusyError from None
        finally:
            self._waiting -= 1

    def _begun(self) -> bool:
        """False where the machine has no thread for it."""
        if self._thread is None:
            thread = threading.Thread(target=self._serve, name="page", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        return True

    def _serve(self) -> None:
        while task := self._tasks.get():
            if not task.answer.cancelled():
                task.do()

    def close(self) -> None:
        """Begin nothing more."""
        self._closed = True
        self._tasks.put(None)


@attrs.frozen
class _Task:
    """What is to be made, and who waits for it."""

    work: Callable[[], Any]
    answer: "asyncio.Future[Any]"

    def do(self) -> None:
        """In the thread."""
        try:
            settle = partial(self._settle, result=self.work())
        except Exception as error:  # noqa: BLE001 - whoever waits gets it
            settle = partial(self._settle, error=error)
        with suppress(RuntimeError):  # the loop has ended
            self.answer.get_loop().call_soon_threadsafe(settle)

    def _settle(self, *, result: Any = None, error: Exception | None = None) -> None:
        if self.answer.done():
            return
        if error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(result)
