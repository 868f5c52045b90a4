"""What is told of runs: the key `notify` of a pipeline, heard at every save of a run.

A notice leads to a page on which somebody logged in decides; nothing that it links to changes anything.
"""

from collections.abc import Iterator
from urllib.parse import urlencode

import attrs
import structlog

from paas_pipelines.definitions.automation import OnDeadline
from paas_pipelines.notices.outbox import Telling
from paas_pipelines.runs.run import Run, Task, TaskStatus

log = structlog.stdlib.get_logger(__name__)


@attrs.frozen(kw_only=True)
class _News:
    at: str
    key: str
    subject: str
    text: str
    page: str


@attrs.frozen
class NoticesOfRuns:
    """An observer of a book of runs: what it puts is written together with the run."""

    telling: Telling
    external_url: str = ""
    """How people reach the pages; empty: notices have no links."""

    def __call__(self, before: Run | None, after: Run) -> None:
        """Whatever goes wrong here is no trouble of the run."""
        if not after.notify:
            return
        try:
            for news in _news(before, after):
                self._tell(after, news)
        except Exception:
            log.exception("notice_error", run=after.run_id)

    def _tell(self, run: Run, news: _News) -> None:
        link = f"{self.external_url.rstrip('/')}/{news.page}" if self.external_url else ""
        for to in dict.fromkeys(each.to for each in run.notify if each.at == news.at):
            key = f"{run.run_id}/{news.key}/{to}"
            self.telling.tell(to, text=news.text, subject=news.subject, link=link, key=key)


def _news(before: Run | None, after: Run) -> Iterator[_News]:
    known = {task.name: task for task in before.tasks} if before else {}
    for task in after.tasks:
        if task.status is TaskStatus.BLOCKED and not _is_blocked(known.get(task.name)):
            yield _blocked(after, task)
    if after.ended and not (before and before.ended):
        yield _ended(after)


def _is_blocked(task: Task | None) -> bool:
    return task is not None and task.status is TaskStatus.BLOCKED


def _blocked(run: Run, task: Task) -> _News:
    asked = task.asked
    lines = [asked.text] if asked and asked.text else []
    lines.append(f"{_who(run)} It waits until somebody approves or rejects.")
    if asked:
        lines.append(f"At {asked.deadline:%Y-%m-%d %H:%M} UTC it counts as {_at_deadline(task)}.")
    return _News(
        at="blocked",
        key=f"blocked/{task.name}/{task.attempt}",
        subject=f"{run.pipeline}: approval of {task.name} is asked for",
        text="\n".join(lines),
        page=f"approval?{urlencode({'id': run.run_id, 'task': task.name})}",
    )


def _at_deadline(task: Task) -> str:
    approval = task.definition.approval
    return "approved" if approval and approval.on_deadline is OnDeadline.APPROVE else "rejected"


def _ended(run: Run) -> _News:
    at = "succeeded"
    if run.canceled:
        at = "canceled"
    elif run.errored or run.last_error:
        at = "failed"
    error = f"\n{run.last_error}" if run.last_error and at == "failed" else ""
    return _News(
        at=at,
        key=at,
        subject=f"{run.pipeline} {at if at != 'canceled' else 'was canceled'}",
        text=f"{_who(run)}{error}",
        page=f"run?{urlencode({'id': run.run_id})}",
    )


def page_of_run(external_url: str, run_id: str) -> str:
    """The address of its page; empty where nobody has said how people reach the server."""
    return f"{external_url.rstrip('/')}/run?{urlencode({'id': run_id})}" if external_url else ""


def _who(run: Run) -> str:
    return f"Run {run.run_id[:8]}" + (f" of {run.user}." if run.user else ".")
