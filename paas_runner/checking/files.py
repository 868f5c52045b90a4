"""Who may read and write the files of the service: modes and owners.

A file of secrets that others may open is refused with the configuration; here is what that leaves.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from paas_runner.assembly import store_path
from paas_runner.check_result import CheckResult, fault, fine, warning
from paas_runner.config import Config
from paas_runner.store.ownership import complaint

SUBJECT = "files"
_GROUP_OR_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_COMPANIONS = ("", "-wal", "-shm", ".lock")


def modes(config: Config) -> Sequence[CheckResult]:
    """Each file and folder that somebody else could use against us; one line when there is none."""
    found = [*_configuration(config), *_keys(config), *_state(config.state_file)]
    return found or [fine(SUBJECT, "nobody else may read what is secret, or change what we rely on")]


def _configuration(config: Config) -> Iterator[CheckResult]:
    if config.path.stat().st_mode & stat.S_IWOTH:
        yield warning(
            SUBJECT,
            f"anybody may change {config.path}, and with it what is run here",
            f"chmod o-w {config.path}",
        )


def _keys(config: Config) -> Iterator[CheckResult]:
    for path in {runner.tls_key_file for runner in config.runners if runner.tls_key_file}:
        if path.stat().st_mode & stat.S_IRWXO:
            yield warning(SUBJECT, f"others may open the private key {path}", f"chmod o= {path}")


def _state(state_file: Path) -> Iterator[CheckResult]:
    """What the service writes has mode 0600 and is its user's; another's is refused at the start."""
    store, folder = store_path(state_file), state_file.parent
    for path in (state_file, *(store.with_name(store.name + suffix) for suffix in _COMPANIONS)):
        try:
            found = path.stat()
        except OSError:  # absent, usually; else the check of the state tells
            continue
        if refused := complaint(path, owner=found.st_uid, us=os.geteuid()):
            yield fault(SUBJECT, refused)
        if found.st_mode & _GROUP_OR_OTHERS:
            mode = stat.S_IMODE(found.st_mode)
            yield warning(SUBJECT, f"{path} has jobs' tokens in it, and mode {mode:04o}", f"chmod 600 {path}")
    if folder.is_dir() and _open_to_all(folder):
        yield warning(SUBJECT, f"anybody may replace files in {folder}", f"chmod o-w {folder}")


def _open_to_all(folder: Path) -> bool:
    """Whether others may put their own files in the place of ours; in a folder like /tmp they may not."""
    mode = folder.stat().st_mode
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX
