"""The state: whether it can be written, what is there already, who works on it. Nothing is left behind."""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import attrs

from paas_runner.assembly import store_path
from paas_runner.check_result import CheckResult, fault, fine, warning
from paas_runner.config import Config
from paas_runner.store import StoreError, state_file
from paas_runner.store.snapshot import Snapshot, take
from paas_runner.store.state_file import StateFileError

SUBJECT = "state"


@attrs.frozen(kw_only=True)
class State:
    """What was found."""

    config: Config
    """With the runners' keys as the records know them."""

    results: Sequence[CheckResult]
    installation: str = ""
    """Empty before the first start."""


def look(config: Config, now: datetime) -> State:
    """Look at the folder, the store, the state file and the lock."""
    store = store_path(config.state_file)
    results = [_folder(config.state_file.parent)]
    if not config.state_file.parent.is_dir():
        return State(config=config, results=results)
    if holder := _holder(store.with_name(store.name + ".lock")):
        results.append(fine(SUBJECT, f"the service runs with it (process {holder}), which is no obstacle"))
    else:
        results.extend(_waiting(config, now))
    if not store.exists():
        results.append(fine(SUBJECT, f"{store}: not there yet, the first start makes it"))
        return State(config=config, results=results)
    try:
        records = take(store)
    except StoreError as error:
        return State(config=config, results=[*results, fault(SUBJECT, str(error))])
    config, _ = config.recognised(records.runners)
    results.append(fine(SUBJECT, f"{store}: tracked jobs: {len(records.jobs)}"))
    results.extend(_paused(records))
    return State(config=config, results=results, installation=records.installation)


def _paused(records: Snapshot) -> Iterator[CheckResult]:
    for runner in records.runners:
        if runner.paused:
            said = f"the runner {runner.name or runner.key} is paused: it asks for no job"
            yield warning(SUBJECT, said, "`paas-runner resume` ends that")


def _folder(folder: Path) -> CheckResult:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
        owner = folder.stat().st_uid
    except OSError as error:
        advice = "make it writable for the service's user"
        if not folder.exists():
            advice = "make it, and give it to the service's user"
        return fault(SUBJECT, f"{folder} cannot be written: {error.strerror}", advice)
    if os.geteuid() == 0 and owner != 0:
        said = f"root may write to {folder}; whether its owner may (uid {owner}) was not found out"
        return warning(SUBJECT, said, "run this as the service's user")
    return fine(SUBJECT, f"{folder} can be written")


def _holder(lock: Path) -> str:
    """Which process has the store open; empty when none has. Several who only look do not see each other."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 32).decode(errors="replace").strip() or "of unknown number"
    finally:
        os.close(descriptor)
    return ""


def _waiting(config: Config, now: datetime) -> Iterator[CheckResult]:
    """A state file that the next start takes in."""
    try:
        found = state_file.read(config.state_file, config.peer_names, now)
    except StateFileError as error:
        yield fault(SUBJECT, str(error))
        return
    if found:
        yield fine(SUBJECT, f"{config.state_file} is taken in at the next start: jobs: {len(found.jobs)}")
        if found.possible_hosts:
            names = ", ".join(found.possible_hosts)
            yield warning(SUBJECT, f"hosts may exist of which the file does not know: {names}")
