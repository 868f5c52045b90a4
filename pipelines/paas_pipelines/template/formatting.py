"""How Go prints values: its fmt, for what JSON variables and templates have.

Numbers of JSON are float64 there, so 1000000 is 1e+06; numbers that a template itself has are int. `%#v` is
as `%v`, `%b` of a float and `%p` are mistakes. What Go says of mistakes stands in the text: `%!d(string=hi)`.
"""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import attrs

from paas_pipelines.template.strings import STEP, BoundError, Buffer, Work, foreign, octets, quote, whole

MOST_DEPTH = 100
"""Of values that are printed, and of what is nested in a template."""

_NIL = "<nil>"
_BASES = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "o": "0", "O": "0o", "x": "0x", "X": "0X"}


class Byte(int):
    """A uint8: what a string has at an index."""


@attrs.frozen
class Held:
    """A value in Go's `interface {}`, as all those in maps and slices are; it may hold nil."""

    value: Any


@attrs.frozen(kw_only=True)
class Verb:
    """What stands between the percent sign and the letter, and the letter."""

    letter: str = "v"
    flags: str = ""
    width: int = 0
    precision: int | None = None

    def has(self, flag: str) -> bool:
        return flag in self.flags

    def padded(self, text: str, *, zeros: bool = True) -> str:
        missing = self.width - len(text)
        if missing <= 0:
            return text
        if self.has("-"):
            return text + " " * missing
        return ("0" if zeros and self.has("0") else " ") * missing + text


PLAIN = Verb()


def held(raw: Any) -> Held:
    """A value of the variables, as Go's JSON decoder makes it."""
    if isinstance(raw, str):
        return Held(foreign(raw))
    if isinstance(raw, int) and not isinstance(raw, bool):
        try:
            return Held(float(raw))
        except OverflowError:
            return Held(math.inf if raw > 0 else -math.inf)
    return Held(raw)


def bare(value: Any) -> Any:
    """What an interface holds."""
    return value.value if isinstance(value, Held) else value


def go_type(value: Any) -> str:
    match value:
        case Held():
            return "interface {}"
        case bool():
            return "bool"
        case Byte():
            return "uint8"
        case int():
            return "int"
        case float():
            return "float64"
        case str():
            return "string"
        case Mapping():
            return "map[string]interface {}"
        case list() | tuple():
            return "[]interface {}"
    raise BoundError(f"a {type(value).__name__} is nothing that JSON has")


def brief(value: Any) -> str:
    """The value as it stands in a message: its beginning."""
    out = Buffer(Work(10_000), 200)
    try:
        show(out, value)
    except BoundError:
        return out.text()[:100] + "…"
    return whole(out.text()[:200])


def show(out: Buffer, value: Any, verb: Verb = PLAIN, depth: int = 0) -> None:
    """Print one value."""
    if depth > MOST_DEPTH:
        raise BoundError(f"a value is nested deeper than {MOST_DEPTH}")
    out.work.spend(2 * STEP)
    if depth:
        value = held(value).value
    if value is None:
        mistaken = not depth and verb.letter not in "vT"
        out.write(f"%!{verb.letter}({_NIL})" if mistaken else _NIL if depth else verb.padded(_NIL))
    elif verb.letter == "T" and not depth:
        out.write(verb.padded(go_type(value)))
    elif isinstance(value, Mapping):
        out.write("map[")
        for number, key in enumerate(sorted(value)):
            out.write(" " if number else "")
            show(out, key, verb, depth + 1)
            out.write(":")
            show(out, value[key], verb, depth + 1)
        out.write("]")
    elif isinstance(value, list | tuple):
        out.write("[")
        for number, item in enumerate(value):
            out.write(" " if number else "")
            show(out, item, verb, depth + 1)
        out.write("]")
    elif (text := _scalar(value, verb)) is not None:
        out.write(text)
    else:
        out.write(f"%!{verb.letter}({go_type(value)}=")
        show(out, value, attrs.evolve(verb, letter="v"))
        out.write(")")


