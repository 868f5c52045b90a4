"""What a node of YAML means where a value of some type is wanted: by the rules of yaml.v2, prunner's."""

import enum
import json
import re
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import yaml

from paas_pipelines.definitions.durations import parse_duration
from paas_runner.plain_text import short_line

NULL = "tag:yaml.org,2002:null"
_STRING = "tag:yaml.org,2002:str"
_OCTAL = re.compile("^([-+]?0)(?=[0-9])")
_TRUE = frozenset(["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"])
_FALSE = frozenset(["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"])
_LARGEST = 2**63
_MOST_DIGITS = 100
_SHOWN = 40
_QUOTES = "in quotes it is a text: a colon with a blank, or braces, make a mapping"

Choice = TypeVar("Choice", bound=enum.StrEnum)


class UnfitError(Exception):
    """A value that its key cannot have; the text is for the author, as is how it would be right."""

    def __init__(self, text: str, remedy: str = "", node: yaml.Node | None = None) -> None:
        super().__init__(text)
        self.remedy = remedy
        self.node = node
        """That value, where it is one of several of the key."""


def quoted(text: str) -> str:
    """As Go's `%q`."""
    return json.dumps(text, ensure_ascii=False)


def described(node: yaml.Node) -> str:
    """What is there instead of what was expected."""
    is_scalar = isinstance(node, yaml.ScalarNode)
    return quoted(short_line(str(node.value), _SHOWN)) if is_scalar else kind_of(node)


def kind_of(node: yaml.Node) -> str:
    """Without a text itself, which may be a secret where a list or a mapping was expected."""
    if isinstance(node, yaml.ScalarNode):
        return "a text"
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


def text(node: yaml.Node) -> str:
    """Any scalar, as it is written."""
    if not isinstance(node, yaml.ScalarNode):
        remedy = _QUOTES if isinstance(node, yaml.MappingNode) else ""
        raise UnfitError(f"a text was expected, not {described(node)}", remedy, node)
    value = "" if node.tag == NULL else str(node.value)
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise UnfitError("a text must not have characters with the code 0 or halves of characters")
    return value


def name(node: yaml.Node) -> str:
    """A text that is not empty."""
    if not (found := text(node)):
        raise UnfitError("it must not be empty")
    return found


def boolean(node: yaml.Node) -> bool:
    """Written in one of YAML's many ways."""
    if (written := _plain(node)) not in _TRUE | _FALSE:
        raise UnfitError(f"true or false was expected, not {described(node)}")
    return written in _TRUE


def integer(node: yaml.Node) -> int:
    """A number with a fraction, which prunner cuts off, is refused."""
    if (value := _number(node)) is None or value != int(value):
        raise UnfitError(f"a whole number was expected, not {described(node)}")
    return int(value)


def number(node: yaml.Node) -> int | float:
    """With a fraction or without."""
    if (value := _number(node)) is None:
        raise UnfitError(f"a number was expected, not {described(node)}")
    return value


def duration(node: yaml.Node) -> timedelta:
    """In Go's syntax."""
    try:
        return parse_duration(text(node))
    except ValueError as error:
        raise UnfitError(str(error)) from None


def timeout(node: yaml.Node) -> timedelta:
    """A duration that something can take."""
    if (found := duration(node)) <= timedelta():
        raise UnfitError("it must be more than nothing")
    return found


def choice(node: yaml.Node, among: type[Choice], what: str) -> Choice:
    """One of a set of words; the text of the error is prunner's."""
    if (written := text(node)) not in set(among):
        raise UnfitError(f"unknown {what}: {quoted(written)}", f"it is one of {', '.join(among)}")
    return among(written)


def _plain(node: yaml.Node) -> str:
    """What is written without quotes, or with a tag that makes it something else; empty for all else."""
    is_plain = isinstance(node, yaml.ScalarNode) and (not node.style or node.tag != _STRING)
    return str(node.value) if is_plain else ""


def _number(node: yaml.Node) -> int | float | None:
    written = _plain(node).replace("_", "")
    if written.isascii() and len(written) <= _MOST_DIGITS:
        for read in (_whole, float):
            with suppress(ValueError):
                value = read(written)
                return value if abs(value) < _LARGEST else None
    return None


def _whole(written: str) -> int:
    return int(_OCTAL.sub(r"\1o", written), base=0)
