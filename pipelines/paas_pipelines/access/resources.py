"""What statements are about, as texts: `pipeline=deploy`, `task=deploy/ok`, `server`.

A resource lies within others: whoever is permitted something of a pipeline is permitted it of its tasks,
their logs, and its triggers, too. Names of pipelines may have a slash, which is `%2F` here, and `%` is `%25`.
"""

import re
from collections.abc import Sequence

KINDS = ("pipeline", "task", "log", "trigger", "executor", "credential")
SERVER = "server"
"""All that belongs to no pipeline: the audit, the list of events."""

ALIASES = {"job": "pipeline", "action": "task"}
_BARE_PERCENT = re.compile("%(?!2F|25)")
_WITHIN = {"task": (), "log": ("task",), "trigger": ()}


def pipeline(name: str) -> str:
    """A pipeline with its runs."""
    return f"pipeline={_quoted(name)}"


def task(pipeline_name: str, name: str) -> str:
    """One task of all runs of a pipeline: approvals are tasks."""
    return f"task={_quoted(pipeline_name)}/{name}"


def log(pipeline_name: str, name: str) -> str:
    """What a task has written."""
    return f"log={_quoted(pipeline_name)}/{name}"


def trigger(pipeline_name: str, name: str) -> str:
    """One of a pipeline."""
    return f"trigger={_quoted(pipeline_name)}/{name}"


def executor(name: str) -> str:
    """One with a name."""
    return f"executor={name}"


def credential(name: str) -> str:
    """One with a name."""
    return f"credential={name}"


def with_those_around(resource: str) -> Sequence[str]:
    """The resource, and all that it lies within."""
    kind, _, name = resource.partition("=")
    if kind not in _WITHIN:
        return (resource,)
    around = tuple(f"{each}={name}" for each in _WITHIN[kind])
    return (resource, *around, f"pipeline={name.partition('/')[0]}")


def pattern_of(text: str) -> str:
    """A pattern as statements are compared with; raises ValueError for one that can match nothing."""
    kind, equals, name = text.partition("=")
    if text in ("*", SERVER):
        return text
    if kind == "credential:name":
        kind = "credential"
    kind = ALIASES.get(kind, kind)
    if not equals or not name or kind not in KINDS:
        raise ValueError(
            f'"{text}" is no resource: {", ".join(f"{each}=…" for each in KINDS)}, {SERVER} or *'
        )
    if kind == "pipeline":
        return f"{kind}={_BARE_PERCENT.sub('%25', name).replace('/', '%2F')}"
    if kind in _WITHIN:
        owner, slash, rest = name.partition("/")
        return f"{kind}={_BARE_PERCENT.sub('%25', owner)}{slash}{rest}"
    return f"{kind}={name}"


def _quoted(name: str) -> str:
    return name.replace("%", "%25").replace("/", "%2F")
