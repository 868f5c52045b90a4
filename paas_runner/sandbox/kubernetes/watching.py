"""Watches: what happens to the objects that are wanted, as events, until the time is over."""

import asyncio
from collections.abc import AsyncIterator

import attrs

from paas_runner.sandbox.kubernetes.errors import StatusError
from paas_runner.sandbox.kubernetes.resources import Object, Resource
from paas_runner.sandbox.kubernetes.selectors import Wanted
from paas_runner.sandbox.kubernetes.storage import Storage

_LAST_BOOKMARK_SECONDS = 2.0


@attrs.frozen(kw_only=True)
class Watch:
    """What is asked; without `since` all that exists comes first."""

    of: Resource
    namespace: str | None
    wanted: Wanted
    since: int | None
    bookmarks: bool
    marks_beginning: bool
    """A bookmark says when all has come that exists (`sendInitialEvents`)."""

    seconds: float
    bookmark_seconds: float


async def events_of(storage: Storage, watch: Watch) -> AsyncIterator[tuple[str, Object]]:
    """Types of events and their objects; one that is too old ends in an ERROR with a Status of 410."""
    clock = asyncio.get_running_loop().time
    end = clock() + watch.seconds

    def wanted(each: Object) -> bool:
        mine = each["kind"] == watch.of.kind and watch.namespace in (
            None,
            each["metadata"].get("namespace"),
        )
        return mine and watch.wanted(each)

    since = storage.version if watch.since is None else watch.since
    if watch.since is None:
        for each in storage.every(watch.of, watch.namespace):
            if watch.wanted(each):
                yield "ADDED", each
        if watch.marks_beginning:
            yield "BOOKMARK", _bookmark(watch.of, since, {"k8s.io/initial-events-end": "true"})
    due = [clock() + watch.bookmark_seconds, end - _LAST_BOOKMARK_SECONDS]

    def quiet() -> float:
        return min(end, *(each for each in due if watch.bookmarks), end) - clock()

    try:
        async for change in storage.changes(since, quiet):
            seen = change.seen_by(wanted) if change else None
            if seen:
                yield seen
            while watch.bookmarks and due and clock() >= min(due):
                due.remove(min(due))
                yield "BOOKMARK", _bookmark(watch.of, storage.version, {})
                if clock() + watch.bookmark_seconds < end:
                    due.append(clock() + watch.bookmark_seconds)
            if clock() >= end:
                return
    except StatusError as error:
        yield "ERROR", error.status


def _bookmark(resource: Resource, version: int, annotations: Object) -> Object:
    metadata: Object = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
