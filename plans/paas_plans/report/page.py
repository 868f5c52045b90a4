"""One HTML page of a plan: what it is made of, how far each part is, what took how long, what failed and why.

The page needs nothing beside itself: no network and no server, and its script only to filter.
"""

import base64
import functools
import hashlib
import json
from datetime import datetime, timedelta
from html import escape
from importlib.resources import files
from string import Template
from uuid import UUID

import attrs

from paas_plans.clone import clone
from paas_plans.plan import NIL, Action, Checks, Item, Plan, Status, path_words
from paas_plans.report.chart import Chart
from paas_plans.report.words import SYMBOLS, outcome, progress, span, words_of
from paas_plans.secret import fields_of
from paas_plans.walk import Step, names, walk

_MOST_FAILURES = 20  # that are told at the top, and shown open
_MOST_OPEN = 30  # sequences of a block that is shown open
_MOST_TEXT = 10_000  # characters of a request, response or error
_FACTS = (UUID, str, int, datetime, timedelta)
_ELSEWHERE = {"name", "description", "request", "status", "reason"}


def page(plan: Plan, *, now: datetime) -> str:
    """All of a plan as it is at `now`, without its secrets."""
    plan, script = clone(plan, keep_state=True), _source("page.js")
    chart, steps = Chart(plan, now), list(walk(plan))
    failed = [step for step in steps if _is_failure(step)]
    told = failed[:_MOST_FAILURES]
    opened = {step.path[:length] for step in told for length in range(len(step.path) + 1)}
    parts, depth = "", -1
    for step in steps:
        parts += "</details>" * (depth + 1 - len(step.parents))
        depth, sequences = len(step.parents), getattr(step.item, "sequences", ())
        is_open = depth < 2 and not isinstance(step.item, Checks) and len(sequences) <= _MOST_OPEN
        parts += _part(step, chart, now, " open" if is_open or step.path in opened else "")
    ready = {
        "style": _source("page.css"),
        "script": script,
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "status": _status(plan.state.status),
        "failures": "".join(_failure(step) for step in told),
        "marks": "".join(_tag("li", span(n * chart.length / 4)) for n in (1, 2, 3)),
        "parts": parts + "</details>" * (depth + 1),
    }
    words = {"words": plan.state.status.words, "reason": plan.reason.words if plan.reason else ""}
    texts = {"name": plan.name, "now": _words(now), "failed": len(failed), "told": len(told), **words}
    return _filled("page.html", ready, **texts).encode("utf-8", "replace").decode()


def _is_failure(step: Step) -> bool:
    """Bypass checks that fail say that there is work to do."""
    is_failed = type(step.item) is Action and step.item.state.status is Status.FAILED
    return is_failed and "bypass_checks" not in step.path


def _failure(step: Step) -> str:
    attempts = [attempt.error for attempt in getattr(step.item, "attempts", ()) if attempt.error]
    link = f'<a href="#{path_words(step.path)}">{escape(" › ".join(names(step)[1:]))}</a>'
    why = words_of(attempts[-1]) if attempts else "without an attempt"
    return f"<li>{link}{_tag('p', why, ' class=failed')}"


def _part(step: Step, chart: Chart, now: datetime, is_open: str) -> str:
    item, state = step.item, step.item.state
    about = _tag("p", getattr(item, "description", "")) + _facts(item)
    if isinstance(item, Action):
        about += _json("Request", item.request)
        for number, attempt in enumerate(item.attempts, 1):
            took = f" in {span(attempt.end - attempt.start)}" if attempt.end else ""
            told = f"Attempt {number}, {_words(attempt.start)}: {outcome(attempt)}{took}"
            about += _tag("p", told, " class=attempt")
            if attempt.error:
                about += _tag("p", words_of(attempt.error), " class=failed")
            about += _json("Response", attempt.response)
    return _filled(
        "part.html",
        {"status": _status(state.status), "bar": chart.bar(item), "about": about},
        where=path_words(step.path),
        key=state.status.name.lower(),
        open=is_open,
        title=names(step)[-1],
        kind=type(item).__name__.removeprefix("Deferred").lower() if hasattr(item, "name") else "",
        done=progress(item),
        took=span((state.end or now) - state.start) if state.start else "",
    )


def _facts(item: Item) -> str:
    state = attrs.asdict(item.state) if not getattr(item, "attempts", ()) else {"until": item.state.until}
    facts = {**attrs.asdict(item, recurse=False), **state}  # attempts have their own times
    told = ""
    for name, value in facts.items():
        if isinstance(value, _FACTS) and value and value != NIL and name not in _ELSEWHERE:
            told += _tag("dt", name.replace("_", " ")) + _tag("dd", _words(value))
    return f"<dl>{told}</dl>"


def _json(label: str, value: object) -> str:
    if value is None:
        return ""
    put = functools.partial(json.dumps, value, ensure_ascii=False, skipkeys=True, default=_plain)
    text = put() if len(put()) < 100 else put(indent=1)
    return _tag("p", label, " class=label") + _tag("pre", text)


def _plain(value: object) -> object:
    """What JSON has no words for."""
    return {field.name: getattr(value, field.name) for field in fields_of(type(value)) or ()} or str(value)


def _words(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03}"
    return span(value) if isinstance(value, timedelta) else str(value)


def _status(status: Status) -> str:
    return _tag("span", f"{SYMBOLS[status]} {status.words}", f' class="status {status.name.lower()}"')


def _tag(name: str, text: str, more: str = "") -> str:
    if (beyond := len(text) - _MOST_TEXT) > 0:
        text = f"{text[:_MOST_TEXT]} … and {beyond} characters more"
    return f"<{name}{more}>{escape(text, quote=False)}</{name}>" if text else ""


@functools.cache
def _source(name: str) -> str:
    return (files("paas_plans.report") / name).read_text("utf-8").strip()


def _filled(file: str, ready: dict[str, str], /, **texts: object) -> str:
    """A file of HTML with a value for each `$name` in it; all but what is ready is escaped."""
    return Template(_source(file)).substitute(
        ready, **{key: escape(str(text)) for key, text in texts.items()}
    )
