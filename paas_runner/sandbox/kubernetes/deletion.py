"""How objects go: with grace, before or after what they own (kubernetes.io, "Garbage Collection")."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.resources import BY_KIND, Object, ended, stamp
from paas_runner.sandbox.kubernetes.storage import Change, Storage

_FOREGROUND, _ORPHAN = "foregroundDeletion", "orphan"
_FINALIZERS = {"Foreground": _FOREGROUND, "Orphan": _ORPHAN, "Background": None}


def delete(storage: Storage, found: Object, options: Mapping[str, Any] | None = None) -> Object | None:
    """Begin its end by `DeleteOptions`; returns what is still there of it. Raises `StatusError`."""
    given, metadata, of = options or {}, found["metadata"], BY_KIND[found["kind"]]
    policy = given.get("propagationPolicy") or ("Orphan" if given.get("orphanDependents") else "Background")
    if policy not in _FINALIZERS:
        raise errors.bad_request(f'propagationPolicy: Unsupported value: "{policy}"')
    for name, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted = given.get("preconditions", {}).get(name)
        if wanted not in (None, metadata[name]):
            why = f"{what} in precondition: {wanted}, {what} in object meta: {metadata[name]}"
            raise errors.conflict(of, metadata["name"], f"Precondition failed: {why}")
    seconds, grace = given.get("gracePeriodSeconds"), 0
    if found["kind"] == "Pod" and found["spec"].get("nodeName") and not ended(found):
        grace = found["spec"]["terminationGracePeriodSeconds"] if seconds is None else seconds

    def mark(each: Object) -> None:
        metadata, finalizer = each["metadata"], _FINALIZERS[policy]
        if finalizer and finalizer not in metadata.get("finalizers", ()):
            metadata["finalizers"] = [*metadata.get("finalizers", ()), finalizer]
        if metadata.get("deletionGracePeriodSeconds", grace + 1) > grace:
            metadata["deletionTimestamp"] = stamp(storage.clock() + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace

    storage.change(found, mark)
    return storage.find(of, metadata.get("namespace"), metadata["name"])


def collect(storage: Storage, change: Change) -> None:
    """Remove what has lost its owner, and finish owners that wait for what they own."""
    metadata = change.object["metadata"]
    if change.after is None or "deletionTimestamp" in metadata:
        _go_on(storage, change.object, gone=change.after is None)
    references = metadata.get("ownerReferences", ())
    owners = [owner for each in references if (owner := storage.with_uid(each["uid"]))]
    if change.after is None:
        for owner in owners:
            _go_on(storage, owner, gone=False)
    elif references and not owners:
        delete(storage, change.after)


def _go_on(storage: Storage, owner: Object, *, gone: bool) -> None:
    metadata = owner["metadata"]
    finalizers = metadata.get("finalizers", ()) if "deletionTimestamp" in metadata else ()
    for each in storage.owned_by(metadata["uid"]):
        if _ORPHAN in finalizers:
            kept = [ref for ref in each["metadata"]["ownerReferences"] if ref["uid"] != metadata["uid"]]
            storage.change(each, partial(_set, ownerReferences=kept))
        elif (gone or _FOREGROUND in finalizers) and "deletionTimestamp" not in each["metadata"]:
            delete(storage, each)
    if finalizers and not storage.owned_by(metadata["uid"]):
        kept = [each for each in finalizers if each not in (_FOREGROUND, _ORPHAN)]
        storage.change(owner, partial(_set, finalizers=kept))


def _set(each: Object, **fields: Any) -> None:
    each["metadata"].update(fields)
