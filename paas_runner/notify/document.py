"""A notice as its receiver gets it: a document, or the text that Slack and Mattermost show.

What the document's `summary` says is ours. Its `why` may quote a coordinator, a cloud or the author of a
job: it is bounded, on one line, and stands where no chat takes it for more than text.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs

from paas_runner.job.notice import Notice, NoticeKind, NoticeState
from paas_runner.logs import redactor
from paas_runner.plain_text import short_line, span

VERSION = 1
"""Of the document: a receiver may rely on every field of it."""

_MOST_CHARACTERS = 300
_MARKS: Mapping[str, str] = {
    NoticeState.HAPPENED: "⚠",
    NoticeState.BEGUN: "⚠",
    NoticeState.OVER: "✔",
}


@attrs.frozen(kw_only=True)
class Sender:
    """Which service it is that tells."""

    installation: str
    machine: str
    version: str


def document(notice: Notice, number: str, sender: Sender) -> str:
    """As JSON text; `number` is the id of the delivery, the same at every try."""
    return json.dumps(
        {
            "version": VERSION,
            "id": number,
            "kind": notice.kind,
            "state": notice.state,
            "subject": notice.subject,
            "summary": summary(notice),
            "why": bounded(notice.why),
            "since": _moment(notice.since),
            "until": _moment(notice.until),
            "count": notice.count,
            "jobs": [attrs.asdict(job) for job in notice.jobs],
            "service": attrs.asdict(sender),
        },
        ensure_ascii=False,
    )


def matter_of(text: str) -> tuple[str, str]:
    """Kind and subject of a document, maybe of another version: empty where they cannot be read."""
    try:
        told = json.loads(text)
        return str(told["kind"]), str(told["subject"])
    except (ValueError, TypeError, KeyError):
        return "", ""


def slack_text(told: Mapping[str, Any]) -> str:
    """The text for a chat, from a document; only what is ours can do more there than be read."""
    mark = _MARKS.get(str(told.get("state")), "")
    why = str(told.get("why", "")).replace("`", "'")
    reason = f": `{_escaped(why)}`" if why else ""
    machine = told.get("service", {}).get("machine", "")
    return f"{mark} {_escaped(str(told.get('summary', '')))}{reason} ({_escaped(str(machine))})".strip()


def summary(notice: Notice) -> str:
    """One sentence without its stop."""
    lasted = span(max((notice.until - notice.since).total_seconds(), 0.0))
    if notice.state is NoticeState.OVER:
        return f"{_OVER[notice.kind].format(subject=notice.subject)}, after {lasted}"
    if notice.state is NoticeState.BEGUN:
        return f"{_BEGUN[notice.kind].format(subject=notice.subject)}, for {lasted} now"
    one, many = _HAPPENED[notice.kind]
    words = (one if notice.count == 1 else many).format(subject=notice.subject, count=notice.count)
    return f"{words}{_jobs(notice)}"


_HAPPENED: Mapping[NoticeKind, tuple[str, str]] = {
    NoticeKind.LAUNCH_FAILED: (
        "a job of runner {subject} could not be launched",
        "{count} jobs of runner {subject} could not be launched",
    ),
    NoticeKind.HOST_LOST: (
        "a host of runner {subject} was lost while its job ran",
        "{count} hosts of runner {subject} were lost while their jobs ran",
    ),
    NoticeKind.HOST_LEFT: (
        "a host of runner {subject} was left in place, as configured, and goes on costing",
        "{count} hosts of runner {subject} were left in place, as configured, and go on costing",
    ),
    NoticeKind.ORPHAN_FOUND: (
        "a host was found that no job needs",
        "{count} hosts were found that no job needs",
    ),
    NoticeKind.JOB_LOST: (
        "a job was lost on its way to runner {subject}: its coordinator believes that it runs",
        "{count} jobs were lost on their way to runner {subject}: its coordinator believes that they run",
    ),
    NoticeKind.TAKEN_OVER: (
        "{subject} has taken over from a process that did not renew its leases",
        "{subject} has taken over {count} times from processes that did not renew their leases",
    ),
    NoticeKind.TEST: ("a test: this receiver is told what goes wrong", "{count} tests"),
    NoticeKind.DRAIN_DONE: ("the service is drained, and has ended", "the service was drained {count} times"),
}
_BEGUN: Mapping[NoticeKind, str] = {
    NoticeKind.QUOTA_EXHAUSTED: "runner {subject} has no room under the weight quota",
    NoticeKind.COORDINATOR_FAILING: "runner {subject} cannot ask its coordinator for jobs",
    NoticeKind.CLOUD_FAILING: "{subject} refuses what hosts need, or does not answer",
    NoticeKind.STORE_UNWRITABLE: "records of jobs cannot be written, and no new jobs are taken",
    NoticeKind.STORE_UNREACHABLE: "{subject} does not reach the database, and asks for no jobs",
    NoticeKind.NO_STANDBY: "only one process is left: nobody would take over",
    NoticeKind.COST_ABOVE: "hosts cost more per {subject} than the bound",
}
_OVER: Mapping[NoticeKind, str] = {
    NoticeKind.QUOTA_EXHAUSTED: "runner {subject} has room under the weight quota again",
    NoticeKind.COORDINATOR_FAILING: "runner {subject} gets answers from its coordinator again",
    NoticeKind.CLOUD_FAILING: "{subject} does what hosts need again",
    NoticeKind.STORE_UNWRITABLE: "records of jobs are written again",
    NoticeKind.STORE_UNREACHABLE: "{subject} reaches the database again",
    NoticeKind.NO_STANDBY: "there is a process again that would take over",
    NoticeKind.COST_ABOVE: "hosts cost no more per {subject} than the bound again",
}


def _jobs(notice: Notice) -> str:
    if not notice.jobs:
        return ""
    named = ", ".join(str(job.job) for job in notice.jobs)
    more = " and others" if notice.count > len(notice.jobs) else ""
    return f" (job{'s' if len(notice.jobs) > 1 else ''} {named}{more})"


def bounded(text: str) -> str:
    """What others wrote: one line, no secret that we know, and no more of it than a notice has room for."""
    return short_line(redactor.text(text), _MOST_CHARACTERS)


def _escaped(text: str) -> str:
    """As Slack wants it; nothing that begins with an @ calls anybody."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace("@", "@\u200b")


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
