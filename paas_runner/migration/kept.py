"""Copies of files that are never overwritten, and files that are replaced; each is whole or not there."""

import os
from collections.abc import Iterator
from pathlib import Path

from paas_runner.errors import Exit, RunnerError

BEFORE, AFTER = "before-migration", "after-migration"
"""What the names of copies end in: of what there was before, and of what is left by going back."""


class NotKeptError(RunnerError):
    """A copy could not be made, or a file not be written; nothing has been changed by it."""

    exit_code = Exit.STATE


def copies(path: Path, ending: str) -> list[Path]:
    """Those that there are, oldest first."""
    return [each for each in _names(path, ending) if each.is_file()]


def content_of(path: Path) -> bytes:
    """Raises `NotKeptError` where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise NotKeptError(f"{path}: cannot be read: {error.strerror}") from error


def keep(path: Path, ending: str) -> Path | None:
    """A copy for its owner alone, which is the last one then; None without a file. Raises `NotKeptError`.

    If the last one is equal, it is enough.
    """
    try:
        content = path.read_bytes()
        last = next(reversed(copies(path, ending)), None)
        if last and last.read_bytes() == content:
            return last
        copy = _name_after(path, ending, last)
        _write(copy, content, like=path, mode=0o600)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotKeptError(f"{error.filename or path}: cannot be kept: {error.strerror}") from error
    return copy


def replace(path: Path, content: bytes) -> None:
    """With the owner and at most the rights that it had; a link stays one. Raises `NotKeptError`."""
    try:
        target = path.resolve()
        mode = target.stat().st_mode & 0o660 if target.exists() else 0o600
        _write(target, content, like=target, mode=mode)
    except (OSError, RuntimeError) as error:
        raise NotKeptError(f"{path}: cannot be written: {getattr(error, 'strerror', error)}") from error


def _write(path: Path, content: bytes, *, like: Path, mode: int) -> None:
    """By a file beside it, which a process that is killed leaves behind, and the next one removes."""
    fresh = path.with_name(f".{path.name}.migrating")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if os.geteuid() == 0 and like.exists():
            owner = like.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _name_after(path: Path, ending: str, last: Path | None) -> Path:
    """One that is free, behind the last copy: they are in the order of their numbers."""
    names = list(_names(path, ending))
    free = names[names.index(last) + 1 if last else 0 :]
    found = next((each for each in free if not os.path.lexists(each)), None)
    if found is None:
        raise NotKeptError(f"{path}: cannot be kept: {names[-1].name} is there already")
    return found


def _names(path: Path, ending: str) -> Iterator[Path]:
    yield path.with_name(f"{path.name}.{ending}")
    for number in range(2, 1000):
        yield path.with_name(f"{path.name}.{ending}.{number}")
