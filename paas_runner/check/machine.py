"""What the service needs of this machine: its state, an address, files that no other user can abuse.

Of the state it is checked whether it can be written, what is there already, and which process works on it. Of
modes and owners all that reading the configuration leaves: that refuses a file of secrets which others may
open. Nothing is left behind.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from paas_runner.addresses import listen_place
from paas_runner.check.runners import check_tags
from paas_runner.check.shared_store import check_members, check_server
from paas_runner.config import Config
from paas_runner.config.model import STATE_FILE, store_path
from paas_runner.config.packaged import owner_of, unit_of
from paas_runner.database_url import DatabaseUrl
from paas_runner.errors import MissingPackagesError, RunnerError
from paas_runner.executor.checks import CheckResult, Grade, fault, fine, skipped, warning
from paas_runner.service.installation import in_force, waiting_state
from paas_runner.service.site import try_out
from paas_runner.store import NoStoreError, StoreError, state_file
from paas_runner.store.left_behind import complaint as complaint_about_jobs
from paas_runner.store.left_behind import left_behind
from paas_runner.store.snapshot import Snapshot, take
from paas_runner.store.sqlite_file import complaint
from paas_runner.store.state_file import StateFileError

_STATE, _FILES, _NOTICES, _LISTENING = "state", "files", "notices", "listen_address"
"""The subjects of the results."""

_AS_ITS_USER = "run this as the service's user"
_GROUP_OR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_COMPANIONS = ("", "-wal", "-shm", ".lock")


@attrs.frozen(kw_only=True)
class CheckedState:
    """What was found."""

    config: Config
    """With the runners' keys as the records know them."""

    results: Sequence[CheckResult]
    installation: str = ""
    """Empty before the first start."""

    system_id: str | None = None
    """Of all processes that share a store."""


def check_state(config: Config, now: datetime, *, offline: bool = False) -> CheckedState:
    """The folder, the store, the state file and the lock."""
    try:
        return _checked_state(config, now, offline=offline)
    except OSError as error:
        text = f"{error.filename or config.state_file}: {error.strerror}"
        return CheckedState(config=config, results=[fault(_STATE, text, _AS_ITS_USER)])


def _checked_state(config: Config, now: datetime, *, offline: bool) -> CheckedState:
    store, folder = config.store, config.state_file.parent
    results = [_folder(folder), *_place(config)]
    if not os.access(folder, os.R_OK | os.X_OK, effective_ids=True):
        return CheckedState(config=config, results=results)
    holder = holder_of(config.store_path)
    if holder:
        results.append(fine(_STATE, f"the service runs with it (process {holder}), which is no obstacle"))
    else:
        results.extend(_state_file(config, now))
    waiting = waiting_state(config, now)
    without_store = in_force(config, stored=None, waiting=waiting) or ""
    if isinstance(store, DatabaseUrl):
        results.extend(_server(store, offline=offline))
        if results[-1].grade in (Grade.FAULT, Grade.SKIPPED):
            return CheckedState(config=config, results=results, installation=without_store)
    elif not store.exists():
        results.append(fine(_STATE, f"{store}: not there yet, the first start makes it"))
        results.extend(check_tags(config, ()))
        return CheckedState(config=config, results=results, installation=without_store)
    try:
        records = take(store)
    except StoreError as error:
        is_to_come = isinstance(error, NoStoreError) and isinstance(store, DatabaseUrl)
        results.append(fine(_STATE, _TO_COME) if is_to_come else fault(_STATE, str(error)))
        return CheckedState(config=config, results=results, installation=without_store)
    config, _ = config.recognised(records.runners)
    if records.tenancy is not None:
        results.extend(check_members(config, records.tenancy, runs_here=bool(holder)))
        results.extend(_left_behind(config, records))
    results.append(fine(_STATE, f"{store}: tracked jobs: {len(records.jobs)}"))
    results.extend(_paused(records))
    results.extend(check_tags(config, records.jobs))
    installation = in_force(config, stored=records.installation, waiting=waiting) or ""
    return CheckedState(
        config=config, results=results, installation=installation, system_id=records.system_id
    )


_TO_COME = "the database has no records yet"


def _server(place: DatabaseUrl, *, offline: bool) -> Sequence[CheckResult]:
    if offline:
        return [skipped("state_store", f"{place}: not asked, as wanted")]
    return check_server(place)


def _left_behind(config: Config, records: Snapshot) -> Iterator[CheckResult]:
    """In the file in which the records were before."""
    known = frozenset(job.key for job in records.jobs) | records.ended
    try:
        left = left_behind(config.store_path, known)
    except StoreError as error:
        yield fault(_STATE, str(error))
        return
    if left:
        yield fault(_STATE, complaint_about_jobs(config.store_path, left, config.state_file))


def _paused(records: Snapshot) -> Iterator[CheckResult]:
    for runner in records.runners:
        if runner.paused:
            text = f"the runner {runner.name or runner.key} is paused: it asks for no job"
            yield warning(_STATE, text, "`paas-runner resume` ends that")


def _folder(folder: Path) -> CheckResult:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"?")
        owner = folder.stat().st_uid
    except OSError as error:
        return fault(_STATE, f"{folder} cannot be written: {error.strerror}", _advice(folder, error))
    if os.geteuid() == 0 and owner != 0:
        text = f"root may write to {folder}; whether its owner may (uid {owner}) was not found out"
        return warning(_STATE, text, _AS_ITS_USER)
    return fine(_STATE, f"{folder} can be written")


