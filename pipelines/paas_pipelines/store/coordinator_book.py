"""The coordinator's book on the disk: memory answers, and the journal gets every record that changes.

Traces are files that somebody else names, in the layout of the logs; artifacts are files of ours. The records
are the truth: what a file has beyond them was never acknowledged, and is cut or removed at the start.
"""

import hashlib
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import attrs

from paas_pipelines.store.codec import as_json, parsed, records, to_text
from paas_pipelines.store.journal import Journal
from paas_runner.pipelines.book import MemoryBook
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.reports import Artifact
from paas_runner.pipelines.runners import RunnerRecord
from paas_runner.pipelines.schedule import Predecessors
from paas_runner.store.protocol import StoreError

MOST_LEDGER_LINES = 100
"""Of a job, the last ones: its runner adds one every few seconds for as long as it runs."""

_IDS, _PIPELINE, _JOB = "coordinator ids", "coordinator pipeline", "job"
_ARTIFACT, _RUNNER = "artifact", "runner"


@attrs.frozen(kw_only=True)
class _Described:
    """What the journal has of an artifact."""

    filename: str
    size: int
    digest: str
    kind: str
    form: str
    expires_at: datetime | None = None


class DiskBook(MemoryBook):
    """A `Book` that outlives the process; made by `open`."""

    def __init__(
        self,
        journal: Journal,
        folder: Path,
        trace_path: Callable[[Job], Path],
        grown: Callable[[], None] = lambda: None,
    ) -> None:
        """Artifacts are kept in `folder`, which is this book's alone; `grown` is called after traces grew."""
        super().__init__()
        self._journal = journal
        self._folder = folder
        self._trace_path = trace_path
        self._grown = grown
        self._last = {"pipeline": 0, "job": 0, "runner": 0}

    async def load(self) -> None:
        """Once, before anything else; raises `StoreError`."""
        for text in (await self._journal.stored(_IDS)).values():
            self._last |= parsed(text, _IDS)
        self._pipeline_ids, self._job_ids, self._runner_ids = (
            itertools.count(self._last[name] + 1) for name in ("pipeline", "job", "runner")
        )
        for key, text in (await self._journal.stored(_PIPELINE)).items():
            waited_for = parsed(text, f"{_PIPELINE} {key}")
            self._predecessors[int(key)] = {name: frozenset(names) for name, names in waited_for.items()}
            self._ids_by_pipeline[int(key)] = {}
        jobs = records(await self._journal.stored(_JOB), Job, _JOB)
        for job in sorted(jobs, key=lambda job: job.job_id):
            super().save(job)
            if job.active:
                _cut(self._trace_path(job), job.trace_bytes)
        for runner in records(await self._journal.stored(_RUNNER), RunnerRecord, _RUNNER):
            super().save_runner(runner)
        artifacts = await self._journal.stored(_ARTIFACT)
        for key, described in zip(artifacts, records(artifacts, _Described, _ARTIFACT), strict=True):
            job_id = int(key.partition("/")[0])
            self._artifacts.setdefault(job_id, {})[described.kind] = self._artifact(job_id, described)
        self._sweep()

    def open_pipeline(self, predecessors: Predecessors) -> int:
        pipeline_id = super().open_pipeline(predecessors)
        waited_for = {name: sorted(names) for name, names in predecessors.items()}
        self._journal.put(_PIPELINE, str(pipeline_id), as_json(waited_for))
        return self._counted("pipeline", pipeline_id)

    def forget(self, pipeline_id: int) -> None:
        for job_id in self._ids_by_pipeline.get(pipeline_id, ()):
            self._journal.put(_JOB, str(job_id), None)
            for kind in self._artifacts.get(job_id, ()):
                self._journal.put(_ARTIFACT, f"{job_id}/{kind}", None)
                self._journal.unneeded(self._folder / str(job_id))
        self._journal.put(_PIPELINE, str(pipeline_id), None)
        super().forget(pipeline_id)

    def new_job_id(self) -> int:
        return self._counted("job", super().new_job_id())

    def save(self, *jobs: Job) -> None:
        for job in jobs:
            if len(job.ledger) > MOST_LEDGER_LINES:
                job = attrs.evolve(job, ledger=job.ledger[-MOST_LEDGER_LINES:])  # noqa: PLW2901 - the same
            super().save(job)
            self._journal.put(_JOB, str(job.job_id), to_text(job))

    def trace(self, job_id: int) -> bytes:
        job = self._jobs.get(job_id)
        if job is None or not job.trace_bytes:
            return b""
        with suppress(FileNotFoundError), self._trace_path(job).open("rb") as file:
            return file.read(job.trace_bytes)
        return b""

    def extend_trace(self, job: Job, data: bytes) -> None:
        """Raises `StoreError` where the file takes no more; the job is as before then."""
        path = self._trace_path(job)
        _write(path, data, at=job.trace_bytes - len(data))
        self._durable(path, new=job.trace_bytes == len(data))
        self.save(job)
        self._grown()

    def store_artifact(self, job: Job, artifact: Artifact) -> None:
        """Raises `StoreError` where the disk takes no more; the job is as before then."""
        described = _Described(
            **{field.name: getattr(artifact, field.name) for field in attrs.fields(_Described)}
        )
        kept = self._artifact(job.job_id, described)
        path = self._path(job.job_id, artifact.kind)
        _write(path, artifact.read(), at=0)
        self._durable(path, new=True)
        self._journal.put(_ARTIFACT, f"{job.job_id}/{artifact.kind}", to_text(described))
        self.save(job)
        self._artifacts.setdefault(job.job_id, {})[artifact.kind] = kept

    def new_runner_id(self) -> int:
        return self._counted("runner", super().new_runner_id())

    def save_runner(self, runner: RunnerRecord) -> None:
        super().save_runner(runner)
        self._journal.put(_RUNNER, str(runner.runner_id), to_text(runner))

    def remove_runner(self, runner_id: int) -> None:
        super().remove_runner(runner_id)
        self._journal.put(_RUNNER, str(runner_id), None)

    def _counted(self, name: str, last: int) -> int:
        self._last[name] = last
        self._journal.put(_IDS, "last", as_json(self._last))
        return last

    def _path(self, job_id: int, kind: str) -> Path:
        """Of an artifact, whose type is what its runner says."""
        return (
            self._folder / str(job_id) / hashlib.sha256(kind.encode(errors="surrogatepass")).hexdigest()[:32]
        )

    def _artifact(self, job_id: int, described: _Described) -> Artifact:
        path = self._path(job_id, described.kind)
        return Artifact(**attrs.asdict(described), read=path.read_bytes)

    def _durable(self, path: Path, *, new: bool) -> None:
        self._journal.grown(path)
        if new:
            self._journal.grown(path.parent)
            self._journal.grown(path.parent.parent)

    def _sweep(self) -> None:
        """Remove the files of uploads that no record tells of."""
        known = {self._path(job_id, kind) for job_id, kinds in self._artifacts.items() for kind in kinds}
        for path in self._folder.glob("*/*"):
            if path not in known:
                path.unlink()


def _write(path: Path, data: bytes, *, at: int) -> None:
    """All of it or nothing that counts; what is there after it is gone, and not before it is there."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            left = memoryview(data)
            while left:
                at += (count := os.pwrite(descriptor, left, at))
                left = left[count:]
            os.ftruncate(descriptor, at)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from error


def _cut(path: Path, size: int) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_size > size:
            os.truncate(path, size)
