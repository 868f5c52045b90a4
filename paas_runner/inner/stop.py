"""Reasons to end a job, or one of its scripts, before its time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

from paas_runner.inner.ending import CANCELED, TIMED_OUT, Ending, broken


class Interrupted(Exception):  # noqa: N818 - no error: it was asked for
    """All of the job is to end now, as `ending` says."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.result)
        self.ending = ending


class Stop:
    """What may end something; the first reason counts, and it holds for what is nested as well."""

    def __init__(self, outer: "Stop | None" = None) -> None:
        self.ending: Ending | None = None
        self._given = asyncio.Event()
        self._then: list[Callable[[], object]] = []
        if outer is not None:
            outer.on_give(lambda: self.give(outer.ending or CANCELED))

    def give(self, ending: Ending) -> None:
        """Ask for the end."""
        if self.ending is None:
            self.ending = ending
            self._given.set()
            for call in tuple(self._then):
                call()

    def on_give(self, call: Callable[[], object]) -> None:
        """Have something called when the end is asked for, or now if it was."""
        self._then.append(call)
        if self.ending is not None:
            call()

    def forget(self, call: Callable[[], object]) -> None:
        """Have something called no more."""
        self._then.remove(call)

    async def wait(self) -> None:
        """Return when the end has been asked for."""
        await self._given.wait()

    @contextlib.contextmanager
    def after(self, seconds: float | None) -> Iterator[None]:
        """Ask for the end when what is done inside takes longer; None for no limit."""
        if seconds is None:
            yield
            return
        timer = asyncio.get_running_loop().call_later(seconds, self.give, TIMED_OUT)
        try:
            yield
        finally:
            timer.cancel()

    @contextlib.asynccontextmanager
    async def limit(self) -> AsyncIterator[None]:
        """What is done inside may be broken off at any await; raises `Interrupted` when it was."""
        scope = asyncio.timeout(None)

        def break_off() -> None:
            if not scope.expired():
                scope.reschedule(asyncio.get_running_loop().time())

        try:
            async with scope:
                self.on_give(break_off)
                try:
                    yield
                finally:
                    self.forget(break_off)
        except TimeoutError:
            if scope.expired() and self.ending is not None:
                raise Interrupted(self.ending) from None
            raise


class Stops:
    """The two that a job has: for all of it, and for its scripts alone.

    A canceled job ends at once while it is prepared; while its scripts run they alone are ended, so that
    after_script, cache and artifacts follow; afterwards it is too late (spec gitlab-runner-api.md §3.6).
    """

    def __init__(self) -> None:
        self.whole = Stop()
        self.scripts = Stop(self.whole)
        self._cancelable: Stop | None = self.whole
        self._abort = Stop()

    def cancel(self) -> None:
        """The job's author wants it no more."""
        if self._cancelable is not None:
            self._cancelable.give(CANCELED)

    def abort(self, why: str) -> None:
        """The host is about to end."""
        ending = broken(f"aborted: {why}")
        self._abort.give(ending)
        self.whole.give(ending)

    @contextlib.contextmanager
    def while_scripts_run(self) -> Iterator[Stop]:
        """The stop that a job's scripts obey; it is the last that a cancellation reaches."""
        self._cancelable = self.scripts
        try:
            yield self.scripts
        finally:
            self._cancelable = None

    @contextlib.asynccontextmanager
    async def within(self, seconds: float, hurried_seconds: float) -> AsyncIterator[None]:
        """A limit that is a shorter one once the host is about to end; raises TimeoutError."""
        clock = asyncio.get_running_loop().time
        async with asyncio.timeout(seconds) as limit:

            def hurry() -> None:
                if not limit.expired():
                    limit.reschedule(min(limit.when() or clock(), clock() + hurried_seconds))

            self._abort.on_give(hurry)
            try:
                yield
            finally:
                self._abort.forget(hurry)
