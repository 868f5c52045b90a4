"""A conductor with its engine in virtual time: places and a journal that do as the test says."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.engine import Engine
from paas_pipelines.runs.run import Run, TaskEnd
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.tasks.conductor import Conductor
from paas_pipelines.tasks.place import Output, TaskOrder

from paas_runner.store.protocol import StoreError
from paas_runner.testing.virtual_time import virtual_now

RUN = "run"


class Disk:
    """A journal, and what of it is on the disk: after `flushed` and unless it is `full`."""

    def __init__(self, lasts: float = 0.01) -> None:
        self.texts: dict[tuple[str, str], object] = {}
        self.full = False
        self.flushes = 0
        self._unwritten: list[tuple[str, str, object]] = []
        self._unneeded: list[Path] = []
        self._lasts = lasts

    def put(self, kind: str, key: str, text: object) -> None:
        self._unwritten.append((kind, key, text))

    def unneeded(self, folder: Path) -> None:
        self._unneeded.append(folder)

    async def flushed(self) -> None:
        self.flushes += 1
        pending = tuple(self._unwritten)
        await asyncio.sleep(self._lasts)
        if self.full:
            raise StoreError("no space left")
        for kind, key, text in pending:
            if (kind, key, text) in self._unwritten:
                self._unwritten.remove((kind, key, text))
            if text is None:
                self.texts.pop((kind, key), None)
            else:
                self.texts[kind, key] = text
        while self._unneeded:
            shutil.rmtree(self._unneeded.pop())


class Stage:
    """A place that notes what it is asked, and ends a task as `ends` has it, or else when told to stop."""

    def __init__(self, ends: Mapping[str, TaskEnd | Exception] | None = None, seconds: float = 1.0) -> None:
        self.ends = dict(ends or {})
        self.orders: list[TaskOrder] = []
        self.at_work: set[str] = set()
        self.stopped: list[str] = []
        self._seconds = seconds

    @property
    def names(self) -> Sequence[str]:
        return [order.task.name for order in self.orders]

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        name = order.task.name
        self.orders.append(order)
        self.at_work.add(name)
        output.stdout(f"{name} was here\n".encode())
        try:
            if name in self.ends:
                await asyncio.wait({asyncio.ensure_future(stop.wait())}, timeout=self._seconds)
            else:
                await stop.wait()
            if stop.is_set():
                self.stopped.append(name)
                return TaskEnd(stopped=True)
            end = self.ends[name]
            if isinstance(end, Exception):
                raise end
            return end
        finally:
            self.at_work.discard(name)


class World:
    """An engine, a disk, a stage and the conductor between them."""

    def __init__(self, folder: Path, *definitions: Definition, stage: Stage | None = None) -> None:
        self.stage = stage or Stage()
        self.disk = Disk()
        self.logs = LogFiles(folder, most_bytes=1_000_000)
        book = RunBook(written=self._written)
        by_name = {each.name: each for each in definitions}
        self.engine = Engine(virtual_now, book, by_name, stdout=self.logs.last_words)
        self.conductor = self.conduct()

    def _written(self, run_id: str, run: Run | None) -> None:
        self.disk.put(RUN, run_id, run)
        if run is None:
            self.disk.unneeded(self.logs.folder(run_id))

    def conduct(self) -> Conductor:
        """Another one, as after a restart."""
        self.conductor = Conductor(
            self.engine,
            self.disk,
            self.logs,
            lambda _task: self.stage,
            clock=virtual_now,
        )
        return self.conductor

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """As long as the context lasts; then it ends at once."""
        task = asyncio.create_task(self.conductor.run())
        try:
            yield task
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def schedule(self, pipeline: str = "one") -> Run:
        return self.engine.schedule(pipeline, variables={"color": "red"})

    def now(self, run: Run) -> Run:
        return self.engine.book.run(run.run_id)

    def statuses(self, run: Run) -> Mapping[str, str]:
        return {task.name: str(task.status) for task in self.now(run).tasks}


def pipeline(name: str = "one", **more: object) -> Definition:
    """One with a task `first`, where `tasks` does not say otherwise."""
    tasks = more.pop("tasks", {"first": task()})
    return Definition(name=name, source="pipelines.yml", tasks=tasks, **more)


def task(*depends_on: str, **more: object) -> TaskDefinition:
    return TaskDefinition(script=("true",), depends_on=depends_on, **more)
