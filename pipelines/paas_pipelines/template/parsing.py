"""From a template's text to its tree; what is wrong with it is told in Go's words.

Not offered, and refused: define, template, block, some functions, constants that are characters, hexadecimal
fractions or complex numbers.
"""

import math
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NoReturn

import attrs

from paas_pipelines.template.formatting import MOST_DEPTH
from paas_pipelines.template.functions import FUNCTIONS, NOT_OFFERED
from paas_pipelines.template.strings import TemplateError, quote, unquoted
from paas_runner.plain_text import shortened

NAME = "interpolate"
"""What taskctl calls every template; messages have it."""

KEYWORDS = frozenset(
    {"if", "else", "end", "range", "with", "break", "continue", "define", "template", "block"}
)
OPERANDS = frozenset({"dot", "field", "word", "number", "raw", "string", "variable", "open"})
_WORDS = {"true": True, "false": False, "nil": None}
_LEFT = r"(?:[ \t\r\n]*\{\{-(?=[ \t\r\n])|\{\{)"
_RIGHT = r"(?:[ \t\r\n]+-\}\}[ \t\r\n]*|\}\})"
_TEXT = re.compile(rf"(.*?)(?:({_LEFT}[ \t\r\n]*/\*.*?\*/{_RIGHT})|({_LEFT})|\Z)", re.DOTALL)
_TOKEN = re.compile(
    rf"(?P<right>{_RIGHT})|(?P<space>[ \t\r\n]+)"
    r'|(?P<string>"(?:[^"\\\n]|\\[^\n])*")|(?P<raw>`[^`]*`)'
    r"|(?P<declare>:=)|(?P<assign>=)|(?P<pipe>\|)|(?P<open>\()|(?P<close>\))"
    r"|(?P<number>(?:[+-]|\.?[0-9])[\w.+-]*)|(?P<variable>\$\w*)|(?P<field>\.\w+)|(?P<dot>\.)|(?P<word>\w+)"
    r"|(?P<mark>[!#%&*,/;<>?@\[\\\]^{}~])"
)
_STRAY = {
    "": "unclosed action",
    '"': "unterminated quoted string",
    "`": "unterminated raw quoted string",
    "'": "a character constant is not offered: text stands in double quotes",
    ":": "expected :=",
}


@attrs.frozen
class Token:
    """The kind is a group's name above, a keyword, or one of text, left and eof."""

    kind: str
    text: str
    start: int
    spaced: bool = False


@attrs.frozen
class Node:
    """One piece of a template, of a kind, where it starts, and how it is written there.

    text       what stands outside of actions
    constant   `value`; nil is None
    function   its name is the text
    reference  `names` are fields of `value`: None is the dot, a text is a variable, a node is what it says
    command    `parts` are an operand, or a function and its arguments
    pipe       `parts` are commands, `names` variables that are set; `value` says that they are there already
    list       `parts` are texts, pipes, branches and jumps
    branch     `value` is if, with or range, `parts` are pipes each with its list, and last what is otherwise
    jump       `value` is break or continue
    """

    kind: str
    start: int
    text: str
    value: Any = None
    names: tuple[str, ...] = ()
    parts: "tuple[Node, ...]" = ()


def tokens(text: str) -> Iterator[Token]:
    """All of a template; raises `TemplateError`."""
    position, opened, kind = 0, 0, "right"
    while kind != "eof":
        if kind == "right":
            match = _TEXT.match(text, position)
            before, comment, left = match.groups() if match else ("", None, None)
            if before:
                yield Token("text", before, position)
            position = opened = position + len(before)
            depth, spaced, found = 0, False, left or comment or ""
            kind = "left" if left else "right" if comment else "eof"
            if not comment:
                yield Token(kind, found or "EOF", position)
        else:
            match = _TOKEN.match(text, position)
            kind, found = (match.lastgroup or "", match[0]) if match else ("error", "")
            if wrong := _wrong(text, position, kind, found, depth):
                raise _error(text, opened if wrong.startswith("unclosed") else position, wrong)
            depth += (kind == "open") - (kind == "close")
            if found in KEYWORDS:
                kind = found
            if kind != "space":
                yield Token(kind, found, position, spaced)
            spaced = kind == "space"
        position += len(found)


