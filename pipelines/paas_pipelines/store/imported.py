"""prunner's `data.json` as runs (spec prunner-api.md §8): all of them or an error, and the file stays.

prunner never goes on with what it finds: a run that waited or ran is canceled (§3.1). Of what it does not
keep, which is the queue partition, the delay and environments, there is nothing to take over.
"""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import cattrs

from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.runs.run import NO_EXIT_CODE, Run, Task, TaskStatus
from paas_runner.store.protocol import StoreError

FILE = "data.json"
_NEVER = "0001-01-01T00:00:00Z"
"""Go's moment for none."""


@attrs.frozen
class _Task:
    """Fields as prunner calls them, but for the case, of which Go makes nothing."""

    name: str
    script: tuple[str, ...] = ()
    dependson: tuple[str, ...] = ()
    allowfailure: bool = False
    status: TaskStatus = TaskStatus.WAITING
    start: datetime | None = None
    end: datetime | None = None
    skipped: bool = False
    exitcode: int = 0
    errored: bool = False
    error: str = ""


@attrs.frozen
class _Job:
    """As above."""

    id: uuid.UUID
    pipeline: str
    created: datetime
    completed: bool = False
    canceled: bool = False
    start: datetime | None = None
    end: datetime | None = None
    variables: Mapping[str, Any] = attrs.field(factory=dict)
    user: str = ""
    tasks: tuple[_Task, ...] = ()


def runs_in(path: Path) -> Sequence[Run]:
    """In the order of their creation; none without the file. Raises `StoreError` that names what is wrong."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise _refused(path, f"is no JSON{where}") from None
    if not isinstance(data, dict):
        raise _refused(path, "has no object at its top")
    try:
        jobs = _converter.structure(_told(data).get("jobs", ()), tuple[_Job, ...])
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        raise _refused(path, "; ".join(_complaints(error))) from None
    if len({job.id for job in jobs}) < len(jobs):
        raise _refused(path, "has two jobs with one ID")
    in_order = sorted(jobs, key=lambda job: job.created)
    return [_run(job, number) for number, job in enumerate(in_order, 1)]


def _run(job: _Job, number: int) -> Run:
    tasks = tuple(_task(task) for task in job.tasks)
    failed = next((task for task in tasks if task.errored), None)
    return Run(
        run_id=str(job.id),
        number=number,
        pipeline=job.pipeline,
        created=job.created,
        variables=job.variables,
        user=job.user,
        tasks=tasks,
        start=job.start,
        end=job.end,
        completed=job.completed,
        canceled=job.canceled or not job.completed,
        first_failed=failed.name if failed else "",
        last_error=failed.error if failed and job.completed else "",
    )


def _task(task: _Task) -> Task:
    status = TaskStatus.SKIPPED if task.skipped else task.status
    if status in (TaskStatus.WAITING, TaskStatus.RUNNING):
        status = TaskStatus.CANCELED
    succeeded = status is TaskStatus.DONE and task.exitcode == NO_EXIT_CODE
    return Task(
        name=task.name,
        definition=TaskDefinition(
            script=task.script, depends_on=task.dependson, allow_failure=task.allowfailure
        ),
        status=status,
        start=task.start,
        end=task.end,
        exit_code=0 if succeeded else task.exitcode,
        errored=task.errored,
        error=task.error,
    )


def _told(value: Any) -> Any:
    """Names of keys in lower case, without what is null: as Go reads them. Variables are the client's."""
    if isinstance(value, list):
        return [_told(each) for each in value]
    if not isinstance(value, dict):
        return value
    lower = ((key.lower(), each) for key, each in value.items() if each not in (None, _NEVER))
    return {key: each if key == "variables" else _told(each) for key, each in lower}


def _strict(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise TypeError(kind.__name__)
    return value


def _moment(value: Any, _: type) -> datetime:
    found = datetime.fromisoformat(_strict(value, str))
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


_converter = cattrs.Converter()
for _plain in (str, bool, int):
    _converter.register_structure_hook(_plain, _strict)
_converter.register_structure_hook(TaskStatus, lambda value, _: TaskStatus(value))
_converter.register_structure_hook(datetime, _moment)
_converter.register_structure_hook(uuid.UUID, lambda value, _: uuid.UUID(_strict(value, str)))


def _complaints(error: Exception) -> Iterator[str]:
    for text in cattrs.transform_error(error, "jobs", lambda error, _: type(error).__name__):
        kind, _, where = text.partition(" @ ")
        yield f"{where} is {'missing' if kind == 'KeyError' else 'not as prunner writes it'}"


def _refused(path: Path, why: str) -> StoreError:
    return StoreError(
        f"{path}: {why}. Nothing was imported: mend prunner's file, or move it away to start without its runs"
    )
