"""All objects, their versions, and what has happened to them: what a list and a watch are made of.

Each change has the next resource version, across all kinds. Changes are remembered up to a bound, or until
`forget`: who asks for older ones is told to list anew.
"""

import asyncio
import copy
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import TypeAlias

import attrs

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.resources import BY_KIND, EVENTS, Object, Resource, stamp

Key: TypeAlias = tuple[str, str, str]
"""Kind, namespace and name."""

_REMEMBERED = 20_000
_EVENTS_LAST = timedelta(hours=1)


@attrs.frozen(kw_only=True)
class Change:
    """One object before and after; one of both is None at its beginning and its end."""

    version: int
    before: Object | None
    after: Object | None

    @property
    def object(self) -> Object:
        """As it is now, or was at last."""
        return self.after or self.before or {}

    def seen_by(self, wanted: Callable[[Object], bool]) -> tuple[str, Object] | None:
        """The event of a watch for what is wanted: an object may come into its sight, and go out of it."""
        was = self.before is not None and wanted(self.before)
        if self.after is not None and wanted(self.after):
            return ("MODIFIED" if was else "ADDED"), self.after
        if not was:
            return None
        last = self.object
        return "DELETED", {**last, "metadata": {**last["metadata"], "resourceVersion": str(self.version)}}


def key_of(found: Object) -> Key:
    return found["kind"], found["metadata"].get("namespace", ""), found["metadata"]["name"]


class Storage:
    """On one event loop; who listens is told of each change soon after it."""

    def __init__(self, clock: Callable[[], datetime], rng: Random) -> None:
        self.clock = clock
        self.rng = rng
        self.version = 1
        self.listeners: list[Callable[[Change], None]] = []
        self._objects: dict[Key, Object] = {}
        self._changes: list[Change] = []
        self.forgotten = self.version
        self._more = asyncio.Event()

    def find(self, resource: Resource, namespace: str | None, name: str) -> Object | None:
        return self._objects.get((resource.kind, namespace or "", name))

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        """Raises `StatusError` (404)."""
        found = self.find(resource, namespace, name)
        if found is None:
            raise errors.not_found(resource, name)
        return found

    def every(self, resource: Resource, namespace: str | None = None) -> list[Object]:
        """In the order of namespaces and names."""
        keys = [key for key in self._objects if key[0] == resource.kind and namespace in (None, key[1])]
        return [self._objects[key] for key in sorted(keys)]

    def with_uid(self, uid: str) -> Object | None:
        return next((each for each in self._objects.values() if each["metadata"]["uid"] == uid), None)

    def owned_by(self, uid: str) -> list[Object]:
        """Whatever names that owner."""
        every = self._objects.values()
        return [
            each
            for each in every
            if any(ref["uid"] == uid for ref in each["metadata"].get("ownerReferences", ()))
        ]

    def new_metadata(self) -> Object:
        """What the server itself says of an object that is to be."""
        uid = uuid.UUID(int=self.rng.getrandbits(128), version=4)
        return {"uid": str(uid), "creationTimestamp": stamp(self.clock())}

    def add(self, made: Object) -> Object:
        """Raises `StatusError` (409) where there is one of that name."""
        if key_of(made) in self._objects:
            raise errors.already_exists(BY_KIND[made["kind"]], made["metadata"]["name"])
        return self._put(None, made)

    def change(self, found: Object, alter: Callable[[Object], None]) -> Object | None:
        """Let `alter` work on the object as it is now; None if it is gone. Nothing altered is no change."""
        present = self._objects.get(key_of(found))
        if present is None or present["metadata"]["uid"] != found["metadata"]["uid"]:
            return None
        after = copy.deepcopy(present)
        alter(after)
        if after == present:
            return present
        metadata = after["metadata"]
        if "generation" in metadata and after.get("spec") != present.get("spec"):
            metadata["generation"] += 1
        waits = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds")
        if "deletionTimestamp" in metadata and not waits:
            self.remove(present)
            return after
        return self._put(present, after)

    def remove(self, found: Object) -> None:
        present = self._objects.pop(key_of(found), None)
        if present is not None:
            self._note(present, None)

    def _put(self, before: Object | None, after: Object) -> Object:
        after["metadata"]["resourceVersion"] = str(self.version + 1)
        self._objects[key_of(after)] = after
        self._note(before, after)
        return after

    def _note(self, before: Object | None, after: Object | None) -> None:
        self.version += 1
        change = Change(version=self.version, before=before, after=after)
        self._changes.append(change)
        if len(self._changes) > 2 * _REMEMBERED:
            self.forget(_REMEMBERED)
        for listener in self.listeners:
            asyncio.get_running_loop().call_soon(listener, change)
        self._more.set()
        self._more = asyncio.Event()

    def forget(self, keep: int = 0) -> None:
        """Of what has happened only the last changes are remembered from now on."""
        self._changes = self._changes[len(self._changes) - keep :]
        self.forgotten = self.version - keep

    def record(self, about: Object, reason: str, message: str, source: str, *, warning: bool = False) -> None:
        """Make an Event of what a controller has to say of an object; one that is repeated is counted."""
        metadata, now = about["metadata"], stamp(self.clock())
        past = stamp(self.clock() - _EVENTS_LAST)
        for each in self.every(EVENTS):
            if each["lastTimestamp"] < past:
                self.remove(each)
        for each in self.every(EVENTS, metadata["namespace"]):
            told = each["involvedObject"]["uid"], each["reason"], each["message"]
            if told == (metadata["uid"], reason, message):
                self.change(each, partial(dict.update, count=each["count"] + 1, lastTimestamp=now))
                return
        known = {name: metadata[name] for name in ("name", "namespace", "uid", "resourceVersion")}
        known |= {"kind": about["kind"], "apiVersion": BY_KIND[about["kind"]].api_version}
        name = f"{metadata['name']}.{self.rng.getrandbits(64):016x}"
        own = {**self.new_metadata(), "name": name, "namespace": metadata["namespace"]}
        event: Object = {"kind": EVENTS.kind, "apiVersion": EVENTS.api_version, "metadata": own}
        event |= {"involvedObject": known, "reason": reason, "message": message, "count": 1}
        event |= {"source": {"component": source}, "type": "Warning" if warning else "Normal"}
        event |= {"firstTimestamp": now, "lastTimestamp": now, "eventTime": None}
        self.add({**event, "reportingComponent": source, "reportingInstance": ""})

    async def changes(self, since: int, quiet_seconds: Callable[[], float]) -> AsyncIterator[Change | None]:
        """What happens after that version; None where nothing has for so long. Raises `StatusError` (410)."""
        while True:
            if since < self.forgotten:
                raise errors.expired(f"too old resource version: {since} ({self.forgotten})")
            more = self._more
            for change in self._changes[since - self.forgotten :]:
                since = change.version
                yield change
            if since < self.version:
                continue
            try:
                async with asyncio.timeout(max(0.0, quiet_seconds())):
                    await more.wait()
            except TimeoutError:
                yield None
