"""The text of a regular expression into its parts: what RE2 and Ruby share and pipelines use.

Groups, alternatives, classes, repetitions, anchors, `(?i)`; no look-around and no reference back, which RE2
does not have either.
"""

import re
import string
from collections.abc import Sequence
from typing import TypeAlias

import attrs

MOST_CHARACTERS = 1000
MOST_LEVELS = 40
MOST_REPEATS = 1000  # as in RE2
_WORD = frozenset(string.ascii_letters + string.digits + "_")
_CLASSES = {
    "d": (("0", "9"),),
    "w": (("a", "z"), ("A", "Z"), ("0", "9"), ("_", "_")),
    "s": (("\t", "\n"), ("\f", "\r"), (" ", " ")),
}
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_COUNT = re.compile(r"\{([0-9]{1,4})(,([0-9]{0,4}))?\}")
_FLAGS = re.compile(r"\(\?([ismU]+)\)")
_GROUP = re.compile(r"\((?:\?:|\?P?<[A-Za-z_][A-Za-z0-9_]*>)?(?!\?)")
_HEX = re.compile(r"x([0-9A-Fa-f]{2})")


class PatternError(ValueError):
    """A pattern that is wrong, too large, or not understood."""


@attrs.frozen
class CharSet:
    """Which characters fit."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False

    def has(self, variants: Sequence[str]) -> bool:
        """Whether a character fits, given with its other cases where those count."""
        return any(low <= char <= high for char in variants for low, high in self.ranges) != self.negated


@attrs.frozen
class Anchor:
    """A kind of position: `^`, `$`, `A`, `z`, `b` or `B`; with `lines` the first two hold at each line."""

    kind: str
    lines: bool

    def holds(self, text: str, position: int) -> bool:
        """Whether the position before the character with this number is of the kind."""
        before, after = text[max(position - 1, 0) : position], text[position : position + 1]
        match self.kind:
            case "^" | "A":
                return not before or (self.lines and self.kind == "^" and before == "\n")
            case "$" | "z":
                return not after or (self.lines and self.kind == "$" and after == "\n")
            case _:
                return ((before in _WORD) != (after in _WORD)) == (self.kind == "b")


@attrs.frozen
class Chain:
    """One after the other."""

    parts: tuple["Part", ...]


@attrs.frozen
class Alternatives:
    """Any of them."""

    branches: tuple["Part", ...]


@attrs.frozen
class Repeat:
    """So often; without `most` any number of times."""

    part: "Part"
    least: int
    most: int | None


Part: TypeAlias = CharSet | Anchor | Chain | Alternatives | Repeat


def parsed(source: str, flags: frozenset[str]) -> tuple[Part, frozenset[str]]:
    """The pattern and its flags, with those written at its beginning; raises `PatternError`."""
    if len(source) > MOST_CHARACTERS:
        raise PatternError(f"it has more than {MOST_CHARACTERS} characters")
    if written := _FLAGS.match(source):
        flags |= set(written[1])
        source = source[written.end() :]
    parser = _Parser(source, flags)
    part = parser.alternatives(0)
    if parser.rest:
        raise PatternError("a parenthesis is closed that was not opened")
    return part, flags


class _Parser:
    def __init__(self, source: str, flags: frozenset[str]) -> None:
        self.rest = source
        self._flags = flags

    def alternatives(self, level: int) -> Part:
        """Up to a closing parenthesis, or the end."""
        if level > MOST_LEVELS:
            raise PatternError("its groups are nested too deeply")
        branches = [self._chain(level)]
        while self.rest.startswith("|"):
            self.rest = self.rest[1:]
            branches.append(self._chain(level))
        return branches[0] if len(branches) == 1 else Alternatives(tuple(branches))

    def _chain(self, level: int) -> Part:
        parts: list[Part] = []
        while self.rest and self.rest[0] not in "|)":
            parts.append(self._repeated(self._atom(level)))
        return Chain(tuple(parts))

    def _repeated(self, part: Part) -> Part:
        sign = self.rest[:1]
        if sign and sign in "*+?":
            self.rest = self.rest[1:]
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        elif count := _COUNT.match(self.rest):
            self.rest = self.rest[count.end() :]
            least = int(count[1])
            most = least if count[2] is None else int(count[3]) if count[3] else None
        else:
            return part
        if max(least, most or 0) > MOST_REPEATS or (most is not None and most < least):
            raise PatternError("a part is repeated too often, or less than never")
        self.rest = self.rest.removeprefix("?")  # lazy: the same is found
        if self.rest[:1] in ("*", "+", "?") or _COUNT.match(self.rest):
            raise PatternError("a repetition is repeated")
        return Repeat(part, least, most)

    def _atom(self, level: int) -> Part:
        char = self.rest[0]
        match char:
            case "(":
                return self._group(level)
            case "[":
                self.rest = self.rest[1:]
                return self._class()
            case "*" | "+" | "?":
                raise PatternError("there is nothing to repeat")
        self.rest = self.rest[1:]
        match char:
            case ".":
                return (
                    CharSet((), negated=True)
                    if "s" in self._flags
                    else CharSet((("\n", "\n"),), negated=True)
                )
            case "^" | "$":
                return Anchor(char, "m" in self._flags)
            case "\\":
                return self._escaped()
            case _:
                return CharSet(((char, char),))

    def _group(self, level: int) -> Part:
        opening = _GROUP.match(self.rest)
        if opening is None:
            raise PatternError("a group of this kind is not understood")
        self.rest = self.rest[opening.end() :]
        part = self.alternatives(level + 1)
        if not self.rest.startswith(")"):
            raise PatternError("a parenthesis is not closed")
        self.rest = self.rest[1:]
        return part

    def _escaped(self) -> Part:
        """What follows a backslash."""
        if self.rest[:1] in ("A", "z", "b", "B"):
            kind, self.rest = self.rest[0], self.rest[1:]
            return Anchor(kind, lines=False)
        if (name := self.rest[:1].lower()) in _CLASSES:
            negated, self.rest = self.rest[0].isupper(), self.rest[1:]
            return CharSet(_CLASSES[name], negated)
        char = self._literal()
        return CharSet(((char, char),))

    def _literal(self) -> str:
        """The character that an escape stands for."""
        if code := _HEX.match(self.rest):
            self.rest = self.rest[code.end() :]
            return chr(int(code[1], 16))
        char, self.rest = self.rest[:1], self.rest[1:]
        if not char or (char.isalnum() and char not in _CONTROLS):
            raise PatternError(f"the escape `\\{char}` is not understood")
        return _CONTROLS.get(char, char)

    def _class(self) -> CharSet:
        """What follows an opening bracket."""
        negated = self.rest.startswith("^")
        self.rest = self.rest.removeprefix("^")
        ranges: list[tuple[str, str]] = []
        while not self.rest.startswith("]") or not ranges:
            if self.rest.startswith(("[:", "&&")):
                raise PatternError("a class within a class is not understood")
            if self.rest[:1] == "\\" and self.rest[1:2] in _CLASSES:
                ranges.extend(_CLASSES[self.rest[1]])
                self.rest = self.rest[2:]
                continue
            low = high = self._class_char()
            if self.rest.startswith("-") and self.rest[1:2] not in ("", "]"):
                self.rest = self.rest[1:]
                high = self._class_char()
                if high < low:
                    raise PatternError("a range ends before it begins")
            ranges.append((low, high))
        self.rest = self.rest[1:]
        return CharSet(tuple(ranges), negated)

    def _class_char(self) -> str:
        if not self.rest:
            raise PatternError("a bracket is not closed")
        char, self.rest = self.rest[0], self.rest[1:]
        return self._literal() if char == "\\" else char
