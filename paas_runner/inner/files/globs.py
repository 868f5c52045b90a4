"""Patterns for paths as GitLab Runner's library for them (doublestar 4) understands them; pure.

`*` and `?` stay within one component of a path, `**` as a whole component stands for any number of them,
`[a-z]` and `[^a-z]` (or `[!a-z]`) for one character, `{a,b/c}` for one of several texts; a backslash takes
the meaning from the next character.

Why not wcmatch: a pattern has to mean here what it means on GitLab Runner, and what doublestar refuses has to
be refused. For wcmatch `dir/**` is not `dir` itself, `{a}` and a `[` without an end stand for themselves,
`{1..3}` and `[[:alpha:]]` have a meaning. And its expressions go back over a path: a pattern with eight `**`
takes it half a minute on one path of 40 components (12.0.1), which no author's words may cost.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs

ANY_DEPTH: Final = None
Part: TypeAlias = "re.Pattern[str] | str | None"
"""One component of a pattern: an expression, a plain name, or `ANY_DEPTH`."""

_MAGIC = frozenset("*?[{\\")
_MOST_ALTERNATIVES = 1000


class GlobError(ValueError):
    """A text that is no pattern."""


@attrs.frozen
class Glob:
    """A pattern of relative paths."""

    alternatives: tuple[tuple[Part, ...], ...]

    def matches(self, path: str) -> bool:
        """Whether a relative path, with `/` between its components, is one of those meant."""
        names = path.split("/")
        return any(_matched(parts, names) for parts in self.alternatives)


def parse(pattern: str) -> Glob:
    """The pattern in a text; raises `GlobError`."""
    return Glob(tuple(_parts(text) for text in _alternatives(pattern)))


def fixed_part(pattern: str) -> tuple[str, str]:
    """The components at the pattern's beginning in which nothing has a special meaning, and the others."""
    parts = pattern.split("/")
    plain = next((index for index, part in enumerate(parts) if not _MAGIC.isdisjoint(part)), len(parts))
    return "/".join(parts[:plain]), "/".join(parts[plain:])


def escaped(path: str) -> str:
    """The pattern that stands for this path alone."""
    return re.sub(r"([*?\[\]{}\\])", r"\\\1", path)


def fits(part: Part, name: str) -> bool:
    """Whether one component of a pattern stands for this name."""
    if part is ANY_DEPTH:
        return True
    return part == name if isinstance(part, str) else part.fullmatch(name) is not None


def _matched(parts: Sequence[Part], names: Sequence[str]) -> bool:
    """Whether all parts stand for all names, in time that grows with the product of both."""
    reached = {0}  # how many names the parts so far may stand for
    for part in parts:
        if part is ANY_DEPTH:
            reached = set(range(min(reached), len(names) + 1))
        else:
            reached = {count + 1 for count in reached if count < len(names) and fits(part, names[count])}
        if not reached:
            return False
    return len(names) in reached


def _parts(text: str) -> tuple[Part, ...]:
    """The components of a pattern without alternatives; `**` next to `**` says nothing more."""
    parts: list[Part] = []
    for component in text.split("/"):
        part = ANY_DEPTH if component == "**" else _part(component)
        if part is not ANY_DEPTH or not parts or parts[-1] is not ANY_DEPTH:
            parts.append(part)
    return tuple(parts)


def _part(component: str) -> Part:
    """A name, or an expression that never goes back over what a `*` has passed."""
    if _MAGIC.isdisjoint(component):
        return component
    chunks, at = [""], 0
    while at < len(component):
        if component[at] == "*":
            chunks.append("")
            at += 1
        else:
            piece, at = _piece(component, at)
            chunks[-1] += piece
    first, *middle = chunks
    if middle:
        *middle, last = middle
        first += "".join(f"(?>.*?{chunk})" for chunk in middle) + f".*{last}"
    return re.compile(first, re.DOTALL)


def _piece(text: str, at: int) -> tuple[str, int]:
    """The expression for what stands at a position, and the position behind it."""
    if text[at] == "?":
        return ".", at + 1
    if text[at] == "[":
        return _class(text, at + 1)
    character, behind = _character(text, at)
    return re.escape(character), behind


def _class(text: str, at: int) -> tuple[str, int]:
    """A class of characters, from behind its `[`."""
    negated = text[at : at + 1] in ("^", "!")
    at += negated
    ranges = ""
    while text[at : at + 1] != "]" or not ranges:
        if text[at : at + 1] == "]":
            raise GlobError(f"an empty class of characters in `{text}`")
        first, at = _character(text, at)
        last = first
        if text[at : at + 1] == "-" and text[at + 1 : at + 2] not in ("]", ""):
            last, at = _character(text, at + 1)
        if last < first:
            raise GlobError(f"a range from `{first}` back to `{last}` in `{text}`")
        ranges += f"{re.escape(first)}-{re.escape(last)}"
    return f"[^{ranges}]" if negated else f"[{ranges}]", at + 1


def _character(text: str, at: int) -> tuple[str, int]:
    """One character, which a backslash may stand before."""
    at += text[at : at + 1] == "\\"
    if at >= len(text):
        raise GlobError(f"`{text}` ends in the middle")
    return text[at], at + 1


def _alternatives(text: str) -> list[str]:
    """The pattern without braces, once for each combination of what they offer."""
    opening = _outside_classes(text, "{")
    if opening is None:
        if _outside_classes(text, "}") is not None:
            raise GlobError(f"`}}` without `{{` in `{text}`")
        return [text]
    choices, behind = _choices(text, opening + 1)
    found = [
        text[:opening] + middle + end
        for end in _alternatives(text[behind:])
        for choice in choices
        for middle in _alternatives(choice)
    ]
    if len(found) > _MOST_ALTERNATIVES:
        raise GlobError(f"`{text}` stands for more than {_MOST_ALTERNATIVES} patterns")
    return found


def _choices(text: str, start: int) -> tuple[list[str], int]:
    """What stands between braces, cut at their own commas, and the position behind them."""
    choices, depth, at, begin = [], 0, start, start
    while (at := _next(text, at, "{},")) < len(text):
        if text[at] == "{":
            depth += 1
        elif text[at] == "," and depth == 0:
            choices.append(text[begin:at])
            begin = at + 1
        elif text[at] == "}" and depth == 0:
            return [*choices, text[begin:at]], at + 1
        elif text[at] == "}":
            depth -= 1
        at += 1
    raise GlobError(f"`{{` without `}}` in `{text}`")


def _outside_classes(text: str, wanted: str) -> int | None:
    at = _next(text, 0, wanted)
    return at if at < len(text) else None


def _next(text: str, at: int, wanted: str) -> int:
    """The position of the next of the wanted characters that has its special meaning; the end without."""
    while at < len(text) and text[at] not in wanted:
        at = (
            text.find("]", at + 2) + 1 or len(text)
            if text[at] == "["
            else at + (2 if text[at] == "\\" else 1)
        )
    return min(at, len(text))
