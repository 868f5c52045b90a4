"""How Go prints values: its fmt, for what JSON variables and templates have.

Numbers of JSON are float64 there, so 1000000 is 1e+06; numbers that a template itself has are int. What Go
says of mistakes stands in the text, `%!d(string=hi)`; what is not offered of printf is refused.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from paas_pipelines.template.strings import STEP, BoundError, CallError, Work, quote, whole

MOST_DEPTH = 100
"""Of values that are printed, and of what is nested in a template."""

_NIL = "<nil>"
_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:(\.)([0-9]*))?(.?)", re.DOTALL)
_NOT_OFFERED = frozenset("# [*bcopEFGOUX")
"""Values and sizes by number, and flags and letters of printf that no script needs."""


@attrs.frozen
class Verb:
    """What stands between the percent sign and the letter, and the letter."""

    letter: str = "v"
    flags: str = ""
    width: int = 0
    precision: int | None = None

    def padded(self, text: str, *, zeros: bool = True) -> str:
        if "-" in self.flags:
            return text.ljust(self.width)
        return text.zfill(self.width) if zeros and "0" in self.flags else text.rjust(self.width)


PLAIN = Verb()


def of_json(raw: Any) -> Any:
    """A value of the variables, as Go's JSON decoder makes it."""
    if isinstance(raw, str):
        return whole(raw)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return float(str(raw))  # which is infinite where float(raw) is an error
    return raw


_TYPES: Mapping[type, str] = {
    type(None): "nil",
    bool: "bool",
    int: "int",
    float: "float64",
    str: "string",
    Mapping: "map[string]interface {}",
    list: "[]interface {}",
    tuple: "[]interface {}",
}


def go_type(value: Any) -> str:
    for kind, name in _TYPES.items():
        if isinstance(value, kind):
            return name
    raise BoundError(f"a {type(value).__name__} is nothing that JSON has")


def show(work: Work, value: Any, verb: Verb = PLAIN, depth: int = 0) -> str:
    """One value, printed."""
    if depth > MOST_DEPTH:
        raise BoundError(f"a value is nested deeper than {MOST_DEPTH}")
    work.spend(2 * STEP)
    if depth:
        value = of_json(value)
    if verb.letter == "T" and not depth and value is not None:
        return verb.padded(go_type(value))
    if isinstance(value, Mapping):
        items = (
            f"{show(work, key, verb, depth + 1)}:{show(work, value[key], verb, depth + 1)}"
            for key in sorted(value)
        )
        return work.joined(("map[", " ".join(items), "]"))
    if isinstance(value, list | tuple):
        return work.joined(("[", " ".join(show(work, item, verb, depth + 1) for item in value), "]"))
    text = _NIL if depth and value is None else _scalar(value, verb)
    if text is None:
        plain = attrs.evolve(verb, letter="v")
        told = _NIL if value is None else f"{go_type(value)}={show(work, value, plain)}"
        text = f"%!{verb.letter}({told})"
    return work.joined((text,))


def show_all(work: Work, values: Sequence[Any], *, line: bool = False) -> str:
    """As Sprint, with spaces where neither is a string; or as Sprintln."""
    parts: list[str] = []
    for number, value in enumerate(values):
        beside_text = isinstance(value, str) or isinstance(values[number - 1], str)
        parts += (" " if number and (line or not beside_text) else "", show(work, value))
    return work.joined((*parts, "\n" if line else ""))


def formatted(work: Work, pattern: str, values: Sequence[Any]) -> str:
    """As Sprintf; raises `CallError` for what is not offered."""
    at, left = 0, list(values)
    out: list[str] = []
    while (match := _VERB.search(pattern, at)) is not None:
        out.append(pattern[at : match.start()])
        flags, width, dot, precision, letter = match.groups()
        at = match.end()
        if max(len(width), len(precision or "")) > 6:  # Go reads nothing behind such a number
            letter, at = "", len(pattern)
        if not _NOT_OFFERED.isdisjoint(flags + letter) or (letter == "q" and "+" in flags):
            raise CallError(f"{match[0]} is not offered")
        if letter in ("", "%"):
            out.append(letter or "%!(NOVERB)")
        elif not left:
            out.append(f"%!{letter}(MISSING)")
        else:
            verb = Verb(letter, flags, int(width or 0), int(precision or 0) if dot else None)
            work.spend(verb.width + (verb.precision or 0))
            out.append(show(work, left.pop(0), verb))
    out.append(pattern[at:])
    for number, value in enumerate(left):
        kind = "" if value is None else f"{go_type(value)}="
        out.append(f"{', ' if number else '%!(EXTRA '}{kind}{show(work, value)}")
    return work.joined((*out, ")" if left else ""))


def _scalar(value: Any, verb: Verb) -> str | None:
    """None for a letter that does not fit."""
    match value:
        case None:
            return verb.padded(_NIL) if verb.letter in "vT" else None
        case bool():
            return verb.padded(str(value).lower()) if verb.letter in "tv" else None
        case int():
            return _integer(value, verb)
        case float():
            return _float(value, verb)
        case str():
            return _text(value, verb)
    go_type(value)  # raises
    return None


def _integer(value: int, verb: Verb) -> str | None:
    if verb.letter == "q":
        raise CallError("%q of an int is not offered")
    if verb.letter not in "vdx":
        return None
    letter = "x" if verb.letter == "x" else "d"
    return _signed(f"%.{verb.precision or 0}{letter}" % value, verb, zeros=verb.precision is None)


def _float(value: float, verb: Verb) -> str | None:
    if verb.letter == "x":
        raise CallError("%x of a float64, as all numbers of variables are, is not offered")
    if verb.letter not in "vefg":
        return None
    letter = "g" if verb.letter == "v" else verb.letter
    if not math.isfinite(value):
        number = "NaN" if math.isnan(value) else f"{value:+}".title()
    elif letter == "g" and verb.precision is None:
        number = _shortest(value)
    else:
        number = f"%.{6 if verb.precision is None else verb.precision}{letter}" % value
    return _signed(number, verb, zeros=math.isfinite(value))


def _signed(number: str, verb: Verb, *, zeros: bool) -> str:
    plus = "+" in verb.flags and verb.letter != "v" and number[0] not in "+-"
    return verb.padded(f"+{number}" if plus else number, zeros=zeros)


def _shortest(value: float) -> str:
    """The fewest digits that mean just this number; with an exponent below -4 and from 6 on."""
    decimal = Decimal(repr(value)).normalize()
    if value and not -4 <= decimal.adjusted() < 6:
        return f"{value:.{len(decimal.as_tuple().digits) - 1}e}"
    return format(decimal, "f")


def _text(value: str, verb: Verb) -> str | None:
    if verb.letter == "x":
        return verb.padded(value.encode()[: verb.precision].hex())
    value = value[: verb.precision]
    if verb.letter == "q":
        return verb.padded(quote(value))
    return verb.padded(value) if verb.letter in "vs" else None
