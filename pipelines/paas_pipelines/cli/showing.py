"""Runs in words: what a person sees of the API's records."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from paas_pipelines.cli.asking import SHORT, Job
from paas_runner.commands import output
from paas_runner.plain_text import one_line, rough_span, span

_STYLES = {
    "done": "green",
    "failed": "red",
    "error": "red",
    "canceled": "yellow",
    "running": "cyan",
    "blocked": "yellow",
}
_MARKS = {
    "done": "✓",
    "error": "✗",
    "failed": "✗",
    "canceled": "✗",
    "skipped": "-",
    "waiting": "·",
    "blocked": "?",
}


def state(run: Job) -> str:
    """One word: waiting, running, blocked (it waits for people alone), done, failed or canceled."""
    if run["errored"] and ended(run):
        return "failed"
    if run["canceled"]:
        return "canceled"
    if run["completed"]:
        return "done"
    if not run.get("start"):
        return "waiting"
    is_at_work = any(task["status"] == "running" for task in run["tasks"])
    return "blocked" if run.get("blocked") and not is_at_work else "running"


def ended(run: Job) -> bool:
    """Whether nothing of it goes on any more."""
    return bool(run["completed"]) or (
        bool(run["canceled"]) and all(task["status"] != "running" for task in run["tasks"])
    )


def tasks_of(run: Job) -> Sequence[Mapping[str, Any]]:
    """As the API has them, but those that wait for people are `blocked`."""
    asking = {each["task"]: each["since"] for each in run.get("blocked", ())}
    return [
        {**task, "status": "blocked", "start": asking[task["name"]]} if task["name"] in asking else task
        for task in run["tasks"]
    ]


def overview(pipelines: Sequence[Mapping[str, Any]], runs: Sequence[Job], most: int) -> Iterator[Any]:
    """Tables of the pipelines, and of their last runs."""
    if not pipelines:
        yield "no pipelines are defined, or none that this user may see"
    states = Counter((run["pipeline"], state(run)) for run in runs)
    words = ("running", *(["blocked"] if any(word == "blocked" for _, word in states) else []), "waiting")
    rows: list[Sequence[output.Line]] = []
    for name, takes in ((one["pipeline"], one["schedulable"]) for one in pipelines):
        counts = (str(states[name, word] or "-") for word in words)
        rows.append((name, *counts, "" if takes else "takes no runs now"))
    if rows:
        yield output.Table(head=("pipeline", *words, ""), rows=rows)
    if runs[:most]:
        yield ""
        asks = any(run.get("blocked") for run in runs[:most])
        head = ("run", "pipeline", "state", "created", "took", "user", *(["waits for"] if asks else []))
        yield output.Table(head=head, rows=[_row(run, asks=asks) for run in runs[:most]])
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
    if task["status"] == "blocked":
        return f"waits for people for {_age(task['start'])}: `paas-runner pipelines approvals` shows it"
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
    asks = f": waits for {_asks(run)}" if run.get("blocked") else ""
    return _painted(word), text + said + error + asks


def _row(run: Job, *, asks: bool) -> Sequence[output.Line]:
    age, last = _age(run["created"]), (_asks(run),) if asks else ()
    words = f"{age} ago", _took(run) or "-", run["user"], *last
    return run["id"][:SHORT], run["pipeline"], _painted(state(run)), *words


def _asks(run: Job) -> str:
    """For which approvals it waits, and how long already."""
    return ", ".join(f"{each['task']}, for {_age(each['since'])}" for each in run.get("blocked", ()))


def _age(moment: str) -> str:
    return rough_span(datetime.now(UTC) - datetime.fromisoformat(moment))


def _painted(word: str, mark: str = "") -> output.Painted:
    return output.Painted(mark or word, _STYLES.get(word, "dim"))


def _took(record: Mapping[str, Any]) -> str:
    """From its start to its end, or to now; empty before it starts, or if nobody knows."""
    over = record.get("status", "running") != "running" or record.get("canceled")
    if not record.get("start") or (over and not record.get("end")):
        return ""
    end = datetime.fromisoformat(record["end"]) if record.get("end") else datetime.now(UTC)
    return span(max(timedelta(), end - datetime.fromisoformat(record["start"])))
