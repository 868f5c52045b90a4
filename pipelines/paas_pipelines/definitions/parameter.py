"""A parameter of a pipeline, an action or an approval: what may be given, and what is filled in.

In a mapping `params` it is for start forms alone; in a list of them it is what a run must have
(spec automation.md §3).
"""

import enum
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from paas_pipelines.expressions import patterns
from paas_runner import foreign_json

MOST_BYTES = 64 * 1024
"""Of all values of a start, as JSON."""


class ParameterKind(enum.StrEnum):
    """What the values are, in JSON's words."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    LIST = "list"
    OBJECT = "object"


@attrs.frozen(kw_only=True)
class Parameter:
    """One of them; a key of ours.

    A default has been checked as what is given is.
    """

    name: str
    kind: ParameterKind = ParameterKind.STRING
    label: str = ""
    description: str = ""
    default: Any = None
    choices: tuple[Any, ...] = ()
    """Empty: any value of its kind."""

    required: bool = False
    """Whether a value has to be given."""

    pattern: str | None = None
    """RE2, for the whole of a text."""

    least: float | None = None
    most: float | None = None
    """Bounds of a number, of a text's length, or of the count of a list."""

    @property
    def is_free(self) -> bool:
        """Whether somebody can write into its values what he likes: then they never become a script."""
        if self.kind is ParameterKind.STRING:
            return not self.choices
        return self.kind in (ParameterKind.LIST, ParameterKind.OBJECT)


def variable_of(name: str) -> str:
    """The environment variable that scripts have a parameter by."""
    return f"PARAM_{name.upper()}"


class ParametersError(ValueError):
    """Values that are not as the parameters say: all reasons, in one line."""


def checked(parameters: Iterable[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, with defaults filled in; raises `ParametersError`."""
    known = {parameter.name: parameter for parameter in parameters}
    wrong = [f'param "{name}": is unknown' for name in given if name not in known]
    values: dict[str, Any] = {}
    for name, parameter in known.items():
        if given.get(name) is None:
            if parameter.required:
                wrong.append(f'param "{name}": is required')
            elif parameter.default is not None:
                values[name] = parameter.default
        elif reason := next(reasons(parameter, given[name]), ""):
            wrong.append(f'param "{name}": {reason}')
        else:
            values[name] = given[name]
    if wrong:
        raise ParametersError("; ".join(wrong))
    if len(json.dumps(values, ensure_ascii=False).encode(errors="replace")) > MOST_BYTES:
        raise ParametersError(f"the params have more than {MOST_BYTES} bytes")
    return values


def reasons(parameter: Parameter, value: Any) -> Iterator[str]:
    """Why it cannot have this value, which is JSON's; none if it can."""
    kind = parameter.kind
    if not _is(kind, value):
        yield f"must be {'an' if kind is ParameterKind.OBJECT else 'a'} {kind}"
        return
    if isinstance(value, str) and "\0" in value:
        yield "must have no zero byte"
        return
    if parameter.choices and not any(same(choice, value) for choice in parameter.choices):
        yield f"must be one of {', '.join(map(text_of, parameter.choices))}"
    if parameter.pattern is not None and not patterns.whole(parameter.pattern, str(value)):
        yield f"does not match {parameter.pattern}"
    size, unit = value, ""
    if kind in (ParameterKind.STRING, ParameterKind.LIST):
        size, unit = len(value), " characters" if kind is ParameterKind.STRING else " items"
    what = "have" if unit else "be"
    if parameter.least is not None and size < parameter.least:
        yield f"must {what} at least {parameter.least:g}{unit}"
    if parameter.most is not None and size > parameter.most:
        yield f"must {what} at most {parameter.most:g}{unit}"


def from_text(parameter: Parameter, text: str) -> Any:
    """The value that somebody wrote into a form: a list has one text a line or is JSON, as objects are.

    Raises ValueError with what would be right; whether the value is allowed is not asked.
    """
    if parameter.choices:
        for choice in parameter.choices:
            if text_of(choice) == text:
                return choice
        raise ValueError(f"must be one of {', '.join(map(text_of, parameter.choices))}")
    if parameter.kind is ParameterKind.STRING:
        return text
    if parameter.kind is ParameterKind.LIST and not text.lstrip().startswith("["):
        return [line for line in text.splitlines() if line]
    try:
        value = foreign_json.loads(text.encode())
    except ValueError:
        value = None
    if not _is(parameter.kind, value):
        what = "an object of JSON" if parameter.kind is ParameterKind.OBJECT else f"a {parameter.kind}"
        raise ValueError(f"must be {what}")
    return value


def text_of(value: Any) -> str:
    """A value as people read and write it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def to_text(parameter: Parameter, value: Any) -> str:
    """How a form shows a value, so that `from_text` gives it again."""
    if parameter.kind is not ParameterKind.LIST or parameter.choices:
        return text_of(value)
    is_lines = all(isinstance(item, str) and item.strip() == item != "" for item in value)
    if (
        is_lines
        and not (value and value[0].startswith("["))
        and all(len(item.splitlines()) == 1 for item in value)
    ):
        return "\n".join(value)
    return text_of(value)


def same(one: Any, other: Any) -> bool:
    """As JSON has it: true is not 1, and 1 is 1.0."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _is(kind: ParameterKind, value: Any) -> bool:
    if kind is ParameterKind.NUMBER:
        return isinstance(value, int | float) and not isinstance(value, bool) and _is_finite(value)
    types = {
        ParameterKind.STRING: str,
        ParameterKind.BOOLEAN: bool,
        ParameterKind.LIST: list,
        ParameterKind.OBJECT: dict,
    }
    return isinstance(value, types[kind])


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond all others
        return False
