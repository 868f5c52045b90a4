"""Brings every task that runs by the records to its place, and what becomes of it back into the records.

Level-triggered: what is at work is compared with what the records say, never deduced from what has happened.
So the first look after a crash is the same as any other. A place hears of a task only when the record that
says `running` is on the disk; a wish to stop is passed on at once, since it harms nothing to do that twice.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import attrs
import structlog

from paas_pipelines.credentials.vault import CredentialError, Vault
from paas_pipelines.definitions.automation import TaskType
from paas_pipelines.expressions.expression import ExpressionError
from paas_pipelines.runs.book import UnknownRunError
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.expressing import holds
from paas_pipelines.runs.run import NO_EXIT_CODE, Run, Task, TaskEnd, TaskStatus, failure_variables
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.logs import LogFiles, Stream
from paas_pipelines.tasks.entrusting import entrusted, run_hiding
from paas_pipelines.tasks.native import NativePlace
from paas_pipelines.tasks.place import Place, order_of
from paas_runner.loop.timing import LONGEST_SLEEP_SECONDS, Clock, backoff, sleep_until_stopped
from paas_runner.store.protocol import StoreError

log = structlog.stdlib.get_logger(__name__)

_FORGET_EVERY_SECONDS = 3.0  # as prunner saves
_MOST_ERROR_LETTERS = 4_000


@attrs.define(eq=False)
class Conductor:
    """One for a server; `run` is all that it does."""

    _engine: Engine
    _journal: Journal
    _logs: LogFiles
    _place_of: Callable[[Task], Place]
    _clock: Clock = attrs.field(kw_only=True)
    _native: NativePlace = attrs.field(
        kw_only=True,
        default=attrs.Factory(
            lambda self: NativePlace(engine=self._engine, clock=self._clock), takes_self=True
        ),
    )
    _vault: Vault | None = attrs.field(default=None, kw_only=True)
    """What tasks are given credentials from."""

    _at_work: dict[tuple[str, str], asyncio.Event] = attrs.field(init=False, factory=dict)
    _calls: dict[tuple[str, str], asyncio.Task[None]] = attrs.field(init=False, factory=dict)
    _news: asyncio.Event = attrs.field(init=False, factory=asyncio.Event)
    _closing: bool = attrs.field(init=False, default=False)
    _rng: random.Random = attrs.field(init=False, factory=random.Random)

    async def run(self) -> None:
        """Until all has ended after `close`.

        To cancel it ends everything now: what the places cannot keep alive dies with them, and the next start
        goes on from the records.
        """
        unsubscribe = self._engine.changes.subscribe(self._news.set)
        try:
            async with asyncio.TaskGroup() as group:
                forgetting = group.create_task(self._keep_forgetting())
                while not self._over:
                    self._compare(group)
                    await self._until_news()
                self._engine.stopped = True
                forgetting.cancel()
                for call in self._calls.values():  # they go on with the next start
                    call.cancel()
            self._forget_old()
        finally:
            unsubscribe()

    def close(self) -> None:
        """Take no new runs, start none of those that wait, and end with the last of those that run."""
        self._closing = True
        self._engine.close()

    def force(self) -> None:
        """The same, but all are canceled."""
        self._closing = True
        self._engine.close(forced=True)

    @property
    def _over(self) -> bool:
        return self._closing and self._at_work.keys() == self._calls.keys() and self._engine.idle

    def _compare(self, group: asyncio.TaskGroup) -> None:
        """Begin what is not at work, pass on what is to stop; of runs that have changed, or of all."""
        for activity in self._engine.activities(self._engine.book.take_changed()):
            run_id, name = key = activity.run.run_id, activity.task.name
            stop = self._at_work.get(key)
            if stop is None:
                stop = self._at_work[key] = asyncio.Event()
                work = group.create_task(self._work(run_id, name, stop), name=f"{run_id} {name}")
                if activity.task.definition.type is TaskType.CALL:
                    self._calls[key] = work
            if activity.stop:
                stop.set()

    async def _until_news(self) -> None:
        """Until something changes, or time does it."""
        moment = self._engine.next_moment()
        seconds = LONGEST_SLEEP_SECONDS
        if moment is not None:
            seconds = max(0.0, (moment - self._clock()).total_seconds()) + 0.001
        await sleep_until_stopped(seconds, self._news)
        if moment is not None and self._clock() >= moment:
            self._engine.advance()
        self._news.clear()

    async def _work(self, run_id: str, name: str, stop: asyncio.Event) -> None:
        """One task from its record to its end."""
        try:
            end = await self._brought(run_id, name, stop)
        except Exception as error:
            log.exception("task_error", run=run_id, task=name)
            end = TaskEnd(error=f"unexpected error: {str(error) or type(error).__name__}")
        if end is not None:
            told = {"exit_code": end.exit_code, "error": end.error, "stopped": end.stopped}
            log.info("task_ended", run=run_id, task=name, **told)
            try:
                self._engine.task_ended(run_id, name, attrs.evolve(end, error=_plain(end.error)))
            except UnknownRunError:
                log.info("task_end_unwanted", run=run_id, task=name)
            except Exception:
                log.exception("task_end_lost", run=run_id, task=name)
                return  # and it stays at work for us: it must not run twice
        del self._at_work[run_id, name]
        self._calls.pop((run_id, name), None)
        self._news.set()

    async def _brought(self, run_id: str, name: str, stop: asyncio.Event) -> TaskEnd | None:
        """How it ended in its place; None if nobody wants to know any more."""
        await self._recorded(stop)
        try:
            run = self._engine.book.run(run_id)
            task = run.task(name)
        except (UnknownRunError, KeyError):
            return None
        if task.status is not TaskStatus.RUNNING:
            return None
        if stop.is_set() or run.stops(task):
            stop.set()
            begun = task.job_id is not None or task.called is not None or task.definition.kept
            if not begun:  # nothing of it anywhere
                return TaskEnd(stopped=True)
        try:
            if not self._is_wanted(run, task):
                return TaskEnd(skipped=True)
        except ExpressionError as error:
            return TaskEnd(error=f"when: {error}")
        if not task.definition.script and not task.definition.native:
            return TaskEnd()
        told = self._told(run) if run.is_hook(task) else {}
        log.info("task_started", run=run_id, pipeline=run.pipeline, task=name)
        try:
            order = await entrusted(order_of(run, task, told), self._vault)
        except CredentialError as error:
            return TaskEnd(exit_code=NO_EXIT_CODE, error=str(error))
        if order.all_secrets:  # the note of it comes first
            await self._recorded(stop)
        with self._logs.output(run_id, name) as output:
            if task.definition.native:
                return await self._native.run(order, output, stop)
            return await run_hiding(self._place_of(task), order, output, stop)

    def _is_wanted(self, run: Run, task: Task) -> bool:
        """Whether its condition holds, not asked again of what has begun; raises `ExpressionError`."""
        when = task.definition.when
        if when is None or task.job_id is not None or task.called is not None:
            return True
        return holds(when, run, task, self._engine.stdout)

    async def _recorded(self, stop: asyncio.Event) -> None:
        """Return when the intent is on the disk, or nothing is to begin any more."""
        attempts = 0
        while not stop.is_set():
            try:
                return await self._journal.flushed()
            except StoreError:  # the journal tells of it
                attempts += 1
                await sleep_until_stopped(backoff(attempts, self._rng).total_seconds(), stop)
        return None

    def _told(self, run: Run) -> Mapping[str, Any]:
        """What an `on_error` task has as variables of the failure that is its reason (§3.3)."""
        stdout, stderr = (self._logs.last_words(run.run_id, run.first_failed, stream) for stream in Stream)
        return failure_variables(run, stdout, stderr)

    async def _keep_forgetting(self) -> None:
        while True:
            self._forget_old()
            await asyncio.sleep(_FORGET_EVERY_SECONDS)

    def _forget_old(self) -> None:
        """Remove the records that are kept no longer; what else there is of them, the store removes."""
        try:
            self._engine.retain()
        except Exception:
            log.exception("retention_error")


def _plain(text: str) -> str:
    """Bounded, and without what no database takes for text."""
    return text[:_MOST_ERROR_LETTERS].encode(errors="replace").decode()
