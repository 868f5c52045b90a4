"""Readers of what the keys of automation have: a wrong type is told as `<key> must be a <type>`."""

import enum
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import yaml

from paas_pipelines.definitions import scalars
from paas_pipelines.definitions.automation import FromCredential
from paas_pipelines.definitions.decoding import (
    Decoder,
    KeyPath,
    LackingError,
    MistakenError,
    Nodes,
    Read,
    one,
)
from paas_pipelines.definitions.scalars import NULL, UnfitError, quoted

_BOOLEAN = "tag:yaml.org,2002:bool"
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MOST_NESTING = 32
_STEPS_OF_AN_EXPRESSION = 50
"""What it costs of all that a file may cost, which bounds how many are compiled."""

VARIABLE = re.compile("[A-Za-z_][A-Za-z0-9_]*")


def must(what: str, read: Read) -> Read:
    """The same reader, with what the value must be as its only complaint."""

    def strictly(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Any:
        try:
            return read(decoder, nodes, at)
        except MistakenError:
            raise
        except UnfitError as error:
            raise MistakenError(f"{at[-1]} must be {what}", node=error.node) from None

    return strictly


def choice(among: type[enum.StrEnum]) -> Read:
    """One of some words."""

    def read(node: yaml.Node) -> enum.StrEnum:
        return scalars.choice(node, among, "word")

    return must(f"one of {', '.join(among)}", one(read))


def mapping(known: Mapping[str, Read]) -> Read:
    """A mapping with these keys and no others."""
    return must("a mapping", lambda decoder, nodes, at: decoder.fields(nodes, at, known, strict=True))


def named(read: Read) -> Read:
    """A mapping of names, each to what is read so."""
    return must("a mapping", lambda decoder, nodes, at: decoder.named(nodes, at, read))


def _texts(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[str, ...]:
    return tuple(map(scalars.name, decoder.items(nodes, at)))


def _one_or_several(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[str, ...]:
    if isinstance(nodes[-1], yaml.ScalarNode):
        return (scalars.name(nodes[-1]),)
    return _texts(decoder, nodes, at)


def _plain(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Any:
    return plain(decoder, nodes[-1], at)


def plain(decoder: Decoder, node: yaml.Node, at: KeyPath, depth: int = 0) -> Any:
    """As JSON would have it; raises `UnfitError`."""
    if depth > _MOST_NESTING:
        raise MistakenError(f"{at[-1]} is nested deeper than {_MOST_NESTING}", node=node)
    if isinstance(node, yaml.SequenceNode):
        return [plain(decoder, item, at, depth + 1) for item in decoder.items([node], at)]
    if isinstance(node, yaml.MappingNode):
        pairs = dict(decoder.pairs([node], at))
        return {key: plain(decoder, value, at, depth + 1) for key, value in pairs.items()}
    if node.tag == NULL:
        return None
    if node.tag == _BOOLEAN:
        return scalars.boolean(node)
    return scalars.number(node) if node.tag in _NUMBERS else scalars.text(node)


def _expression(decoder: Decoder, nodes: Nodes, _at: KeyPath) -> str:
    decoder.take(_STEPS_OF_AN_EXPRESSION)
    return scalars.text(nodes[-1])


def _positive(decoder: Decoder, nodes: Nodes, at: KeyPath) -> timedelta:
    found: timedelta = DURATION(decoder, nodes, at)
    if found <= timedelta():
        raise MistakenError(f"{at[-1]} must be positive", node=nodes[-1])
    return found


def from_credential(decoder: Decoder, nodes: Nodes, at: KeyPath) -> FromCredential:
    """`{from_credential: name}`; raises `MistakenError`."""
    if not isinstance(nodes[-1], yaml.MappingNode):
        raise MistakenError(f"{at[-1]} must be {{from_credential: name}}: no secret stands in this file")
    found = decoder.fields(nodes, at, _CREDENTIAL, strict=True)
    if "from_credential" not in found:
        raise LackingError(f"{at[-1]} must be {{from_credential: name}}")
    return FromCredential(
        name=found["from_credential"], field=found.get("field", ""), as_file=found.get("as") is _As.FILE
    )


def environment(decoder: Decoder, nodes: Nodes, at: KeyPath) -> dict[str, str | FromCredential]:
    """Variables, some of them from credentials; raises `UnfitError`."""
    found = decoder.named(nodes, at, _variable)
    for name in found:
        if not name or "=" in name or "\0" in name:
            raise UnfitError(f"{quoted(name)} cannot be the name of a variable")
    return found


def _variable(decoder: Decoder, nodes: Nodes, at: KeyPath) -> str | FromCredential:
    node = nodes[-1]
    if isinstance(node, yaml.MappingNode) and any(key.value == "from_credential" for key, _ in node.value):
        return from_credential(decoder, nodes, at)
    return scalars.text(node)


def texts_alone(found: Mapping[str, str | FromCredential]) -> dict[str, str]:
    """Of an environment, what is no secret."""
    return {name: value for name, value in found.items() if isinstance(value, str)}


def secrets_alone(found: Mapping[str, str | FromCredential]) -> dict[str, FromCredential]:
    """Of an environment, what comes from credentials."""
    return {name: value for name, value in found.items() if isinstance(value, FromCredential)}


class _As(enum.StrEnum):
    VALUE = "value"
    FILE = "file"


TEXT = must("a text", one(scalars.text))
NAME = must("a text", one(scalars.name))
BOOLEAN = must("true or false", one(scalars.boolean))
COUNT = must("a whole number", one(scalars.integer))
NUMBER = must("a number", one(scalars.number))
DURATION = must("a duration, such as 10m", one(scalars.duration))
POSITIVE: Read = _positive
TEXTS = must("a list of texts", _texts)
ONE_OR_TEXTS = must("a text or a list of texts", _one_or_several)
PLAIN = must("a value of JSON", _plain)
VALUES = named(PLAIN)
TEXTS_BY_NAME = named(TEXT)
EXPRESSION = must("an expression", _expression)
EXPRESSIONS = named(EXPRESSION)
_CREDENTIAL: Mapping[str, Read] = {"from_credential": NAME, "field": NAME, "as": choice(_As)}
