"""What an HTTP request asks: its path, its verb, its body, and whether it is one of the API's at all."""

import json
from collections.abc import Mapping
from typing import Any

import attrs
from starlette.requests import Request

from paas_runner.sandbox.kubernetes import errors
from paas_runner.sandbox.kubernetes.errors import StatusError
from paas_runner.sandbox.kubernetes.resources import RESOURCES, Object, Resource
from paas_runner.sandbox.kubernetes.schema import decoded

_MOST_BYTES = 3 * 1024 * 1024
_MERGE, _STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
_TAKEN = ("application/json", _MERGE, _STRATEGIC)
_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@attrs.frozen(kw_only=True)
class Target:
    """What a request is about; `part` is the subresource."""

    of: Resource
    namespace: str | None
    name: str
    part: str
    verb: str
    """As rules name it."""

    @property
    def path(self) -> str:
        """As rules name it."""
        return f"{self.of.plural}/{self.part}" if self.part else self.of.plural


def target_of(request: Request) -> Target | None:
    """None for a path that names no resource."""
    match request.url.path.strip("/").split("/"):
        case ["api", "v1", *rest]:
            group = ""
        case ["apis", group, "v1", *rest]:
            pass
        case _:
            return None
    namespace = None
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, part, *more = [*rest, "", "", ""]
    of = next((each for each in RESOURCES if (each.group, each.plural) == (group, plural)), None)
    if of is None or any(more):
        return None
    verb = _VERBS[request.method]
    if not name and verb in ("get", "delete"):
        watch = "watch" if flag(request.query_params, "watch") else "list"
        verb = {"get": watch, "delete": "deletecollection"}[verb]
    return Target(of=of, namespace=namespace, name=name, part=part, verb=verb)


def flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name) in ("true", "True", "1")


def number(query: Mapping[str, str], name: str) -> int | None:
    """Raises `StatusError` (400)."""
    text = query.get(name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise errors.bad_request(f'{name}: Invalid value: "{text}": must be a number')
    return int(text)


def is_dry(given: Mapping[str, Any]) -> bool:
    """Raises `StatusError` (400) for another word than `All`."""
    words = given.get("dryRun") or []
    if words not in ([], "All", ["All"]):
        raise errors.bad_request(f'dryRun: Unsupported value: "{words}": supported values: "All"')
    return bool(words)


async def body_of(request: Request) -> Any:
    """The JSON of the body, an empty object without one; raises `StatusError`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise StatusError(413, "RequestEntityTooLarge", f"limit is {_MOST_BYTES}")
    kind = request.headers.get("content-type", _TAKEN[0]).partition(";")[0].strip()
    if body and kind not in _TAKEN:
        text = "the body of the request was in an unknown format - accepted media types include: "
        raise StatusError(415, "UnsupportedMediaType", text + ", ".join(_TAKEN))
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise errors.bad_request(f"the object provided is unrecognized: {error}") from error
    if not isinstance(found, dict):
        raise errors.bad_request("the object provided is unrecognized: it is no JSON object")
    return found


def checked(target: Target, raw: Object, query: Mapping[str, str]) -> tuple[Object, Mapping[str, str]]:
    """The object in a body, and the headers that warn of fields that are unknown; raises `StatusError`."""
    of = target.of
    for name, expected in (("apiVersion", of.api_version), ("kind", of.kind)):
        if raw.get(name, expected) != expected:
            text = f"the {name} in the data ({raw[name]}) does not match the expected one ({expected})"
            raise errors.bad_request(text)
    found, unknown = decoded(of, {"metadata": {}, **raw, "apiVersion": of.api_version, "kind": of.kind})
    for name, own in (("namespace", target.namespace), ("name", target.name)):
        if own and found["metadata"].get(name, own) != own:
            raise errors.bad_request(
                f"the {name} of the provided object does not match the {name} sent on the request"
            )
    told = [f'unknown field "{each}"' for each in unknown]
    validation = query.get("fieldValidation", "Warn")
    if told and validation == "Strict":
        raise errors.bad_request(f"strict decoding error: {', '.join(told)}")
    warning = ", ".join(f"299 - {json.dumps(each)}" for each in told)
    return found, {"Warning": warning} if told and validation == "Warn" else {}


def patched(request: Request, present: Object, patch: Object) -> Object:
    """By a merge patch (RFC 7386); a strategic one merges lists of named things, and unites finalizers."""
    strategic = request.headers.get("content-type", "").startswith(_STRATEGIC)
    result: Object = _merged(present, patch, strategic=strategic)
    return result


def _merged(present: Any, patch: Any, *, strategic: bool) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(present) if isinstance(present, dict) else {}
    for name, value in patch.items():
        before = result.get(name)
        if value is None:
            result.pop(name, None)
        elif not (strategic and isinstance(value, list) and isinstance(before, list)):
            if not (strategic and name.startswith("$")):
                result[name] = _merged(before, value, strategic=strategic)
        elif name == "finalizers":
            result[name] = [*before, *(each for each in value if each not in before)]
        elif all(isinstance(each, dict) and "name" in each for each in (*value, *before)):
            named = {each["name"]: each for each in before}
            new = {each["name"]: _merged(named.get(each["name"]), each, strategic=True) for each in value}
            result[name] = list({**named, **new}.values())
        else:
            result[name] = value
    return result
