"""The subset of CEL that is a language here: its tokens, and what is refused before CEL sees it.

No arithmetic, no mappings, no time, no way to build a longer text: what has no token does not exist.
"""

import re
from collections.abc import Sequence

import attrs

MOST_BYTES = 2048
MOST_NESTING = 32
FUNCTIONS = frozenset(["size", "startsWith", "endsWith", "contains", "matches", "string", "int", "double"])
MACROS = frozenset(["exists", "all"])
WORDS = frozenset(["true", "false", "null", "in"])
OPERATORS = frozenset(["==", "!=", "<", "<=", ">", ">=", "&&", "||", "in", *FUNCTIONS, *MACROS])

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
    | (?P<text>r?(?:"(?!"")|'(?!''))) # its rest is looked for by itself
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_]))
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>==|!=|<=|>=|&&|\|\||[<>!?:.,()\[\]-])
    """,
    re.VERBOSE,
)
_SEGMENT = re.compile("[A-Za-z0-9_]+")
_REST = {
    ('"', False): re.compile(r'(?:[^"\\\r\n]|\\[^\r\n])*"'),
    ("'", False): re.compile(r"(?:[^'\\\r\n]|\\[^\r\n])*'"),
    ('"', True): re.compile(r'[^"\r\n]*"'),
    ("'", True): re.compile(r"[^'\r\n]*'"),
}
_NO_OPERAND_BEFORE = frozenset(["", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in", "!", "?", ":"]) | {
    *",([",
}


class ExpressionError(ValueError):
    """What is wrong with an expression, or with what it was to be computed from."""

    def __init__(self, text: str, column: int | None = None) -> None:
        super().__init__(text)
        self.column = column
        """From 1 on, where the source itself is wrong."""


@attrs.frozen
class Token:
    """A piece of the source that is no blank; `start` counts from 0."""

    kind: str
    """text, number, word (segments after a dot, too) or sign."""

    text: str
    start: int

    @property
    def column(self) -> int:
        """As people count."""
        return self.start + 1


def tokens(source: str) -> Sequence[Token]:
    """All of them; raises `ExpressionError` for what is not of the subset."""
    if len(source.encode(errors="replace")) > MOST_BYTES:
        raise ExpressionError(f"an expression has at most {MOST_BYTES} bytes")
    found: list[Token] = []
    at = 0
    while at < len(source):
        token = _next(source, at, found[-1] if found else None)
        at = token.start + len(token.text)
        if token.kind != "blank":
            found.append(token)
    if not found:
        raise ExpressionError("an expression must not be empty", 1)
    _check(found)
    return found


def _next(source: str, at: int, before: Token | None) -> Token:
    if before and before.text == "." and (segment := _SEGMENT.match(source, at)):
        return Token("word", segment[0], at)
    match = _TOKEN.match(source, at)
    if match is None or match.lastgroup is None:
        raise ExpressionError(_strange(source, at), at + 1)
    if match.lastgroup != "text":
        return Token(match.lastgroup, match[0], at)
    rest = _REST[match[0][-1], len(match[0]) > 1].match(source, match.end())
    if rest is None:
        raise ExpressionError("a text that does not end", at + 1)
    return Token("text", match[0] + rest[0], at)


def _strange(source: str, at: int) -> str:
    found = source[at]
    if found in "+*/%":
        return f'"{found}" is not there: expressions do not calculate'
    if found in "{}":
        return "mappings are not there"
    if found == "=":
        return 'to compare is "=="'
    if found in "&|":
        return f'"{found}" is not there: and is "&&", or is "||"'
    return f'"{found}" cannot be understood here' if found.isprintable() else "a character without a sight"


def _check(found: Sequence[Token]) -> None:
    depth = 0
    before = Token("sign", "", 0)
    for number, token in enumerate(found):
        follows = found[number + 1].text if number + 1 < len(found) else ""
        if token.kind == "sign":
            depth += (token.text in "([") - (token.text in ")]")
            if depth > MOST_NESTING:
                raise ExpressionError(f"nested deeper than {MOST_NESTING}", token.column)
            if token.text == "-":
                _check_minus(token, before, found[number + 1 : number + 2])
        elif token.kind == "word" and follows == "(":
            _check_call(token, before.text == ".", found[number + 2 : number + 4])
        before = token


def _check_minus(token: Token, before: Token, after: Sequence[Token]) -> None:
    """Only as the sign of a number that follows at once."""
    is_number = bool(after) and after[0].kind == "number" and after[0].start == token.start + 1
    if before.kind == "text" or before.text not in _NO_OPERAND_BEFORE or not is_number:
        raise ExpressionError('"-" is not there: expressions do not calculate', token.column)


def _check_call(token: Token, is_method: bool, arguments: Sequence[Token]) -> None:
    name = token.text
    if name not in FUNCTIONS | MACROS | {"has", "in"}:
        allowed = ", ".join(sorted(FUNCTIONS | MACROS | {"has"}))
        raise ExpressionError(f'"{name}" is no function here: there are {allowed}', token.column)
    if name == "matches" and not (
        is_method and [each.kind for each in arguments] == ["text", "sign"] and arguments[1].text == ")"
    ):
        raise ExpressionError('matches is written text.matches("pattern"), with a fixed one', token.column)
