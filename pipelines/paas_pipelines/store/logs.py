"""What tasks say, raw, in prunner's files: `<folder>/<run id>/<task>-stdout.log` and `-stderr.log`."""

import enum
import os
import shutil
from contextlib import suppress
from pathlib import Path

from paas_runner.pipelines.runners import Notifier


class Stream(enum.StrEnum):
    """Which of a task's two outputs."""

    STDOUT = "stdout"
    STDERR = "stderr"


class LogFiles:
    """The logs of all runs; `grown` notifies after each piece."""

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        """At most `most_bytes` are kept of each stream; a line at the end says that there was more."""
        self._folder = folder
        self._most_bytes = most_bytes
        self.grown = Notifier()

    def output(self, run_id: str, task: str) -> "TaskOutput":
        """Where a task's output goes, after what is there already."""
        (self._folder / run_id).mkdir(mode=0o700, parents=True, exist_ok=True)
        return TaskOutput(self, run_id, task, self._most_bytes)

    def path(self, run_id: str, task: str, stream: Stream) -> Path:
        return self._folder / run_id / f"{task}-{stream}.log"

    def size(self, run_id: str, task: str, stream: Stream) -> int:
        """In bytes; 0 of a task that has written nothing."""
        with suppress(FileNotFoundError):
            return self.path(run_id, task, stream).stat().st_size
        return 0

    def read(self, run_id: str, task: str, stream: Stream, *, start: int = 0, most: int = -1) -> bytes:
        """From `start` on, at most so many bytes; empty of a task that has written nothing."""
        with suppress(FileNotFoundError), self.path(run_id, task, stream).open("rb") as file:
            file.seek(start)
            return file.read(most)
        return b""

    def remove(self, run_id: str) -> None:
        """All of a run."""
        shutil.rmtree(self._folder / run_id, ignore_errors=True)


class TaskOutput:
    """One task's two files."""

    def __init__(self, logs: LogFiles, run_id: str, task: str, most_bytes: int) -> None:
        self._logs = logs
        self._most_bytes = most_bytes
        self._paths = {stream: logs.path(run_id, task, stream) for stream in Stream}
        self._sizes = {stream: logs.size(run_id, task, stream) for stream in Stream}

    def stdout(self, data: bytes) -> None:
        self._append(Stream.STDOUT, data)

    def stderr(self, data: bytes) -> None:
        self._append(Stream.STDERR, data)

    def _append(self, stream: Stream, data: bytes) -> None:
        room = self._most_bytes - self._sizes[stream]
        if room <= 0 or not data:
            return
        if len(data) > room:
            data = data[:room] + b"\n[the log is full: what follows is not kept]\n"
        descriptor = os.open(self._paths[stream], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            self._sizes[stream] += os.write(descriptor, data)
        finally:
            os.close(descriptor)
        self._logs.grown.notify()
