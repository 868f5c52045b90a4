"""What tasks say, raw, in prunner's files: `<folder>/<run id>/<task>-stdout.log` and `-stderr.log`."""

import enum
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

import structlog

from paas_runner.pipelines.runners import Notifier

log = structlog.stdlib.get_logger(__name__)

_ABSENT = (FileNotFoundError, NotADirectoryError, ValueError)
MOST_TOLD_BYTES = 64 * 1024
"""Of each output, of what other tasks and expressions are told: it fits into one argument of a program."""

FULL = b"\n[the log is full: what follows is not kept]\n"


class Stream(enum.StrEnum):
    """Which of a task's two outputs."""

    STDOUT = "stdout"
    STDERR = "stderr"


class LogFiles:
    """The logs of all runs; `grown` notifies after each piece.

    Names that lead out of their folder have no logs: imported runs may have such tasks.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        """At most `most_bytes` are kept of each stream; a line at the end says that there was more."""
        self._folder = folder
        self._most_bytes = most_bytes
        self.grown = Notifier()

    def output(self, run_id: str, task: str) -> "TaskOutput":
        """Where a task's output goes, after what is there already; to be closed when the task has ended."""
        return TaskOutput(self, run_id, task, self._most_bytes)

    def path(self, run_id: str, task: str, stream: Stream) -> Path:
        """Raises ValueError for names that lead elsewhere."""
        return self.folder(run_id) / _inside(f"{task}-{stream}.log")

    def size(self, run_id: str, task: str, stream: Stream) -> int:
        """In bytes; 0 of a task that has written nothing."""
        with suppress(*_ABSENT):
            return self.path(run_id, task, stream).stat().st_size
        return 0

    def read(self, run_id: str, task: str, stream: Stream, *, start: int = 0, most: int = -1) -> bytes:
        """From `start` on, at most so many bytes; empty of a task that has written nothing."""
        with suppress(*_ABSENT), self.path(run_id, task, stream).open("rb") as file:
            file.seek(start)
            return file.read(most)
        return b""

    def last_words(self, run_id: str, task: str, stream: Stream = Stream.STDOUT) -> str:
        """The end of it as text, not more than `MOST_TOLD_BYTES` of it."""
        start = max(0, self.size(run_id, task, stream) - MOST_TOLD_BYTES)
        return self.read(run_id, task, stream, start=start, most=MOST_TOLD_BYTES).decode(errors="replace")

    def folder(self, run_id: str) -> Path:
        """Of all logs of a run; raises ValueError for names that lead elsewhere."""
        return self._folder / _inside(run_id)


class TaskOutput:
    """One task's two files, open from their first bytes until `close`.

    Writing never fails the task: what the disk does not take is dropped, and the server's log says so once.
    """

    def __init__(self, logs: LogFiles, run_id: str, task: str, most_bytes: int) -> None:
        self._logs = logs
        self._most_bytes = most_bytes
        self._facts = {"run": run_id, "task": task}
        self._paths = {stream: logs.path(run_id, task, stream) for stream in Stream}
        self._sizes = {stream: logs.size(run_id, task, stream) for stream in Stream}
        self._descriptors: dict[Stream, int] = {}
        self._complained = False

    def stdout(self, data: bytes) -> None:
        self._append(Stream.STDOUT, data)

    def stderr(self, data: bytes) -> None:
        self._append(Stream.STDERR, data)

    def close(self) -> None:
        """A second time changes nothing; what is written after it opens the files again."""
        while self._descriptors:
            _, descriptor = self._descriptors.popitem()
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, stream: Stream, data: bytes) -> None:
        room = self._most_bytes - self._sizes[stream]
        if room <= 0 or not data:
            return
        if len(data) > room:
            data = data[:room] + FULL
        left = memoryview(data)
        try:
            descriptor = self._descriptor(stream)
            while left:
                count = os.write(descriptor, left)
                self._sizes[stream] += count
                left = left[count:]
        except OSError as error:
            if not self._complained:
                self._complained = True
                log.error("log_not_written", **self._facts, reason=error.strerror)
        if len(left) < len(data):
            self._logs.grown.notify()

    def _descriptor(self, stream: Stream) -> int:
        if stream not in self._descriptors:
            path = self._paths[stream]
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            self._descriptors[stream] = os.open(path, flags, 0o600)
        return self._descriptors[stream]


def _inside(name: str) -> str:
    if "/" in name or "\0" in name or name in ("", ".", ".."):
        raise ValueError("the name of a run or a task is no name of a file")
    return name
