"""Request bodies, read strictly: types are refused in the platform's words, values against the catalogue.

Unknown fields are ignored, as the platform does (spec clever-cloud-api.md §2.4).
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import Request

from paas_runner.sandbox.cloud import errors
from paas_runner.sandbox.cloud.application import Definition, Lifetime
from paas_runner.sandbox.cloud.catalogue import MAX_INSTANCES, Catalogue, Flavor, InstanceType

MAX_BODY_BYTES = 1_000_000

_TEXTS = ("name", "zone", "deploy", "minFlavor", "maxFlavor")
_OPTIONAL_TEXTS = (
    "description",
    "instanceType",
    "instanceVersion",
    "instanceVariant",
    "buildFlavor",
    "branch",
)
_NUMBERS = ("minInstances", "maxInstances")
_FLAGS = (
    "shutdownable",
    "stickySessions",
    "homogeneous",
    "cancelOnPush",
    "archived",
    "favourite",
    "separateBuild",
)
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "instanceLifetime": tuple(Lifetime),
    "forceHttps": ("ENABLED", "DISABLED"),
}
_VARIABLE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")


async def json_object(request: Request) -> Mapping[str, Any]:
    """The JSON object in a request's body; raises `CloudRefusedError` or `MalformedError`."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "text/json"):
        raise errors.CloudRefusedError(415, 415, "Expecting text/json or application/json body")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise errors.CloudRefusedError(413, 413, "Request Entity Too Large")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise errors.CloudRefusedError(400, 400, "Invalid Json") from None
    if not isinstance(found, Mapping):
        raise errors.MalformedError({"obj": "error.expected.jsobject"})
    return found


def definition(raw: Mapping[str, Any], catalogue: Catalogue) -> Definition:
    """What a creation asks for; raises `MalformedError`, or `CloudRefusedError` for what is not on offer."""
    fields = _well_formed(raw)
    lifetime = Lifetime(fields.setdefault("instanceLifetime", Lifetime.REGULAR))
    instance_type = catalogue.instance_type(
        fields.get("instanceType", ""), fields.get("instanceVersion", ""), fields.get("instanceVariant", "")
    )
    if instance_type is None:
        raise errors.no_such_instance_type()
    if catalogue.zone(fields["zone"]) is None:
        raise errors.invalid_value("zone", "unknown zone")
    if not 1 <= fields["minInstances"] <= fields["maxInstances"] <= MAX_INSTANCES:
        raise errors.invalid_value("minInstances", f"1 to {MAX_INSTANCES}, at most maxInstances")
    smallest, biggest = (_flavor(fields, name, instance_type) for name in ("minFlavor", "maxFlavor"))
    if smallest.mem > biggest.mem:
        raise errors.invalid_value("minFlavor", "bigger than maxFlavor")
    return Definition(
        fields=fields,
        name=fields["name"],
        instance_type=instance_type,
        lifetime=lifetime,
        min_flavor=smallest,
        max_flavor=biggest,
        build_flavor=_flavor(fields, "buildFlavor", instance_type)
        if "buildFlavor" in fields
        else instance_type.build_flavor,
    )


def redefinition(raw: Mapping[str, Any], present: Definition, catalogue: Catalogue) -> Definition:
    """What an update request asks for: what it leaves out stays as it is."""
    return definition({**present.fields, **raw}, catalogue)


def environment(raw: object, path: str = "obj") -> dict[str, str]:
    """Variables, all of them text; raises `MalformedError`, for wrong names `CloudRefusedError` (id 557)."""
    if not isinstance(raw, Mapping):
        raise errors.MalformedError({path: "error.expected.jsobject"})
    wrong = {f"{path}.{name}": "error.expected.jsstring" for name in raw if not isinstance(raw[name], str)}
    if wrong:
        raise errors.MalformedError(wrong)
    impossible = {name: "invalid name" for name in raw if not _VARIABLE_NAME.fullmatch(name)}
    if impossible:
        raise errors.invalid_environment(impossible)
    return dict(raw)


def variable_value(raw: Mapping[str, Any]) -> str:
    """The value in the body that sets a single variable."""
    problems: dict[str, str] = {}
    _check(raw, "value", _is_text, "error.expected.jsstring", problems, required=True)
    if problems:
        raise errors.MalformedError(problems)
    return str(raw["value"])


def _well_formed(raw: Mapping[str, Any]) -> dict[str, Any]:
    problems: dict[str, str] = {}
    for name in _TEXTS:
        _check(raw, name, _is_text, "error.expected.jsstring", problems, required=True)
    for name in _OPTIONAL_TEXTS:
        _check(raw, name, _is_text, "error.expected.jsstring", problems)
    for name in _NUMBERS:
        _check(raw, name, _is_number, "error.expected.jsnumber", problems, required=True)
    for name in _FLAGS:
        _check(raw, name, _is_flag, "error.expected.jsboolean", problems)
    for name, choices in _CHOICES.items():
        _check(raw, name, choices.__contains__, "error.expected.validenumvalue", problems)
    _check(raw, "tags", _is_texts, "error.expected.jsarray", problems)
    if raw.get("name") == "":
        problems["obj.name"] = "error.minLength"
    if problems:
        raise errors.MalformedError(problems)
    known = (*_TEXTS, *_OPTIONAL_TEXTS, *_NUMBERS, *_FLAGS, *_CHOICES, "tags")
    return {name: raw[name] for name in known if raw.get(name) is not None}


def _check(
    raw: Mapping[str, Any],
    name: str,
    fits: Callable[[Any], bool],
    problem: str,
    problems: dict[str, str],
    *,
    required: bool = False,
) -> None:
    value = raw.get(name)
    if value is None:
        if required:
            problems[f"obj.{name}"] = "error.path.missing"
    elif not fits(value):
        problems[f"obj.{name}"] = problem


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _flavor(fields: Mapping[str, Any], name: str, instance_type: InstanceType) -> Flavor:
    flavor = instance_type.flavor(fields[name])
    if flavor is None:
        raise errors.invalid_value(name, "unknown or unavailable flavor")
    return flavor