def _advice(folder: Path, error: OSError) -> str:
    owner = owner_of(folder)
    if isinstance(error, FileNotFoundError) and not owner:
        return "make it, and give it to the service's user"
    if isinstance(error, PermissionError):
        return f"{_AS_ITS_USER} (sudo -u {owner} …)" if owner else _AS_ITS_USER
    return "make it writable for the service's user"


def _place(config: Config) -> Iterator[CheckResult]:
    """Whether the unit that serves this configuration could write there."""
    unit = unit_of(config.path)
    if unit and unit.is_installed() and not unit.may_write(config.state_file):
        yield warning(
            _STATE,
            f"{config.state_file}: the unit {unit.name} may write below {unit.records} alone",
            f'state_file = "{unit.records}/{STATE_FILE}", or ReadWritePaths= in a drop-in',
        )


def holder_of(store: Path) -> str:
    """Which process has the store open; empty when none has. Several checks at once see no holder."""
    try:
        descriptor = os.open(store.with_name(store.name + ".lock"), os.O_RDONLY)
    except OSError:
        return ""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 32).decode(errors="replace").strip() or "of unknown number"
    finally:
        os.close(descriptor)
    return ""


def _state_file(config: Config, now: datetime) -> Iterator[CheckResult]:
    """A state file that the next start takes in."""
    try:
        found = state_file.read(config.state_file, config.peer_names, now)
    except StateFileError as error:
        yield fault(_STATE, str(error))
        return
    if found:
        yield fine(_STATE, f"{config.state_file} is taken in at the next start: jobs: {len(found.jobs)}")
        if found.possible_hosts:
            names = ", ".join(found.possible_hosts)
            yield warning(_STATE, f"hosts may exist of which the file does not know: {names}")
        for each in found.aside:
            hint = "the start keeps it in a file beside it: look for its host at the provider, and remove it"
            yield warning(_STATE, f"not taken in: {each.about}", hint)


async def check_listening(config: Config) -> Sequence[CheckResult]:
    """Whether the site could be opened: its packages, and its address, which is listened on for a moment.

    Where a service works with this state nothing is tried, as it may be what listens there.
    """
    if not config.listen_address:
        return []
    if holder := holder_of(config.store_path):
        return [fine(_LISTENING, f"{config.listen_address}, not tried: the service runs (process {holder})")]
    try:
        await try_out(config)
    except RunnerError as error:
        folder = Path(listen_place(config.listen_address).path).parent
        if not (folder.exists() or isinstance(error, MissingPackagesError)):
            text = f"{folder}, the folder of the socket, is not there yet"
            return [warning(_LISTENING, text, "at its start a unit makes the one that it has in /run")]
        return [fault(_LISTENING, str(error))]
    return [fine(_LISTENING, f"{config.listen_address} is free")]


def check_receivers(config: Config) -> Iterator[CheckResult]:
    """Whether the programs that are to be told something can be started, and who could read what is sent."""
    for receiver in config.notify:
        title = f"{receiver.name} is told by"
        if receiver.command and not os.access(receiver.command[0], os.X_OK):
            yield fault(_NOTICES, f"{title} {receiver.command[0]}, which cannot be started", _AS_ITS_USER)
        elif receiver.url and _in_the_clear(receiver.url.reveal()):
            yield warning(
                _NOTICES, f"{title} http: the address and each notice can be read on the way", "use https"
            )
        else:
            yield fine(_NOTICES, f"{title} {'a program' if receiver.command else 'a request'}")


def _in_the_clear(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1")


def check_modes(config: Config) -> Sequence[CheckResult]:
    """Each file and folder that another user could use against us; one line when there is none."""
    try:
        found = [*_configuration(config), *_keys(config), *_state_files(config.state_file)]
    except OSError as error:
        return [fault(_FILES, f"{error.filename}: {error.strerror}", _AS_ITS_USER)]
    return found or [fine(_FILES, "nobody else may read what is secret, or change what we rely on")]


def _configuration(config: Config) -> Iterator[CheckResult]:
    if config.path.stat().st_mode & stat.S_IWOTH:
        yield warning(
            _FILES,
            f"anybody may change {config.path}, and with it what is run here",
            f"chmod o-w {config.path}",
        )


def _keys(config: Config) -> Iterator[CheckResult]:
    for path in {runner.tls_key_file for runner in config.runners if runner.tls_key_file}:
        if path.stat().st_mode & stat.S_IRWXO:
            yield warning(_FILES, f"others may open the private key {path}", f"chmod o= {path}")


def _state_files(state_file: Path) -> Iterator[CheckResult]:
    """What the service writes has mode 0600 and is its user's; another's is refused at the start."""
    store, folder = store_path(state_file), state_file.parent
    for path in (state_file, *(store.with_name(store.name + suffix) for suffix in _COMPANIONS)):
        try:
            found = path.stat()
        except OSError:  # absent, usually; else the check of the state tells
            continue
        if refused := complaint(path, owner=found.st_uid, us=os.geteuid()):
            yield fault(_FILES, refused)
        if found.st_mode & _GROUP_OR_OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            yield warning(_FILES, f"{path} has jobs' tokens in it, and mode {mode:04o}", f"chmod 600 {path}")
    if folder.is_dir() and _open_to_all(folder):
        yield warning(_FILES, f"anybody may replace files in {folder}", f"chmod o-w {folder}")


def _open_to_all(folder: Path) -> bool:
    """Whether others may put their own files in the place of ours; in a folder like /tmp they may not."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
