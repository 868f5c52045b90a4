"""The kinds of objects that are served, and what all objects have in common.

An object is what its JSON says. One that is stored is never changed: each change makes another.
"""

from datetime import UTC, datetime
from typing import Any, TypeAlias

import attrs

Object: TypeAlias = dict[str, Any]

_READ = ("get", "list", "watch")
_REMOVE = ("delete", "deletecollection")
_ALL = ("create", *_READ, "patch", "update", *_REMOVE)


@attrs.frozen(kw_only=True)
class Resource:
    """A kind, and what may be asked of it; all are served in version v1."""

    plural: str
    kind: str
    group: str = ""
    verbs: tuple[str, ...] = _ALL
    short: tuple[str, ...] = ()
    namespaced: bool = True
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def qualified(self) -> str:
        """As messages name it: `jobs.batch`, `pods`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


JOBS = Resource(plural="jobs", kind="Job", group="batch")
PODS = Resource(plural="pods", kind="Pod", short=("po",), subresources=("log",))
SECRETS = Resource(plural="secrets", kind="Secret")
QUOTAS = Resource(plural="resourcequotas", kind="ResourceQuota", short=("quota",))
EVENTS = Resource(plural="events", kind="Event", short=("ev",), verbs=(*_READ, *_REMOVE))
NAMESPACES = Resource(plural="namespaces", kind="Namespace", short=("ns",), verbs=_READ, namespaced=False)
REVIEWS = Resource(
    plural="selfsubjectaccessreviews",
    kind="SelfSubjectAccessReview",
    group="authorization.k8s.io",
    verbs=("create",),
    namespaced=False,
)
RESOURCES = (NAMESPACES, PODS, SECRETS, QUOTAS, EVENTS, JOBS, REVIEWS)
BY_KIND = {resource.kind: resource for resource in RESOURCES}
GROUPS = tuple(dict.fromkeys(resource.group for resource in RESOURCES))


def stamp(moment: datetime) -> str:
    """As the API writes a time, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def condition(owner: Object, kind: str) -> Object | None:
    """The condition of that type, where it is true."""
    found: list[Object] = owner.get("status", {}).get("conditions", [])
    return next((each for each in found if (each["type"], each["status"]) == (kind, "True")), None)


def set_condition(owner: Object, kind: str, now: datetime, **more: str) -> None:
    """Put a condition on an object, `True` unless `status` says otherwise; replaces that of its type."""
    rest = [each for each in owner["status"].get("conditions", []) if each["type"] != kind]
    made = {
        "type": kind,
        "status": "True",
        "lastProbeTime": stamp(now),
        "lastTransitionTime": stamp(now),
        **more,
    }
    owner["status"]["conditions"] = [*rest, made]


def ended(pod: Object) -> bool:
    """Whether nothing of it runs any more, and nothing will."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
