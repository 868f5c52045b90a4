"""Tables: what `kubectl get` shows, made by the server (`Accept: …;as=Table`)."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from paas_runner.sandbox.kubernetes.resources import Object, Resource, condition

_Cells = Callable[[Object, datetime], Sequence[Any]]


def table(resource: Resource, objects: Sequence[Object], now: datetime, metadata: Object) -> Object:
    """The objects as rows, each with its metadata."""
    names, cells = _TABLES.get(resource.kind, (_PLAIN, lambda each, now: ("", _age(each, now))))
    columns = [
        {
            "name": name.strip("-"),
            "type": "string",
            "format": "name" if name == "Name" else "",
            "description": "",
            "priority": 1 if name.startswith("-") else 0,
        }
        for name in names
    ]
    rows = [
        {
            "cells": [each["metadata"]["name"], *cells(each, now)],
            "object": {
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": each["metadata"],
            },
        }
        for each in objects
    ]
    head = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return {**head, "columnDefinitions": columns, "rows": rows}


def duration(seconds: float) -> str:
    """As kubectl shortens it: `90s`, `5m`, `3h`, `2d`."""
    for unit, size, least in (("s", 1, 120), ("m", 60, 120), ("h", 3600, 48)):
        if seconds / size < least:
            return f"{int(seconds / size)}{unit}"
    return f"{int(seconds / 86400)}d"


def _since(moment: str | None, now: datetime) -> str:
    return duration((now - datetime.fromisoformat(moment)).total_seconds()) if moment else ""


def _age(each: Object, now: datetime) -> str:
    return _since(each["metadata"].get("creationTimestamp"), now)


def _job(job: Object, now: datetime) -> Sequence[Any]:
    status, spec = job.get("status", {}), job["spec"]
    word = next((kind for kind in ("Complete", "Failed", "Suspended") if condition(job, kind)), "Running")
    end = datetime.fromisoformat(status["completionTime"]) if "completionTime" in status else now
    containers = spec["template"]["spec"]["containers"]
    return (
        *(word, f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}"),
        *(_since(status.get("startTime"), end), _age(job, now)),
        *(",".join(each[name] for each in containers) for name in ("name", "image")),
    )


def _pod(pod: Object, now: datetime) -> Sequence[Any]:
    status = pod["status"]
    states = status.get("containerStatuses", [])
    word = status.get("reason") or {"Succeeded": "Completed", "Failed": "Error"}.get(
        status["phase"], status["phase"]
    )
    for each in states:
        word = next((state["reason"] for state in each["state"].values() if "reason" in state), word)
    if "deletionTimestamp" in pod["metadata"]:
        word = "Terminating"
    ready = f"{sum(each['ready'] for each in states)}/{len(pod['spec']['containers'])}"
    restarts = sum(each["restartCount"] for each in states)
    return ready, word, restarts, _age(pod, now), pod["spec"].get("nodeName", "<none>")


def _event(event: Object, now: datetime) -> Sequence[Any]:
    about = event["involvedObject"]
    words = event["type"], event["reason"], f"{about['kind'].lower()}/{about['name']}", event["message"]
    return _since(event["lastTimestamp"], now), *words, event["count"]


_PLAIN = ("Name", "Status", "Age")
_TABLES: Mapping[str, tuple[Sequence[str], _Cells]] = {
    "Job": (("Name", "Status", "Completions", "Duration", "Age", "-Containers", "-Images"), _job),
    "Pod": (("Name", "Ready", "Status", "Restarts", "Age", "-Node"), _pod),
    "Secret": (
        ("Name", "Type", "Data", "Age"),
        lambda each, now: (each["type"], len(each.get("data", {})), _age(each, now)),
    ),
    "Event": (("-Name", "Last Seen", "Type", "Reason", "Object", "Message", "-Count"), _event),
    "Namespace": (_PLAIN, lambda each, now: ("Active", _age(each, now))),
}
