"""The state file: all tracked jobs as one JSON document, written at a graceful stop and taken in at a start.

It is how jobs travel to another installation; for our own restarts the store is enough. The document is one
that heptapod-paas-runner loads (`peer_state.py`), with our complete records under a key of our own, which
that program ignores and drops: where the key is present, it is the truth of the file.

A file adds to the records and takes nothing from them, since it may be an old copy: what it does not know
stays, and the coordinator is asked about it; of a job that both know the record counts that is further on.

It holds job tokens and payloads, so it is private (mode 0600) and replaced atomically. A file that cannot be
understood stays exactly where and as it is, and ends the start. Single handles of the other program that make
no sense are kept in a file of the same form beside it, and end nothing.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import attrs
import structlog

from paas_runner.errors import Exit, RunnerError
from paas_runner.job.tracked import JobKey, Phase, TrackedJob
from paas_runner.store.installation import is_installation
from paas_runner.store.peer_state import Aside, Imported, at_home, exported, imported, set_aside
from paas_runner.store.protocol import JobStore
from paas_runner.store.records import from_record, to_record
from paas_runner.store.sqlite_file import complaint_about

log = structlog.stdlib.get_logger(__name__)

FORMAT = 1
_OURS = "paas_runner"
_PROGRESS = {phase: number for number, phase in enumerate(Phase)}


class StateFileError(RunnerError):
    """The state file cannot be read or written: the text says where and what to do."""

    exit_code = Exit.STATE


@attrs.frozen(kw_only=True)
class State:
    """A state file's content; `digest` tells one file from another."""

    jobs: Sequence[TrackedJob]
    digest: str
    installation: str | None = None
    """Whose mark the hosts carry, where the file says so."""

    possible_hosts: Sequence[str] = ()
    """Names of hosts that may exist although the file does not say so."""

    aside: Sequence[Aside] = ()
    """What of the file could not be understood."""


async def take_in(path: Path, store: JobStore, names: Mapping[str, str], now: datetime) -> None:
    """Merge a present state file into the store, then remove it; raises `StateFileError`, `StoreError`.

    `names` maps the short token of each configured runner to the other program's name for it. Killed between
    the two steps, the next start finds a file that it knows already, and only removes it.
    """
    state = read(path, names, now)
    if state is None:
        return
    if state.aside:
        _keep(path, state)
    news = further_on(state.jobs, await store.jobs(), ended=await store.ended())
    if await store.merge(news, source=state.digest):
        log.info("state_file_loaded", path=str(path), jobs=len(state.jobs), new=len(news))
        if state.possible_hosts:
            log.warning(
                "hosts_possibly_unknown",
                hosts=list(state.possible_hosts),
            )
    _remove(path)


def further_on(
    found: Sequence[TrackedJob], recorded: Sequence[TrackedJob], *, ended: Container[JobKey]
) -> Sequence[TrackedJob]:
    """Of the jobs in a file those about which the records know less; jobs that are over never come back."""
    known = {job.key: job for job in recorded}
    return [
        job
        for job in found
        if job.key not in ended
        and (job.key not in known or _PROGRESS[job.phase] >= _PROGRESS[known[job.key].phase])
    ]


def read(path: Path, names: Mapping[str, str], now: datetime) -> State | None:
    """The state in the file, None when there is no file; raises `StateFileError`."""
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateFileError(
            f"{path}: cannot be read: {error.strerror}. It is left as it is: make it readable for the "
            "service's user, or move it away"
        ) from error
    try:
        document = json.loads(content)
        found = _imported(document, names, now)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else error
        raise StateFileError(
            f"{path}: is no state file that can be understood: {why}. It is left as it is: put a good copy "
            "in its place, or move it away to start from the store"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    return State(
        jobs=found.jobs,
        digest=digest,
        possible_hosts=found.possible_hosts,
        aside=found.aside,
        installation=_installation(document),
    )


def write(
    path: Path, jobs: Sequence[TrackedJob], names: Mapping[str, str], *, installation: str = ""
) -> None:
    """Make the file hold the state of `jobs`, whole or not at all; raises `StateFileError`.

    A file that appeared since the start is not ours to overwrite: it is set aside under another name.
    """
    ours = {"format": FORMAT, "id": secrets.token_hex(8), "jobs": [to_record(job) for job in jobs]}
    if installation:
        ours["installation"] = installation
    document = exported(jobs, names) | {_OURS: ours}
    try:
        _replace(path, document, before=lambda: _set_aside(path))
    except OSError as error:
        raise StateFileError(
            f"{path}: cannot be written: {error.strerror}; the records are still in the store beside it"
        ) from error


def _replace(path: Path, document: Mapping[str, Any], *, before: Callable[[], None] = lambda: None) -> None:
    """Raises OSError; `before` is called when the new file is complete."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)
        file.write(json.dumps(document).encode())
        file.flush()
        os.fsync(descriptor)
    before()
    fresh.replace(path)
    sync_folder(path.parent)


def _keep(path: Path, state: State) -> None:
    """The handles that make no sense, in a file that the other program loads; the same however often.

    Raises `StateFileError`: what is on disk nowhere must not be removed with its file.
    """
    place = path.with_name(f"{path.name}.{state.digest[:8]}.aside")
    try:
        _replace(place, set_aside(state.aside))
    except OSError as error:
        raise StateFileError(
            f"{place}: jobs that make no sense here cannot be kept there: {error.strerror}. Make room, or "
            "let the service's user write there"
        ) from error
    log.warning("handles_set_aside", set_aside=str(place), about=[each.about for each in state.aside])


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        if refused := complaint_about(path, file.fileno()):
            raise StateFileError(refused)
        return file.read()


def _set_aside(path: Path) -> None:
    if not os.path.lexists(path):
        return
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.aside")
    path.rename(aside)
    log.warning(
        "state_file_set_aside",
        set_aside=str(aside),
    )


def _remove(path: Path) -> None:
    try:
        path.unlink()
    except OSError as error:
        raise StateFileError(
            f"{path}: was loaded but cannot be removed ({error.strerror}): remove it by hand, or it will be "
            "taken for the newest state at a later start"
        ) from error


def _imported(document: Any, names: Mapping[str, str], now: datetime) -> Imported:
    if not isinstance(document, Mapping):
        raise ValueError("it is no JSON object")
    if _OURS not in document:
        return imported(document, names, now)
    ours = document[_OURS]
    if not isinstance(ours, Mapping) or not isinstance(ours.get("jobs"), list):
        raise ValueError(f"its `{_OURS}` has no list of `jobs`")
    if ours.get("format") != FORMAT:
        raise ValueError(f"its format is {ours.get('format')!r}, known is {FORMAT}")
    jobs = [at_home(from_record(record), names) for record in ours["jobs"]]
    return Imported(jobs=jobs)


def _installation(document: Mapping[str, Any]) -> str | None:
    found = document.get(_OURS, {}).get("installation")
    return found if is_installation(found) else None


def sync_folder(folder: Path) -> None:
    """What was renamed in it is so after a power cut, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
