"""A plan as JSON and back: as stores keep it, definition and states apart, and as one file for people.

Each object is an object, each field of it that has something a key. Requests and responses are as `values`
has them in stores, and JSON without secrets in files.
"""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import Any, Literal, TypeAlias, get_args
from uuid import UUID

import attrs

from paas_plans.errors import DocumentError
from paas_plans.ids import made_at
from paas_plans.plan import CHILDREN, Action, Item, Path, Plan, Reason, State, Status, When, path_words
from paas_plans.registry import Registry
from paas_plans.secret import Cipher
from paas_plans.stores.protocol import Changes, Document, Summary
from paas_plans.values import Json, decode, encode, for_people
from paas_plans.walk import walk

_FORMAT = "paas-plans 1"
_CHANGING = frozenset({"state", "attempts", "reason", "heartbeat", "stop_requested"})
_IN_LISTS = ("id", "name", "description", "group_id", "reason")
_ENDED = tuple(status.name.lower() for status in Status if status.is_terminal)

Part: TypeAlias = Literal["all", "definition", "state"]
Fields: TypeAlias = tuple[tuple[str, Any, bool, bool], ...]
"""Of each: its name, its type, whether it holds many, and whether it must be there."""


def _time(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    if when.tzinfo is None:
        raise ValueError(text)
    return when.astimezone(UTC)


_SCALARS: Mapping[Any, tuple[Callable[[Any], Json], Callable[[Any], Any], tuple[type, ...]]] = {
    str: (str, str, (str,)),
    int: (int, int, (int,)),
    bool: (bool, bool, (bool,)),
    UUID: (str, UUID, (str,)),
    datetime: (datetime.isoformat, _time, (str,)),
    timedelta: (timedelta.total_seconds, lambda seconds: timedelta(seconds=seconds), (int, float)),
    bytes: (lambda data: base64.b64encode(data).decode(), partial(base64.b64decode, validate=True), (str,)),
    When: (str, When, (str,)),
    Status: (lambda status: status.name.lower(), lambda name: Status[name.upper()], (str,)),
    Reason: (lambda reason: reason.name.lower(), lambda name: Reason[name.upper()], (str,)),
}
"""How one is written, read, and the types of JSON that it is read from."""


@cache
def _fields(kind: Any, part: Part = "all") -> Fields:
    wanted = {"all": (True, True), "definition": (False, True), "state": (True, False)}[part]
    found = [field for field in attrs.fields(kind) if wanted[field.name not in _CHANGING]]
    types = [get_args(field.type) or (field.type,) for field in found]
    return tuple(
        (field.name, inner[0], Ellipsis in inner, field.default is attrs.NOTHING)
        for field, inner in zip(found, types, strict=True)
    )


def _data(value: Any, values: Callable[[Any], Json], part: Part = "all") -> dict[str, Json]:
    data: dict[str, Json] = {}
    inner: Part = "all" if part == "state" else part
    for name, kind, is_many, _ in _fields(value.__class__, part):
        item = getattr(value, name)
        if item is None:
            continue
        if kind in _SCALARS:
            data[name] = _SCALARS[kind][0](item)
        elif kind is object:
            data[name] = values(item)
        elif is_many:
            data[name] = [_data(one, values, inner) for one in item]
        else:
            data[name] = _data(item, values, inner)
    return data


def document(plan: Plan, cipher: Cipher | None) -> Document:
    """The whole of a plan that has been submitted."""
    values = partial(encode, cipher=cipher)
    definition = json.dumps({"format": _FORMAT, **_data(plan, values, "definition")})
    items = (step.item for step in walk(plan))
    states = {one.id: _state(one, values) for one in items if not _is_fresh(one)}
    summary = _summary(plan, plan.submitted or made_at(plan.id))
    return Document(summary=summary, definition=definition, states=states)


def changes(before: Plan, after: Plan, cipher: Cipher | None, now: datetime) -> Changes:
    """What is different; what the two share is not looked at."""
    values = partial(encode, cipher=cipher)
    states = {item.id: _state(item, values) for item in _changed(before, after)}
    return Changes(summary=_summary(after, now), states=states)


def _is_fresh(item: Item) -> bool:
    begun = isinstance(item, Plan) or (isinstance(item, Action) and item.attempts)
    return not begun and item.state == State()


def _state(item: Item, values: Callable[[Any], Json]) -> str:
    return json.dumps(_data(item, values, "state"))


def _changed(before: Any, after: Any) -> Iterator[Item]:
    kind = after.__class__
    for name, *_ in _fields(kind, "state"):
        if getattr(before, name) is not getattr(after, name):
            yield after
            break
    for name in CHILDREN[kind]:
        part, other = getattr(before, name), getattr(after, name)
        if part is other:
            continue
        pairs = zip(part, other, strict=True) if isinstance(other, tuple) else ((part, other),)
        for one, changed in pairs:
            if one is not changed:
                yield from _changed(one, changed)


def _summary(plan: Plan, updated: datetime) -> Summary:
    same: dict[str, Any] = {name: getattr(plan, name) for name in _IN_LISTS}
    state, submitted = plan.state, plan.submitted or updated
    times: dict[str, Any] = {"start": state.start, "end": state.end, "updated": updated}
    return Summary(**same, status=state.status, submitted=submitted, **times)


def to_json(plan: Plan) -> str:
    """A file that shows all of it but secrets."""

    def values(value: Any) -> Json:
        return for_people(encode(value, cipher=None))

    return json.dumps({"format": _FORMAT, **_data(plan, values)}, indent=2) + "\n"


def summary_to_json(summary: Summary) -> str:
    """One line, for programs."""
    return json.dumps(_data(summary, str))


def from_json(text: str) -> Plan:
    """What `to_json` wrote, its requests and responses as JSON; raises `DocumentError`."""
    return _Reader(values=lambda data, *_: data).plan(text, "the file")


def plan_of(stored: Document, registry: Registry | None, cipher: Cipher | None) -> Plan:
    """Raises `DocumentError`. Requests and responses are of their plugin's types; if it is not known, JSON
    without secrets, and so are those of ended actions that do not fit its types any more.
    """

    def values(data: Json, name: str, action: dict[str, Json]) -> Any:
        plugin = None if registry is None else registry.find(action["plugin"])
        if plugin is None:
            return for_people(data)
        expected = plugin.request_type if name == "request" else plugin.response_type
        try:
            return decode(data, expected, cipher=cipher)
        except DocumentError:
            state = action.get("state")
            if not (isinstance(state, dict) and state.get("status") in _ENDED):
                raise
            return for_people(data)

    states = {str(key): state for key, state in stored.states.items()}
    return _Reader(values=values, states=states).plan(stored.definition, f"the plan {stored.summary.id}")


@attrs.frozen(kw_only=True)
class _Reader:
    values: Callable[[Json, str, dict[str, Json]], Any]
    """Reads the request or response of an action, which is given as well."""
    states: Mapping[str, str] = attrs.field(factory=dict)

    def plan(self, text: str, title: str) -> Plan:
        try:
            plan: Plan = self._made(Plan, _parsed(text, "the whole", _FORMAT), ())
        except (DocumentError, RecursionError) as error:
            raise DocumentError(f"{title} is not a plan that this version can read: {error}") from error
        return plan

    def _made(self, kind: Any, data: Json, path: Path, action: Any = None) -> Any:
        if kind in _SCALARS:
            return _scalar(kind, data, path)
        if not isinstance(data, dict):
            raise DocumentError(f"{path_words(path)} is not an object of JSON")
        if kind in CHILDREN and (state := self.states.get(str(data.get("id")))):
            data = {**data, **_parsed(state, f"the state of {path_words(path)}")}
        if unknown := data.keys() - {name for name, *_ in _fields(kind)}:
            raise DocumentError(f"{path_words(path)} has an unknown field {min(unknown)}")
        action = data if kind is Action else action
        given: dict[str, Any] = {}
        for name, one, is_many, is_required in _fields(kind):
            place = (*path, name)
            if name not in data:
                if is_required:
                    raise DocumentError(f"{path_words(place)} is missing")
            elif one is object:
                try:
                    given[name] = self.values(data[name], name, action)
                except DocumentError as error:
                    raise DocumentError(f"{path_words(place)}: {error}") from error
            elif is_many:
                if not isinstance(data[name], list):
                    raise DocumentError(f"{path_words(place)} is not a list of JSON")
                parts = enumerate(data[name])
                given[name] = tuple(self._made(one, part, (*place, index), action) for index, part in parts)
            else:
                given[name] = self._made(one, data[name], place, action)
        return kind(**given)


def _scalar(kind: Any, data: Json, path: Path) -> Any:
    _, read, types = _SCALARS[kind]
    with contextlib.suppress(ValueError, KeyError, OverflowError):
        if type(data) in types:
            return read(data)
    raise DocumentError(f"{path_words(path)}: {json.dumps(data):.80} is not a {kind.__name__}")


def _parsed(text: str, place: str, format_: str | None = None) -> dict[str, Json]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise DocumentError(f"{place} is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise DocumentError(f"{place} is not an object of JSON")
    if (found := data.pop("format", None)) != format_:
        raise DocumentError(f"its format is {json.dumps(found):.80}, not {format_}")
    return data
