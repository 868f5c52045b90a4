"""The state file: all tracked jobs as one JSON document, written at a graceful stop and taken in at a start.

It is how jobs travel to another installation; for our own restarts the store would do. It holds job tokens
and payloads, so it is private (mode 0600), replaced atomically, never overwritten by something incomplete.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import structlog

from paas_runner.errors import RunnerError
from paas_runner.job.tracked import TrackedJob
from paas_runner.store.protocol import Store
from paas_runner.store.records import from_record, to_record

log = structlog.stdlib.get_logger(__name__)

FORMAT = 1


class StateFileError(RunnerError):
    """The state file cannot be read or written: the text says where and what to do."""


@attrs.frozen(kw_only=True)
class State:
    """A state file's content; `digest` tells one file from another."""

    jobs: Sequence[TrackedJob]
    digest: str


async def take_in(path: Path, store: Store) -> None:
    """Make a present state file the store's content, then remove it; raises `StateFileError`, `StoreError`.

    Killed between the two, the next start finds a file that it knows already, and only removes it.
    """
    state = read(path)
    if state is None:
        return
    if await store.replace(state.jobs, source=state.digest):
        log.info("state file loaded", path=str(path), jobs=len(state.jobs))
    _remove(path)


def read(path: Path) -> State | None:
    """The state in the file, None when there is no file; raises `StateFileError`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateFileError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return State(jobs=_jobs(json.loads(content)), digest=hashlib.sha256(content).hexdigest())
    except ValueError as error:
        raise StateFileError(
            f"{path}: is no state file of this program: {error}. It is left as it is; move it away to start "
            "from the store, or from nothing"
        ) from None


def write(path: Path, jobs: Sequence[TrackedJob]) -> None:
    """Replace the file by the state of `jobs`, whole or not at all; raises `StateFileError`."""
    document = {"format": FORMAT, "id": secrets.token_hex(8), "jobs": [to_record(job) for job in jobs]}
    fresh = path.with_name(f"{path.name}.new")
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            file.write(json.dumps(document, ensure_ascii=False).encode())
            file.flush()
            os.fsync(descriptor)
        fresh.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StateFileError(
            f"{path}: cannot be written: {error.strerror}; the records are still in the store beside it"
        ) from error


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise StateFileError(
            f"{path}: was loaded but cannot be removed ({error.strerror}): remove it by hand, or it will be "
            "taken for the newest state at a later start"
        ) from error


def _jobs(document: Any) -> Sequence[TrackedJob]:
    if not isinstance(document, Mapping) or "jobs" not in document:
        raise ValueError("it has no `jobs`")
    if document.get("format") != FORMAT:
        raise ValueError(f"its format is {document.get('format')!r}, known is {FORMAT}")
    if not isinstance(document["jobs"], list):
        raise ValueError("its `jobs` are no list")
    return [from_record(record) for record in document["jobs"]]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
