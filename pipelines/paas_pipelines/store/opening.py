"""A data folder opened: records, coordinator's book and logs, as they were at one moment."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import structlog

from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.run import Run
from paas_pipelines.store import imported
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.store.coordinator_book import DiskBook
from paas_pipelines.store.disk import UNNEEDED, DiskJournal
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.logs import LogFiles, Stream
from paas_runner.pipelines.jobs import Job

log = structlog.stdlib.get_logger(__name__)

FILES = "files"
"""The folder, in the data folder, with what tasks have left: a folder for each run."""

_RUN = "run"
_FACT = "fact"
_IMPORTED = "imported"
"""The fact that prunner's file was taken over, or was not there when it was looked for."""


@attrs.frozen(kw_only=True)
class Store:
    """All that outlives the process."""

    journal: DiskJournal
    runs: RunBook
    jobs: DiskBook
    logs: LogFiles


class _Records:
    """Writes runs, and forgets their logs and the coordinator's jobs together with them."""

    def __init__(self, journal: Journal, logs: LogFiles, folder: Path) -> None:
        self._journal = journal
        self._logs = logs
        self._files_folder = folder / FILES
        self._tasks: dict[int, tuple[str, str]] = {}  # run and task of each job that was submitted
        self._jobs: dict[str, set[int]] = {}
        self.jobs = DiskBook(journal, folder / "artifacts", self._trace_path, logs.grown.notify)

    def written(self, run_id: str, run: Run | None) -> None:
        self._journal.put(_RUN, run_id, to_text(run) if run else None)
        if run:
            self.note(run)
            return
        self._journal.unneeded(self._logs.folder(run_id))
        if (files := self._files_folder / run_id).is_dir():
            self._journal.unneeded(files)
        for job_id in self._jobs.pop(run_id, ()):
            del self._tasks[job_id]
            self.jobs.forget(self.jobs.job(job_id).pipeline_id)

    def note(self, run: Run) -> None:
        """Which jobs are its."""
        for task in run.tasks:
            if task.job_id is not None and task.job_id not in self._tasks:
                self._tasks[task.job_id] = run.run_id, task.name
                self._jobs.setdefault(run.run_id, set()).add(task.job_id)

    def _trace_path(self, job: Job) -> Path:
        """The log of its task, also for a job that stands in the place of another."""
        while job.retry_of is not None:
            job = self.jobs.job(job.retry_of)
        run_id, task = self._tasks.get(job.job_id, (f"job-{job.job_id}", "trace"))
        return self._logs.path(run_id, task, Stream.STDOUT)


@asynccontextmanager
async def opened(folder: Path, *, most_log_bytes: int) -> AsyncIterator[Store]:
    """The store in a data folder, which is created if need be; raises `StoreError`.

    At the end what was put is written; `StoreError` tells where that cannot be.
    """
    journal = await DiskJournal.open(folder)
    try:
        for name in await journal.stored(UNNEEDED):
            journal.unneeded(folder / name)
        if _IMPORTED not in await journal.stored(_FACT):
            await _import(journal, folder / imported.FILE)
        logs = LogFiles(folder / "logs", most_bytes=most_log_bytes)
        writer = _Records(journal, logs, folder)
        texts = await journal.stored(_RUN)
        gc.disable()  # nothing of what is made now is garbage: to look for some takes a quarter of the time
        try:
            known = list(records(texts, Run, _RUN))
        finally:
            gc.enable()
        for run in known:
            writer.note(run)
        await writer.jobs.load()
        book = RunBook(known, written=writer.written)
        yield Store(journal=journal, runs=book, jobs=writer.jobs, logs=logs)
    finally:
        await journal.aclose()


async def _import(journal: Journal, path: Path) -> None:
    """Once in the life of a data folder; the runs and the fact in one transaction."""
    found = imported.runs_in(path)
    for run in found:
        journal.put(_RUN, run.run_id, to_text(run))
    journal.put(_FACT, _IMPORTED, str(len(found)))
    await journal.flushed()
    if found:
        log.info("runs_imported", path=str(path), runs=len(found))
