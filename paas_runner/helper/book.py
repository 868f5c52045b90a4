"""The slot on disk: what a service knows of its machine when it is started there again.

The folder is the machine's: whoever finds none is at a machine's beginning, and gives it an id. A change is
on the disk before anything follows from it.
"""

import contextlib
import fcntl
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from paas_runner.errors import RunnerError
from paas_runner.helper.protocol import JobKey
from paas_runner.helper.slot import Slot, Stage

_FILE, _LOCK = "slot.json", "lock"
_INSTANCE = re.compile(r"[0-9a-f]{32}")


class BookError(RunnerError):
    """The folder cannot be used; the text says why, and what to do."""


class Book:
    """The slot of one machine; `workspace` is the folder of the job, which is there for as long as it is."""

    def __init__(self, folder: Path, instance: str, slot: Slot) -> None:
        self._file = folder / _FILE
        self.workspace = folder / "job"
        self.instance = instance
        """The machine's id, from its beginning to its end."""

        self.slot = slot

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator["Book"]:
        """The book in this folder, which nobody else has as long as the context lasts; raises `BookError`."""
        with contextlib.ExitStack() as stack:
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                stack.callback(os.close, lock)
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                text = _text(folder / _FILE)
            except BlockingIOError:
                raise BookError(f"another helper service works in {folder}: give this one --state") from None
            except OSError as error:
                raise BookError(
                    f"the folder {folder} cannot be used ({error}): --state names another"
                ) from None
            instance, slot = (uuid.uuid4().hex, Slot()) if text is None else _read(text, folder / _FILE)
            book = cls(folder, instance, slot)
            if text is None:
                book.write(slot)
            else:
                book.note(slot.after_restart())
            yield book

    def note(self, slot: Slot) -> None:
        """The same as `write`, and here in any case: a job may have filled the disk.

        For all but a launch. Who is started again then finds an earlier stage and goes on from there: no job
        begins in it, and nothing counts as clean.
        """
        with contextlib.suppress(OSError):
            self.write(slot)
        self.slot = slot

    def write(self, slot: Slot) -> None:
        """Have it on the disk, and then here; raises OSError, and then it is as it was."""
        text = json.dumps({"instance": self.instance, **_as_json(slot)})
        scratch = self._file.with_suffix(".new")
        with open(scratch, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self._file)
        folder = os.open(self._file.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self.slot = slot


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _as_json(slot: Slot) -> dict[str, Any]:
    job = slot.job and [slot.job.runner_name, slot.job.job_id]
    return {
        "stage": slot.stage,
        "job": job,
        "exit_code": slot.exit_code,
        "doubt": slot.doubt,
        "before": [[each.runner_name, each.job_id] for each in slot.before],
    }


def _read(text: str, path: Path) -> tuple[str, Slot]:
    """Raises `BookError`: without what it has said no job may be taken, since it may have run here."""
    try:
        found: Mapping[str, Any] = json.loads(text)
        return _INSTANCE.fullmatch(found["instance"])[0], Slot(  # type: ignore[index]  # TypeError, below
            stage=Stage(found["stage"]),
            job=found["job"] and _job(found["job"]),
            exit_code=found["exit_code"],
            doubt=found["doubt"],
            before=tuple(map(_job, found["before"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        remedy = "if nothing of a job is left on this machine, remove it"
        raise BookError(f"{path} is not what this program wrote there ({error}): {remedy}") from None


def _job(pair: Any) -> JobKey:
    runner_name, job_id = pair
    return JobKey(str(runner_name), int(job_id))
