"""The form that starts a run: made from a definition's parameters, read back with what is wrong where."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import attrs

from paas_pipelines.api.requests import ScheduleRequest, decoded_schedule_request
from paas_pipelines.definitions.definition import Definition, QueueStrategy
from paas_pipelines.definitions.parameter import (
    Parameter,
    ParameterKind,
    from_text,
    reasons,
    text_of,
    to_text,
)
from paas_runner import foreign_json

FREE = Parameter(name="variables", description="An object of JSON. Empty: none.")
_OURS = "v."
PARTITION = Parameter(name="partition", description="Of the wait list, which keeps each one's place.")


@attrs.frozen(kw_only=True)
class Field:
    """A field as it is shown; `key` is its name in the form."""

    key: str
    parameter: Parameter
    text: str
    wrong: str = ""


def empty_form(definition: Definition) -> Sequence[Field]:
    """Before anybody has filled it in: the defaults."""
    return [_empty(key, parameter) for key, parameter in _parameters(definition)]


def filled_form(
    definition: Definition, given: Mapping[str, str]
) -> tuple[Sequence[Field], ScheduleRequest | None]:
    """As it came back, and what it asks for, unless something of it is wrong."""
    fields, values = _filled(_parameters(definition), given, is_checked=definition.params_are_checked)
    if any(field.wrong for field in fields):
        return fields, None
    partition, free = values.pop(PARTITION.name, ""), values.pop(FREE.name, {})
    variables = free | {key.removeprefix(_OURS): value for key, value in values.items()}
    asked = {"variables": variables, "queuePartition": partition}
    try:
        return fields, decoded_schedule_request(json.dumps(asked).encode())
    except ValueError as error:
        return [attrs.evolve(fields[0], wrong=f"{error}"), *fields[1:]], None


def empty_fields(parameters: Iterable[Parameter]) -> Sequence[Field]:
    """Of any form of parameters that are checked, with the defaults."""
    return [_empty(_OURS + each.name, each) for each in parameters]


def filled_fields(
    parameters: Iterable[Parameter], given: Mapping[str, str]
) -> tuple[Sequence[Field], Mapping[str, Any]]:
    """As they came back, and the values of those that are right."""
    named = ((_OURS + each.name, each) for each in parameters)
    fields, values = _filled(named, given, is_checked=True)
    return fields, {key.removeprefix(_OURS): value for key, value in values.items()}


def _empty(key: str, parameter: Parameter) -> Field:
    text = "" if parameter.default is None else to_text(parameter, parameter.default)
    return Field(key=key, parameter=parameter, text=text)


def _filled(
    parameters: Iterable[tuple[str, Parameter]], given: Mapping[str, str], *, is_checked: bool
) -> tuple[list[Field], dict[str, Any]]:
    fields: list[Field] = []
    values: dict[str, Any] = {}
    for key, parameter in parameters:
        text, wrong = given.get(key, ""), ""
        try:
            values |= _value(key, parameter, text, is_checked=is_checked)
        except ValueError as error:
            wrong = str(error)
        fields.append(Field(key=key, parameter=parameter, text=text, wrong=wrong))
    return fields, values


def _parameters(definition: Definition) -> Iterator[tuple[str, Parameter]]:
    """With the names of their fields."""
    yield from ((_OURS + each.name, each) for each in definition.params)
    if not definition.params and not definition.params_are_checked:
        yield FREE.name, FREE
    if definition.queue_strategy is QueueStrategy.PARTITIONED_REPLACE:
        yield PARTITION.name, PARTITION


def _value(key: str, parameter: Parameter, text: str, *, is_checked: bool) -> Mapping[str, Any]:
    """By its key; nothing for an optional one that is empty. Raises ValueError."""
    if parameter.kind is ParameterKind.BOOLEAN and not parameter.choices:
        return {key: text == "true"}
    if not text.strip():
        if parameter.required:
            raise ValueError("A value is needed.")
        return {}
    if is_checked and key.startswith(_OURS):
        return {key: _checked(parameter, text)}
    if parameter.choices:
        for choice in parameter.choices:
            if text_of(choice) == text:
                return {key: choice}
        raise ValueError("It has to be one of the list.")
    if parameter.kind is ParameterKind.NUMBER:
        return {key: _json(text, int | float, "This is no number, such as 3 or 0.5.")}
    if parameter is FREE:
        return {key: _json(text, dict, 'This is no object of JSON, such as {"version": "1.2"}.')}
    return {key: text}


def _checked(parameter: Parameter, text: str) -> Any:
    try:
        value = from_text(parameter, text)
    except ValueError as error:
        raise ValueError(f"It {error}.") from None
    for reason in reasons(parameter, value):
        raise ValueError(f"It {reason}.")
    return value


def _json(text: str, kind: Any, wrong: str) -> Any:
    try:
        found = foreign_json.loads(text.encode())
    except ValueError as error:
        raise ValueError(f"{wrong} ({error})") from None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ValueError(wrong)
    return found
