"""`params` as a list: what a run must be given (spec automation.md §3)."""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import attrs
import yaml

from paas_pipelines.definitions import keys, scalars
from paas_pipelines.definitions.decoding import Decoder, KeyPath, MistakenError, Nodes, Read, one
from paas_pipelines.definitions.parameter import Parameter, ParameterKind, reasons
from paas_pipelines.definitions.scalars import UnfitError, quoted
from paas_pipelines.expressions import patterns

_NAME = re.compile("[a-z][A-Za-z0-9_]*")
_SIZED = (ParameterKind.NUMBER, ParameterKind.STRING, ParameterKind.LIST)


def declared(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[Parameter, ...]:
    """Those that are right; what is wrong is noted."""
    found: dict[str, Parameter] = {}
    for number, node in enumerate(decoder.items(nodes, at), start=1):
        values: dict[str, Any] = {}
        here = (*at, str(number))
        try:
            values = decoder.fields([node], here, _KEYS, strict=True)
            parameter = _parameter(decoder, values, here)
            _check_name(parameter.name, found)
            found[parameter.name] = parameter
        except MistakenError as error:
            name = values.get("name", "")
            of = f"param {quoted(name)}" if name else f"param {number}"
            decoder.mistake(here, f"{of}: {error}", node.start_mark.line + 1)
        except UnfitError:
            decoder.mistake(here, f"param {number} must be a mapping", node.start_mark.line + 1)
    return tuple(found.values())


def _parameter(decoder: Decoder, values: dict[str, Any], at: KeyPath) -> Parameter:
    name: str = values.get("name", "")
    if not _NAME.fullmatch(name):
        how = "a small letter, then letters, digits and _"
        raise MistakenError(f"name must be like environment or minCount: {how}")
    kind = values.get("type", ParameterKind.STRING)
    options = tuple(_value(decoder, node, kind, "options", at) for node in values.get("options", ()))
    parameter = Parameter(
        name=name,
        kind=kind,
        label=values.get("label", ""),
        description=values.get("description", ""),
        choices=options,
        required="default" not in values,
        pattern=values.get("pattern"),
        least=values.get("min"),
        most=values.get("max"),
    )
    _check(parameter)
    if "default" not in values:
        return parameter
    default = _value(decoder, values["default"], kind, "default", at)
    for reason in reasons(parameter, default):
        raise MistakenError(f"default {reason}")
    return attrs.evolve(parameter, default=default)


def _check_name(name: str, others: Collection[str]) -> None:
    if name in others:
        raise MistakenError("is declared twice")
    if name.upper() in (other.upper() for other in others):
        raise MistakenError(f"is $PARAM_{name.upper()}, as another is")


def _check(parameter: Parameter) -> None:
    kind = parameter.kind
    if parameter.pattern is not None:
        if kind is not ParameterKind.STRING:
            raise MistakenError(f"pattern is not allowed with type {kind}")
        try:
            patterns.check(parameter.pattern)
        except ValueError as error:
            raise MistakenError(f"pattern {error}") from None
    for key, bound in (("min", parameter.least), ("max", parameter.most)):
        if bound is not None and kind not in _SIZED:
            raise MistakenError(f"{key} is not allowed with type {kind}")
    if parameter.least is not None and parameter.most is not None and parameter.least > parameter.most:
        raise MistakenError("min must not be greater than max")


def _value(decoder: Decoder, node: yaml.Node, kind: ParameterKind, key: str, at: KeyPath) -> Any:
    article = "an" if kind is ParameterKind.OBJECT else "a"
    try:
        if (read := _READ.get(kind)) is not None:
            return read(node)
        value = keys.plain(decoder, node, (*at, key))
    except UnfitError:
        value = None
    if isinstance(value, list if kind is ParameterKind.LIST else dict) and kind not in _READ:
        return value
    raise MistakenError(f"{key} must be {article} {kind}", node=node)


_READ: Mapping[ParameterKind, Callable[[yaml.Node], Any]] = {
    ParameterKind.STRING: scalars.text,
    ParameterKind.NUMBER: scalars.number,
    ParameterKind.BOOLEAN: scalars.boolean,
}
_KEYS: Mapping[str, Read] = {
    "name": keys.NAME,
    "label": keys.TEXT,
    "description": keys.TEXT,
    "type": keys.choice(ParameterKind),
    "default": one(lambda node: node),
    "options": keys.must("a list", Decoder.items),
    "pattern": keys.TEXT,
    "min": keys.NUMBER,
    "max": keys.NUMBER,
}
