"""Expressions (automation.md §4): compiled once with the names that there are, computed in bounded time.

Names are flat, with dots. CEL never sees them: each is a variable `v0`, `v1` … of its kind, so that no word
of CEL and no part of a name is in the way. Every expression is compiled twice: for what is wrong in it and
the kind of its result, and for computing.
"""

import functools
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

from paas_pipelines.expressions import library, patterns
from paas_pipelines.expressions.extra import MissingExtraError
from paas_pipelines.expressions.lexing import MACROS, OPERATORS, WORDS, ExpressionError, Token, tokens
from paas_pipelines.expressions.library import Kind, LibraryError, Program
from paas_pipelines.expressions.size import BOUND, measured
from paas_runner.plain_text import did_you_mean

__all__ = ["Expression", "ExpressionError", "Kind", "compiled"]

_WHOLE = re.compile(r"[0-9]+(?:\.0+)?")
_VARIABLE = re.compile(r"\bv(\d+)\b")


@attrs.frozen
class _Piece:
    """A token, or a whole name, which is then a variable."""

    text: str
    start: int
    is_name: bool = False
    is_count: bool = False
    """A whole number, which is compared with others that are written with a fraction."""


@attrs.frozen(eq=False, kw_only=True)
class Expression:
    """A source that has been understood."""

    source: str
    kind: Kind
    order: tuple[str, ...]
    """The names that it uses, each once."""

    program: Program = attrs.field(repr=False)
    operations: int = attrs.field(repr=False)
    nested: int = attrs.field(repr=False)
    """How many `exists` and `all` it has."""

    @property
    def names(self) -> frozenset[str]:
        """Those of the given ones that it uses."""
        return frozenset(self.order)

    def value(self, data: Mapping[str, Any]) -> Any:
        """Computed from values by their names; raises `ExpressionError`.

        A name without a value is an error only where it decides: `false && x` is false.
        """
        given = {f"v{number}": data[name] for number, name in enumerate(self.order) if name in data}
        try:
            effort = measured(given.values()).effort(self.nested) * self.operations
            if self.nested and effort > BOUND:
                raise ExpressionError("there is too much to look at with exists and all")
            return library.computed(self.program, given)
        except LibraryError as error:
            raise ExpressionError(_with_names(str(error), self.order)) from None

    def holds(self, data: Mapping[str, Any]) -> bool:
        """Whether it is true; raises `ExpressionError`, also for a value that is neither true nor false."""
        value = self.value(data)
        if not isinstance(value, bool):
            raise ExpressionError("its value is neither true nor false")
        return value


def compiled(source: str, names: Mapping[str, Kind]) -> Expression:
    """Raises `ExpressionError` with the column of what is wrong."""
    found = _tokens(source)
    pieces = tuple(_pieces(found, names))
    order = tuple(dict.fromkeys(piece.text for piece in pieces if piece.is_name))
    try:
        return _compiled(source, pieces, order, tuple(names[name] for name in order))
    except MissingExtraError as error:
        raise ExpressionError(str(error)) from None


@functools.lru_cache(maxsize=1024)
def _tokens(source: str) -> Sequence[Token]:
    return tokens(source)


@functools.lru_cache(maxsize=1024)
def _compiled(
    source: str, pieces: tuple[_Piece, ...], order: tuple[str, ...], kinds: tuple[Kind, ...]
) -> Expression:
    """Of the names only those that are used matter."""
    found = _tokens(source)
    kind = library.kind_of(_program(pieces, order, kinds, checks=True))
    _check_patterns(found)
    return Expression(
        source=source,
        kind=kind,
        order=order,
        program=_program(pieces, order, kinds, checks=False),
        operations=1 + sum(token.text in OPERATORS for token in found),
        nested=sum(token.text in MACROS for token in found),
    )


def _pieces(found: Sequence[Token], kinds: Mapping[str, Kind]) -> Iterator[_Piece]:
    bound = _bound(found, kinds)
    at = 0
    while at < len(found):
        token = found[at]
        after_dot = at > 0 and found[at - 1].text == "."
        is_call = at + 1 < len(found) and found[at + 1].text == "("
        if token.kind != "word" or token.text in WORDS or token.text in bound or after_dot or is_call:
            is_count = token.kind == "number" and _WHOLE.fullmatch(token.text) is not None
            text = token.text.split(".")[0] if is_count else token.text
            yield _Piece(text, token.start, is_count=is_count)
            at += 1
        else:
            name = _name(_path(found, at), kinds, token.column)
            yield _Piece(name, token.start, is_name=True)
            at += 2 * name.count(".") + 1


def _bound(found: Sequence[Token], kinds: Mapping[str, Kind]) -> set[str]:
    """The variables of `exists` and `all`, none of which may hide a name."""
    roots = {name.split(".")[0] for name in kinds}
    bound = set()
    for number, token in enumerate(found[:-2]):
        if token.text in MACROS and found[number + 1].text == "(":
            variable = found[number + 2]
            if variable.text in roots:
                raise ExpressionError(f'"{variable.text}" is a name already', variable.column)
            bound.add(variable.text)
    return bound


def _path(found: Sequence[Token], at: int) -> list[str]:
    path = [found[at].text]
    while at + 2 < len(found) and found[at + 1].text == "." and found[at + 2].kind == "word":
        at += 2
        path.append(found[at].text)
    return path


def _name(path: Sequence[str], kinds: Mapping[str, Kind], column: int) -> str:
    """The longest beginning that is one."""
    for end in range(len(path), 0, -1):
        if (name := ".".join(path[:end])) in kinds:
            return name
    count = max((name.count(".") + 1 for name in kinds if name.split(".")[0] == path[0]), default=len(path))
    written = ".".join(path[:count])
    hint = did_you_mean(written, kinds).replace("`", '"')
    raise ExpressionError(f'unknown name "{written}"' + (f", {hint}" if hint else ""), column)


def _check_patterns(found: Sequence[Token]) -> None:
    for number, token in enumerate(found[:-2]):
        if token.text == "matches" and found[number + 1].text == "(":
            written = found[number + 2]
            program = _program([_Piece(written.text, written.start)], (), (), checks=False)
            try:
                patterns.check(str(library.computed(program, {})))
            except ValueError as error:
                raise ExpressionError(str(error), written.column) from None


def _program(
    pieces: Sequence[_Piece], order: Sequence[str], kinds: tuple[Kind, ...], *, checks: bool
) -> Program:
    source, places = "", []
    for piece in pieces:
        places.append(len(source))
        source += f"v{order.index(piece.text)}" if piece.is_name else piece.text
        source += ".0" * (checks and piece.is_count) + " " * (piece.text != "-")
    try:
        return library.program(source, kinds, checks=checks)
    except LibraryError as error:
        column = error.column
        if column is not None:
            last = pieces[bisect_right(places, column - 1) - 1]
            column = last.start + 1 + len(last.text) * (column > len(source.rstrip()))
        raise ExpressionError(_with_names(str(error), order), column) from None


def _with_names(text: str, order: Sequence[str]) -> str:
    def name(variable: re.Match[str]) -> str:
        number = int(variable[1])
        return order[number] if number < len(order) else variable[0]

    return _VARIABLE.sub(name, text)
