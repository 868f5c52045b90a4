"""Label selectors and field selectors (kubernetes.io, "Labels and Selectors", "Field Selectors")."""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.resources import EVENTS, PODS, SECRETS, Object, Resource

Wanted: TypeAlias = Callable[[Object], bool]

_REQUIREMENT = re.compile(
    r"\s*(?P<absent>!)?\s*(?P<key>[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?)\s*"
    r"(?:(?P<operator>==|=|!=)\s*(?P<value>[-A-Za-z0-9_.]*)|\b(?P<among>in|notin)\s*\((?P<values>[^()]*)\))?\s*(?:,|$)"
)
_EVERYWHERE = ("metadata.name", "metadata.namespace")
_FIELDS: Mapping[Resource, tuple[str, ...]] = {
    PODS: ("spec.nodeName", "spec.restartPolicy", "spec.serviceAccountName", "status.phase", "status.podIP"),
    SECRETS: ("type",),
    EVENTS: (
        *(f"involvedObject.{name}" for name in ("kind", "namespace", "name", "uid", "apiVersion")),
        *(
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ),
    ),
}


def labels(text: str) -> Wanted:
    """The objects whose labels fulfil all requirements; raises `StatusError` (400)."""
    tests: list[Callable[[Mapping[str, str]], bool]] = []
    rest = text
    while rest.strip():
        found = _REQUIREMENT.match(rest)
        if found is None or (found["absent"] and (found["operator"] or found["among"])):
            raise errors.bad_request(f"unable to parse requirement: {rest}")
        tests.append(_label_test(found))
        rest = rest[found.end() :]
    return lambda each: all(test(each["metadata"].get("labels") or {}) for test in tests)


def _label_test(found: re.Match[str]) -> Callable[[Mapping[str, str]], bool]:
    key, operator, among = found["key"], found["operator"], found["among"]
    if operator in ("=", "=="):
        return lambda given: given.get(key) == found["value"]
    if operator == "!=":
        return lambda given: given.get(key) != found["value"]
    if among:
        values = {value.strip() for value in found["values"].split(",")}
        return lambda given: (given.get(key) in values) == (among == "in")
    return lambda given: (key in given) != bool(found["absent"])


def fields(resource: Resource, text: str) -> Wanted:
    """The objects whose fields are as said; raises `StatusError` (400) for one that cannot be selected by."""
    tests: list[tuple[str, str, bool]] = []
    for part in filter(None, text.split(",")):
        found = re.fullmatch(r"([A-Za-z.]+)(==|=|!=)(.*)", part)
        if found is None:
            raise errors.bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        if found[1] not in (*_EVERYWHERE, *_FIELDS.get(resource, ())):
            raise errors.bad_request(f"field label not supported: {found[1]}")
        tests.append((found[1], found[3], found[2] != "!="))
    return lambda each: all((_field(each, path) == value) == same for path, value, same in tests)


def _field(found: Object, path: str) -> str:
    value: object = found
    for name in path.split("."):
        value = value.get(name, "") if isinstance(value, Mapping) else ""
    return str(value)