def show_all(out: Buffer, values: Sequence[Any], *, line: bool = False) -> None:
    """As Sprint, with spaces where neither is a string; or as Sprintln."""
    for number, value in enumerate(values):
        beside_text = isinstance(value, str) or isinstance(values[number - 1], str)
        out.write(" " if number and (line or not beside_text) else "")
        show(out, value)
    out.write("\n" if line else "")


def _scalar(value: Any, verb: Verb) -> str | None:
    """None for a letter that does not fit."""
    match value:
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
    if verb.letter in "cqU":
        code = value if 0 <= value <= 0x10FFFF and not 0xD800 <= value <= 0xDFFF else 0xFFFD
        named = quote(chr(code), "'", only_ascii=verb.has("+"))
        return verb.padded({"c": chr(code), "q": named, "U": f"U+{value:04X}"}[verb.letter])
    if verb.letter not in _BASES:
        return None
    sign = "-" if value < 0 else "+" if verb.has("+") and verb.letter != "v" else " " * verb.has(" ")
    digits = format(abs(value), _BASES[verb.letter])
    if verb.precision is not None:
        digits = "" if verb.precision == 0 == value else digits.rjust(verb.precision, "0")
    elif verb.has("0") and not verb.has("-"):
        digits = digits.rjust(verb.width - len(sign), "0")
    if verb.letter == "O" or (verb.has("#") and verb.letter in _PREFIXES):
        digits = _PREFIXES[verb.letter] + digits.removeprefix("0" if verb.letter == "o" else "")
    return verb.padded(sign + digits, zeros=False)


def _float(value: float, verb: Verb) -> str | None:
    if verb.letter not in "veEfFgGxX":
        return None
    letter = {"v": "g", "F": "f"}.get(verb.letter, verb.letter)
    size = abs(value)
    if not math.isfinite(value):
        number = "NaN" if math.isnan(value) else "Inf"
    elif letter in "xX":
        number = re.sub(r"\.?0*p([+-])(\d+)", lambda m: f"p{m[1]}{int(m[2]):02}", size.hex())
        number = number.upper() if letter == "X" else number
    elif letter in "gG" and verb.precision is None:
        number = _shortest(size) if letter == "g" else _shortest(size).upper()
    else:
        number = f"%.{6 if verb.precision is None else verb.precision}{letter}" % size
    negative = math.copysign(1, value) < 0 and not math.isnan(value)
    plus = (verb.has("+") and verb.letter != "v") or (number == "Inf" and not verb.has(" "))
    sign = "-" if negative else "+" if plus else " " * verb.has(" ")
    if verb.has("0") and not verb.has("-") and math.isfinite(value):
        number = number.rjust(verb.width - len(sign), "0")
    return verb.padded(sign + number, zeros=False)


def _shortest(size: float) -> str:
    """The fewest digits that mean just this number; with an exponent below -4 and from 6 on."""
    decimal = Decimal(repr(size)).normalize()
    digits = decimal.as_tuple().digits
    if size and not -4 <= decimal.adjusted() < 6:
        return f"{size:.{len(digits) - 1}e}"
    return format(decimal, "f")


def _text(value: str, verb: Verb) -> str | None:
    if verb.letter in "xX":
        raw = octets(value)[: verb.precision]
        prefix = f"0{verb.letter}" if verb.has("#") and raw else ""
        digits = raw.hex(" ").replace(" ", f" {prefix}") if verb.has(" ") else raw.hex()
        return verb.padded(prefix + (digits.upper() if verb.letter == "X" else digits))
    value = value[: verb.precision]
    if verb.letter in "vs":
        return verb.padded(value)
    if verb.letter != "q":
        return None
    if verb.has("#") and all(char.isprintable() or char == "\t" for char in value.replace("`", "\n")):
        return verb.padded(f"`{value}`")
    return verb.padded(quote(value, only_ascii=verb.has("+")))
