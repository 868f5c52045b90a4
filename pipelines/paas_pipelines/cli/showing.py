"""Runs in words: what a person sees of the API's records."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from paas_pipelines.cli.asking import SHORT, Job
from paas_runner.commands import output
from paas_runner.plain_text import one_line, rough_span, span

_STYLES = {"done": "green", "failed": "red", "error": "red", "canceled": "yellow", "running": "cyan"}
_MARKS = {"done": "✓", "error": "✗", "failed": "✗", "canceled": "✗", "skipped": "-", "waiting": "·"}


def state(run: Job) -> str:
    """One word: waiting, running, done, failed or canceled."""
    if run["errored"] and ended(run):
        return "failed"
    if run["canceled"]:
        return "canceled"
    if run["completed"]:
        return "done"
    return "running" if run.get("start") else "waiting"


def ended(run: Job) -> bool:
    """Whether nothing of it goes on any more."""
    return bool(run["completed"]) or (
        bool(run["canceled"]) and all(task["status"] != "running" for task in run["tasks"])
    )


def overview(pipelines: Sequence[Mapping[str, Any]], runs: Sequence[Job], most: int) -> Iterator[Any]:
    """Tables of the pipelines, and of their last runs."""
    if not pipelines:
        yield "no pipelines are defined, or none that this user may see"
    states = Counter((run["pipeline"], state(run)) for run in runs)
    rows: list[Sequence[output.Line]] = []
    for name, takes in ((one["pipeline"], one["schedulable"]) for one in pipelines):
        counts = (str(states[name, word] or "-") for word in ("running", "waiting"))
        rows.append((name, *counts, "" if takes else "takes no runs now"))
    if rows:
        yield output.Table(head=("pipeline", "running", "waiting", ""), rows=rows)
    if runs[:most]:
        yield ""
        head = ("run", "pipeline", "state", "created", "took", "user")
        yield output.Table(head=head, rows=[_row(run) for run in runs[:most]])
    if len(runs) > most:
        yield f"… {len(runs) - most} more runs: --last says how many are shown"


def task_line(task: Mapping[str, Any], width: int, turning: str) -> output.Line:
    """A line of the board: where a task is, and what it waits for."""
    status = task["status"]
    mark = turning if status == "running" else _MARKS.get(status, " ")
    waits = ", ".join(task.get("dependsOn", ())) if status == "waiting" else ""
    words = f"after {waits}" if waits else task_words(task)
    return "  ", _painted(status, mark), f" {task['name']:<{width}}  {words}"


def task_words(task: Mapping[str, Any]) -> str:
    """How it is, for how long, and what is wrong."""
    words = str(task["status"])
    if took := _took(task):
        words += f" {'for' if task['status'] == 'running' else 'after'} {took}"
    return words + (f": {one_line(task['error'])}" if task.get("error") else "")


def run_words(run: Job) -> output.Line:
    """A run in one line."""
    word, took = state(run), _took(run)
    text = f" {run['pipeline']} {run['id'][:SHORT]}"
    said = f" after {took}" if took and ended(run) else f" for {took}" if took else ""
    error = f": {one_line(run['lastError'])}" if run.get("lastError") and word == "failed" else ""
    return _painted(word), text + said + error


def _row(run: Job) -> Sequence[output.Line]:
    word = state(run)
    age = rough_span(datetime.now(UTC) - datetime.fromisoformat(run["created"]))
    return run["id"][:SHORT], run["pipeline"], _painted(word), f"{age} ago", _took(run) or "-", run["user"]


def _painted(word: str, mark: str = "") -> output.Painted:
    return output.Painted(mark or word, _STYLES.get(word, "dim"))


def _took(record: Mapping[str, Any]) -> str:
    """From its start to its end, or to now; empty before it starts, or if nobody knows."""
    over = record.get("status", "running") != "running" or record.get("canceled")
    if not record.get("start") or (over and not record.get("end")):
        return ""
    end = datetime.fromisoformat(record["end"]) if record.get("end") else datetime.now(UTC)
    return span(max(timedelta(), end - datetime.fromisoformat(record["start"])))
