"""What an approval is about, as a number: whoever approves has seen just that (spec automation.md §6).

It is the same for the same records before and after they were on a disk.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import attrs

from paas_pipelines.runs.run import Run


def digest_of(run: Run, name: str) -> str:
    """SHA-256 of what is before the task, its results, and of what is still to come; hexadecimal."""
    behind = before(run, name)
    matter = {
        "pipeline": run.pipeline,
        "variables": run.variables,
        "env": run.env,
        "on_error": run.on_error,
        "results": {
            task.name: [task.status, task.outputs, task.saved, task.facts]
            for task in run.tasks
            if task.name in behind
        },
        "remaining": {task.name: task.definition for task in run.tasks if task.name not in behind},
    }
    text = json.dumps(_plain(matter), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def before(run: Run, name: str) -> frozenset[str]:
    """The names of all tasks that come before one: those that it depends on, and so on."""
    found: set[str] = set()
    ahead = list(run.task(name).definition.depends_on)
    while ahead:
        if (each := ahead.pop()) not in found:
            found.add(each)
            ahead += run.task(each).definition.depends_on
    return frozenset(found)


def _plain(value: Any) -> Any:
    """The same of what JSON has; a number is the same with and without `.0`."""
    if attrs.has(type(value)):
        return {field.name: _plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if isinstance(value, timedelta):
        return _plain(value.total_seconds())
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
