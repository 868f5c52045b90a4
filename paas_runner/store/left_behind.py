"""Jobs in the file of before, where the configuration has begun to say that the records are in a database.

Who sets `state_store` may forget to take them along: nobody would care for them, and their hosts would be
taken for orphans. So nothing starts as long as the file has a job of which the database has never heard.
"""

import asyncio
from collections.abc import Container, Sequence
from pathlib import Path

from paas_runner.errors import Exit, RunnerError
from paas_runner.job.tracked import JobKey
from paas_runner.store.protocol import JobStore, NoStoreError
from paas_runner.store.snapshot import take


class LeftBehindError(RunnerError):
    """There are jobs that the store does not have; the text says where, and how they get there."""

    exit_code = Exit.CONFIG


async def refuse_left_behind(path: Path, store: JobStore, state_file: Path) -> None:
    """Raises `LeftBehindError`; and `StoreError` where one of both cannot be read."""
    if _is_there(path):
        known = frozenset(job.key for job in await store.jobs()) | await store.ended()
        if left := await asyncio.to_thread(left_behind, path, known):
            raise LeftBehindError(complaint(path, left, state_file))


def left_behind(path: Path, known: Container[JobKey]) -> Sequence[JobKey]:
    """The jobs tracked in the file that are not `known`; raises `StoreError`."""
    try:
        return [job.key for job in take(path).jobs if job.key not in known] if _is_there(path) else []
    except NoStoreError:
        return []


def _is_there(path: Path) -> bool:
    """Usually not: then no thread is needed."""
    return path.exists()


def complaint(path: Path, left: Sequence[JobKey], state_file: Path) -> str:
    """What is so, and what to do."""
    return (
        f"{path}: jobs are tracked in it ({len(left)}, {left[0]} for one) of which `state_store` does not "
        "know: nobody would care for them. Take all records along: "
        f"`paas-runner store copy CONFIG --from {path} --to config`; "
        "into a database in which jobs are recorded already only these jobs, by the state file: "
        f"`paas-runner store copy --from {path} --to {state_file}`; or move the file away"
    )