def _wrong(text: str, position: int, kind: str, found: str, depth: int) -> str:
    """What Go's lexer says of it; empty for a good token."""
    end = position + len(found)
    following = text[end : end + 1]
    if kind == "error":
        code = f"U+{ord(following):04X}" if following else ""
        return _STRAY.get(following, f"unrecognized character in action: {code}")
    if text.startswith("/*", position):
        return "unclosed comment"
    if kind in ("variable", "field", "dot", "word") and following not in " \t\r\n.,|:)(":
        return "" if text.startswith("}}", end) else f"bad character U+{ord(following):04X} '{following}'"
    if kind == "close" and not depth:
        return "unexpected right paren"
    return "unclosed left paren" if kind == "right" and depth else ""


def _error(text: str, position: int, told: str) -> TemplateError:
    line = text.count("\n", 0, position) + 1
    return TemplateError(f"template: {NAME}:{line}: {told}")


def parsed(text: str) -> Node:
    """The list of all; raises `TemplateError`."""
    parser = _Parser(text)
    tree, end = parser.items()
    if end != "eof":
        parser.error(f"unexpected {{{{{end}}}}}")
    return tree


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._next = 0
        self._variables = ["$"]
        self._depth = self._ranges = 0

    def items(self) -> tuple[Node, str]:
        """What stands until EOF, `end` or `else`, and the word of these that it is."""
        found: list[Node] = []
        start = self._peek().start
        while (token := self._take()).kind != "eof":
            if token.kind == "text":
                found.append(Node("text", token.start, token.text))
                continue
            if self._peek().kind in ("end", "else"):
                return Node("list", start, "", parts=tuple(found)), self._take().kind
            found.append(self._action())
        return Node("list", start, "", parts=tuple(found)), "eof"

    def _action(self) -> Node:
        keyword, start = self._peek().kind, self._peek().start
        if keyword in ("if", "with", "range"):
            return self._control(keyword, start)
        if keyword in ("define", "template", "block"):
            self.error(f"{{{{{keyword}}}}} is not offered: a script is one template, without others")
        if keyword in ("break", "continue"):
            self._take()
            self._close(f"{{{{{keyword}}}}}")
            if not self._ranges:
                self.error(f"{{{{{keyword}}}}} outside {{{{range}}}}")
            return Node("jump", start, keyword, keyword)
        return self._pipe("command", "right")

    def _control(self, keyword: str, start: int) -> Node:
        known = len(self._variables)
        self._deeper("max control structure depth exceeded")
        parts: list[Node] = []
        end, arm = "", True
        while arm:
            self._take()
            parts.append(self._pipe(keyword, "right"))
            self._ranges += keyword == "range"
            body, end = self.items()
            self._ranges -= keyword == "range"
            parts.append(body)
            arm = end == "else" and self._peek().kind == keyword != "range"
        self._close(end)
        otherwise = Node("list", start, "")
        if end == "else":
            otherwise, end = self.items()
            self._close(end)
        if end != "end":
            self.error("expected end; found {{else}}")
        self._depth -= 1
        del self._variables[known:]
        return Node("branch", start, keyword, keyword, parts=(*parts, otherwise))

    def _close(self, word: str) -> None:
        """The braces behind it."""
        if word == "eof":
            self.error("unexpected EOF")
        if (token := self._take()).kind != "right":
            self._unexpected(token, word)

    def _pipe(self, context: str, end: str) -> Node:
        start = self._peek().start
        names, sets = self._declared(context)
        commands: list[Node] = []
        while (token := self._peek()).kind != end:
            if token.kind not in OPERANDS:
                self._unexpected(token, context)
            commands.append(self._command())
            first = commands[-1].parts[0]
            if len(commands) > 1 and (first.kind == "constant" or first.text == "."):
                self.error(f"non executable command in pipeline stage {len(commands)}")
        text = self._since(start)
        self._take()
        if not commands:
            self.error(f"missing value for {context}")
        return Node("pipe", start, text, sets == "assign", names, tuple(commands))

    def _declared(self, context: str) -> tuple[tuple[str, ...], str]:
        """The variables that a pipeline sets, and by which sign."""
        names: list[str] = []
        while self._peek().kind == "variable":
            variable, following = self._take(), self._peek()
            if following.kind not in ("assign", "declare") and following.text != ",":
                self._next -= 1
                break
            self._take()
            names.append(variable.text)
            self._variables.append(variable.text)
            if following.kind != "mark":
                return tuple(names), following.kind
            if context != "range" or len(names) > 1:
                self.error(f"too many declarations in {context}")
            if self._peek().kind not in ("variable", "right"):
                self.error("range can only initialize variables")
        return tuple(names), ""

    def _command(self) -> Node:
        start = self._peek().start
        operands = [self._operand()]
        while self._peek().spaced and self._peek().kind in OPERANDS:
            operands.append(self._operand())
        text = self._since(start)
        if self._peek().kind == "pipe":
            self._take()
        elif self._peek().kind not in ("right", "close"):
            self._unexpected(self._peek(), "operand")
        return Node("command", start, text, parts=tuple(operands))

    def _operand(self) -> Node:
        before = self._peek().start
        node = self._term()
        start = self._peek().start
        fields: list[str] = []
        while self._peek().kind == "field" and not self._peek().spaced:
            fields.append(self._take().text[1:])
        if not fields:
            return node
        if node.kind == "constant" or node.text == ".":
            self.error(f"unexpected . after term {quote(node.text)}")
        if node.kind == "reference":
            return attrs.evolve(node, start=start, text=self._since(node.start), names=(*node.names, *fields))
        return Node("reference", start, self._since(before), node, tuple(fields))

    def _term(self) -> Node:
        token = self._take()
        start, text = token.start, token.text
        if token.kind == "open":
            self._deeper("max expression depth exceeded")
            pipe = self._pipe("parenthesized pipeline", "close")
            self._depth -= 1
            return pipe
        if token.kind == "word":
            if text in _WORDS:
                return Node("constant", start, text, _WORDS[text])
            if text not in FUNCTIONS:
                told = "is not offered" if text in NOT_OFFERED else "not defined"
                self.error(f"function {quote(text)} {told}")
            return Node("function", start, text)
        if token.kind == "variable" and text not in self._variables:
            self.error(f"undefined variable {quote(text)}")
        if token.kind in ("variable", "field", "dot"):
            name = text if token.kind == "variable" else None
            return Node("reference", start, text, name, (text[1:],) if token.kind == "field" else ())
        try:
            return Node("constant", start, text, _number(text) if token.kind == "number" else unquoted(text))
        except ValueError as wrong:
            self.error(str(wrong))

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _since(self, start: int) -> str:
        """What is written from there to the token before the next one."""
        last = self._tokens[self._next - 1]
        return self._text[start : last.start + len(last.text)]

    def _deeper(self, told: str) -> None:
        if self._depth >= MOST_DEPTH:
            self.error(told)
        self._depth += 1

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        told = f"unexpected {quote(shortened(token.text, 20))} in {context}"
        raise _error(self._text, token.start, told)

    def error(self, told: str) -> NoReturn:
        """In the line of the token that was taken last."""
        raise _error(self._text, self._tokens[self._next - 1].start, told)


def _number(text: str) -> int | float:
    """An int or a float64 of Go; raises ValueError."""
    with suppress(ValueError):
        whole = int(re.sub("^([+-]?)0(?=[0-9])", r"\g<1>0o", text), 0)
        if -(1 << 63) <= whole < 1 << 63:
            return whole
    with suppress(ValueError):
        number = float(text)
        if math.isfinite(number) and not set(text).isdisjoint(".eE"):
            return number
    raise ValueError(f"illegal number syntax: {quote(text)}")
