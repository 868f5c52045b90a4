"""The form that starts a run: made from a definition's parameters, read back with what is wrong where."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from paas_pipelines.api.requests import ScheduleRequest, decoded_schedule_request
from paas_pipelines.definitions.definition import Definition, Parameter, ParameterKind, QueueStrategy
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
    return [
        Field(
            key=key, parameter=parameter, text="" if parameter.default is None else text_of(parameter.default)
        )
        for key, parameter in _parameters(definition)
    ]


def filled_form(
    definition: Definition, given: Mapping[str, str]
) -> tuple[Sequence[Field], ScheduleRequest | None]:
    """As it came back, and what it asks for, unless something of it is wrong."""
    fields: list[Field] = []
    values: dict[str, Any] = {}
    for key, parameter in _parameters(definition):
        text, wrong = given.get(key, ""), ""
        try:
            values |= _value(key, parameter, text)
        except ValueError as error:
            wrong = str(error)
        fields.append(Field(key=key, parameter=parameter, text=text, wrong=wrong))
    if any(field.wrong for field in fields):
        return fields, None
    partition, free = values.pop(PARTITION.name, ""), values.pop(FREE.name, {})
    variables = free | {key.removeprefix(_OURS): value for key, value in values.items()}
    asked = {"variables": variables, "queuePartition": partition}
    try:
        return fields, decoded_schedule_request(json.dumps(asked).encode())
    except ValueError as error:
        return [attrs.evolve(fields[0], wrong=f"{error}"), *fields[1:]], None


def _parameters(definition: Definition) -> Iterator[tuple[str, Parameter]]:
    """With the names of their fields."""
    yield from ((_OURS + each.name, each) for each in definition.params)
    if not definition.params:
        yield FREE.name, FREE
    if definition.queue_strategy is QueueStrategy.PARTITIONED_REPLACE:
        yield PARTITION.name, PARTITION


def _value(key: str, parameter: Parameter, text: str) -> Mapping[str, Any]:
    """By its key; nothing for an optional one that is empty. Raises ValueError."""
    if parameter.kind is ParameterKind.BOOLEAN and not parameter.choices:
        return {key: text == "true"}
    if not text.strip():
        if parameter.required:
            raise ValueError("A value is needed.")
        return {}
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


def _json(text: str, kind: Any, wrong: str) -> Any:
    try:
        found = foreign_json.loads(text.encode())
    except ValueError as error:
        raise ValueError(f"{wrong} ({error})") from None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise ValueError(wrong)
    return found


def text_of(value: Any) -> str:
    """A value as people read and write it: texts as they are, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
