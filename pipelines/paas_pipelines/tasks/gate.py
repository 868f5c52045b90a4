"""What proves that a task of this machine has begun: a file that its keeper makes before the program starts.

Whoever makes it first has decided. The keeper: then the program begins. Or the next server, with a mark of
its own: then it never begins with this attempt, also if a keeper outlives its server, and may be brought
again with the next. So a kill at any instant neither lets a task run twice, nor ends a run of which nothing
had begun.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path

import attrs

from paas_pipelines.runs.engine import Activity
from paas_pipelines.runs.run import Run, Task
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.keys import key_of
from paas_runner.store.protocol import StoreError

_NEVER = "never"
_SWEEP_SECONDS = 60.0


@attrs.frozen
class Gate:
    """Of all tasks of one data folder, in a folder that is its alone."""

    folder: Path

    def of(self, run: Run, task: Task) -> Path:
        """The file of this attempt."""
        return self.folder / key_of(run.run_id, task.name, str(task.attempt))

    def shut(self, activities: Iterable[Activity]) -> Collection[tuple[str, str]]:
        """Runs and tasks that have not begun, and never will as they are recorded: for `Engine.recover`.

        Once, before any task is at work. Nothing is proven where the folder is new. Raises `StoreError`.
        """
        try:
            if not self.folder.is_dir():
                self.folder.mkdir(mode=0o700, parents=True)
                return ()
            ours = [each for each in activities if not each.task.definition.outlives]
            return {(each.run.run_id, each.task.name) for each in ours if self._is_shut(each)}
        except OSError as error:
            raise StoreError(f"{self.folder}: cannot be used: {error.strerror}") from error

    def _is_shut(self, activity: Activity) -> bool:
        path = self.of(activity.run, activity.task)
        try:
            path.symlink_to(_NEVER)  # in one step, unlike a file with something in it
        except FileExistsError:
            return path.is_symlink()
        return True

    async def sweep(self, activities: Callable[[], Iterable[Activity]], journal: Journal) -> None:
        """Remove the files of tasks that are over by the disk, too; raises `StoreError`."""
        needed = {self.of(each.run, each.task) for each in activities()}
        over = [path for path in self.folder.iterdir() if path not in needed]
        await journal.flushed()
        for path in over:
            path.unlink(missing_ok=True)

    async def keep_sweeping(self, activities: Callable[[], Iterable[Activity]], journal: Journal) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            with suppress(StoreError, OSError):  # the journal tells of it; what is left is only room
                await self.sweep(activities, journal)
