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

from paas_pipelines.template.strings import STEP, BoundError, CallError, Work, foreign, octets, quote

MOST_DEPTH = 100
"""Of values that are printed, and of what is nested in a template."""

_NIL = "<nil>"
MOST_WIDTH = 1_000_000
"""Go's own."""

_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:(\.)([0-9]*))?(.?)", re.DOTALL)
_BASES = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
_PREFIXES = {"b": "0b", "o": "0", "O": "0o", "x": "0x", "X": "0X"}


class Byte(int):
    """A uint8: what a string has at an index."""


@attrs.frozen
class Held:
    """A value in Go's `interface {}`, as all those in maps and slices are; it may hold nil."""

    value: Any


@attrs.frozen
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


_TYPES: Mapping[type, str] = {
    Held: "interface {}",
    bool: "bool",
    Byte: "uint8",
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


def brief(value: Any) -> str:
    """The value as it stands in a message: its beginning."""
    try:
        text = show(Work(100 * STEP), value)
    except BoundError:
        text = go_type(value)
    return text if len(text) <= 100 else text[:100] + "…"


def show(work: Work, value: Any, verb: Verb = PLAIN, depth: int = 0) -> str:
    """One value, printed."""
    if depth > MOST_DEPTH:
        raise BoundError(f"a value is nested deeper than {MOST_DEPTH}")
    work.spend(2 * STEP)
    if depth:
        value = held(value).value
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
        told = (
            _NIL if value is None else f"{go_type(value)}={show(work, value, attrs.evolve(verb, letter='v'))}"
        )
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
    """As Sprintf; raises `CallError` for what is not offered: values by number, and sizes that are values."""
    at, left = 0, list(values)
    out: list[str] = []
    while (match := _VERB.search(pattern, at)) is not None:
        out.append(pattern[at : match.start()])
        flags, width, dot, precision, letter = match.groups()
        at = match.end()
        sizes = [int(size) if size and len(size) < 8 else 0 for size in (width, precision)]
        if max(sizes) > MOST_WIDTH or max(len(width), len(precision or "")) > 7:
            letter, at = "", len(pattern)  # as Go, which reads nothing behind such a number
        if letter and letter in "[*":
            raise CallError(f"%{letter} is not offered: values and sizes stand in their places")
        if letter in ("", "%"):
            out.append(letter or "%!(NOVERB)")
        elif not left:
            out.append(f"%!{letter}(MISSING)")
        else:
            work.spend(sum(sizes))
            out.append(show(work, left.pop(0), Verb(letter, flags, sizes[0], sizes[1] if dot else None)))
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
