"""Following a run until it has ended: its tasks on a board, or in lines where nobody watches, and their logs.

The server may be away for a while, restarted say: it is asked again, and the run goes on.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from paas_pipelines.cli import showing
from paas_pipelines.cli.asking import SHORT, Job, Server, UnreachableError
from paas_runner.commands import output, progress
from paas_runner.errors import Exit

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
"""So long may the server be away."""

STREAMS = ("stdout", "stderr")


def follow(server: Server, run_id: str, *, logs: bool) -> Exit:
    """Show how the run goes on until it has ended; the exit code says whether it went well.

    A Ctrl-C leaves the run as it is, and says so.
    """
    shown = _Board() if output.is_terminal(sys.stdout) and not logs else _Lines()
    read = Logs(server, run_id, named=True) if logs else None
    try:
        for run in looks(server, run_id):
            if read:
                read.more(run["tasks"])
            shown.draw(run)
    except KeyboardInterrupt:
        shown.close()
        output.note(f"the run goes on: `paas-runner pipelines cancel {run_id[:SHORT]}` cancels it")
        raise
    finally:
        shown.close()
    output.show(showing.run_words(run))
    return Exit.OK if showing.state(run) == "done" else Exit.FAILED


def looks(server: Server, run_id: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[Job]:
    """The run again and again until it has ended; that is the last one."""
    away_since: float | None = None
    while True:
        try:
            run = server.run(run_id)
        except UnreachableError:
            away_since = away_since or time.monotonic()
            if time.monotonic() - away_since > PATIENCE_SECONDS:
                raise
        else:
            away_since = None
            yield run
            if showing.ended(run):
                return
        sleep(LOOK_SECONDS)


class Logs:
    """What the tasks of one run write, as far as it has been read."""

    def __init__(self, server: Server, run_id: str, *, named: bool) -> None:
        """With `named`, the task's name stands before each line."""
        self._server, self._run_id, self._named = server, run_id, named
        self._offsets: dict[tuple[str, str], int] = {}
        self._begun: dict[tuple[str, str], bytes] = {}

    def more(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Read on: all there is of tasks that have ended, whole lines of those that run."""
        for task in tasks:
            for stream in STREAMS if task.get("start") else ():
                self._more(task["name"], stream, ended=task["status"] != "running")

    def _more(self, task: str, stream: str, *, ended: bool) -> None:
        key = task, stream
        data = self._server.output(self._run_id, task, stream, self._offsets.get(key, 0))
        self._offsets[key] = self._offsets.get(key, 0) + len(data)
        head, end, rest = (self._begun.pop(key, b"") + data).rpartition(b"\n")
        whole = head + end + (rest if ended else b"")
        if not ended and rest:
            self._begun[key] = rest
        if whole:
            before = output.Painted(f"{task} | " if self._named else "", "dim")
            lines = [(before, output.Coloured(line)) for line in whole.decode(errors="replace").splitlines()]
            output.show(*lines, out=sys.stderr if stream == "stderr" else sys.stdout)


class _Lines:
    """A line for each change of a task."""

    def __init__(self) -> None:
        self._statuses: dict[str, str] = {}

    def draw(self, run: Job) -> None:
        for task in showing.tasks_of(run):
            if task["status"] != self._statuses.get(task["name"], "waiting"):
                output.show(f"{task['name']}: {showing.task_words(task)}")
            self._statuses[task["name"]] = task["status"]

    def close(self) -> None:
        """Nothing is to be taken away."""


class _Board(_Lines):
    """All tasks in their places, each with its state."""

    def __init__(self) -> None:
        self._board = progress.Board(sys.stdout)

    def draw(self, run: Job) -> None:
        width = max((len(task["name"]) for task in run["tasks"]), default=0)
        tasks = [showing.task_line(task, width, self._board.turning) for task in showing.tasks_of(run)]
        self._board.draw([showing.run_words(run), *tasks])

    def close(self) -> None:
        self._board.clear()
