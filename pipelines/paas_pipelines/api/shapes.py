"""Records as the API spells them (spec §7): objects of JSON, and their bytes, made once for each record."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from paas_pipelines.runs.approving import is_open
from paas_pipelines.runs.engine import Engine, PipelineState
from paas_pipelines.runs.run import Run, Task, TaskStatus
from paas_pipelines.store.codec import as_json

Reads = Callable[[str], bool]
"""Whether whoever asks may see the pipeline of that name."""

_SLICE = 250
"""So many records are encoded before others have their turn."""

PIECE_BYTES = 256 * 1024


def encoded(value: Any) -> bytes:
    """One value of JSON, in ASCII, without a newline."""
    return as_json(value).encode()


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds, as PHP's reader wants it."""
    return f"{at.astimezone(UTC).isoformat()[:19]}Z"


def pipeline_shape(state: PipelineState) -> Mapping[str, Any]:
    """One line of the list of pipelines."""
    return {
        "pipeline": state.definition.name,
        "schedulable": state.schedulable,
        "running": state.running,
        **({"blocked": state.blocked} if state.blocked else {}),
    }


def job_shape(run: Run) -> Mapping[str, Any]:
    """A run, which the API calls a job; what is empty or not known is left out, as the spec says."""
    return {
        "id": run.run_id,
        "pipeline": run.pipeline,
        "tasks": [task_shape(task) for task in run.tasks],
        "completed": run.completed,
        "canceled": run.canceled,
        "errored": run.errored,
        "created": moment(run.created),
        **_times(run.start, run.end),
        **({"lastError": run.last_error} if run.last_error else {}),
        **({"blocked": blocked} if (blocked := [*_open(run)]) else {}),
        **({"variables": dict(run.variables)} if run.variables else {}),
        "user": run.user,
    }


def _open(run: Run) -> Iterator[Mapping[str, str]]:
    """The approvals that a run waits for, and since when: only those of files with approvals have any."""
    for task in run.tasks:
        if run.active and task.asked and is_open(task):
            yield {"task": task.name, "since": moment(task.asked.since)}


def actor_shape(run: Run, *, groups: bool) -> Mapping[str, Any]:
    """Who has started it, and how; of a run of an older version the name alone is known."""
    if run.actor is None:
        return {"run": run.run_id, "user": run.user}
    who = run.actor.identity
    missing = {"groupsMissing": True} if who.groups_missing else {}
    return {
        "run": run.run_id,
        "user": run.user,
        "identity": str(who),
        "kind": who.kind,
        "way": run.actor.way,
        **({"groups": list(who.groups), **missing} if groups else {}),
    }


def task_shape(task: Task) -> Mapping[str, Any]:
    """One task of a run."""
    return {
        "name": task.name,
        **({"dependsOn": task.definition.depends_on} if task.definition.depends_on else {}),
        "status": TaskStatus.WAITING if task.status is TaskStatus.BLOCKED else task.status,
        **_times(task.start, task.end),
        "skipped": task.status is TaskStatus.SKIPPED,
        "exitCode": task.exit_code,
        "errored": task.errored,
        **({"error": task.error} if task.error else {}),
    }


def _times(start: datetime | None, end: datetime | None) -> Mapping[str, str]:
    return {name: moment(at) for name, at in (("start", start), ("end", end)) if at is not None}


class Shapes:
    """The bytes of all that is told, made once for each record, whoever asks and follows."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: dict[str, tuple[Run, bytes]] = {}
        self._pipelines: tuple[object, bytes] = None, b""

    def job(self, run: Run) -> bytes:
        """One run's."""
        if len(self._jobs) > 2 * len(self._engine.book) + _SLICE:  # most of them were removed
            self._jobs.clear()
        kept = self._jobs[run.run_id] = self._kept(run)
        return kept[1]

    def pipelines(self, reads: Reads | None = None) -> bytes:
        """The list of pipelines, by name; with `reads` only of those that may be seen."""
        engine = self._engine
        if reads is not None:
            states = (state for state in engine.pipelines() if reads(state.definition.name))
            return encoded([pipeline_shape(state) for state in states])
        moment = engine.book.revisions.last, engine.accepting, engine.definitions
        if self._pipelines[0] != moment:
            self._pipelines = moment, encoded([pipeline_shape(state) for state in engine.pipelines()])
        return self._pipelines[1]

    async def everything(self, reads: Reads | None = None) -> Sequence[bytes]:
        """All pipelines and jobs of this moment in one object, in many small parts; the newest jobs first.

        With `reads` only what may be seen.
        """
        pipelines = self.pipelines(reads)
        runs = sorted(self._engine.book.runs(), key=lambda run: run.created, reverse=True)
        kept: dict[str, tuple[Run, bytes]] = {}  # of runs that are there no more nothing is kept
        for number, run in enumerate(runs, 1):
            kept[run.run_id] = self._kept(run)
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        self._jobs = kept
        parts = [b'{"pipelines":' + pipelines + b',"jobs":[']
        for run, body in kept.values():
            if reads is None or reads(run.pipeline):
                parts += (body, b",")
        if len(parts) > 1:
            parts.pop()
        return [*parts, b"]}"]

    def _kept(self, run: Run) -> tuple[Run, bytes]:
        found = self._jobs.get(run.run_id)
        return found if found and found[0] is run else (run, encoded(job_shape(run)))


def pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The same in fewer parts of some size, each made when it is wanted: who is slow has no copy of all."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)
