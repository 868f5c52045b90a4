"""From a template's text to its tree; what is wrong with it is told in Go's words.

Not offered, and refused: define, template, block, `call`, complex numbers.
"""

from collections.abc import Callable, Container, Mapping
from typing import NoReturn, TypeAlias

import attrs

from paas_pipelines.template.formatting import MOST_DEPTH
from paas_pipelines.template.lexing import KEYWORDS, Token, tokens
from paas_pipelines.template.strings import TemplateError, quote, unquoted

OPERANDS = frozenset(
    {"bool", "char", "dot", "field", "word", "number", "nil", "raw", "string", "variable", "open"}
)
ENDS = frozenset({"end", "else"})
NOT_OFFERED = frozenset({"define", "template", "block"})


@attrs.frozen
class Spot:
    """A piece of the template: where it starts, and how it is written there."""

    start: int
    text: str


@attrs.frozen
class Constant(Spot):
    """A number, a string, true, false, or nil."""

    value: int | float | str | None


@attrs.frozen
class Function(Spot):
    """A function's name."""


@attrs.frozen
class Reference(Spot):
    """`.`, `.a.b`, `$x`, `$x.a`, `(…).a` or `f.a`: fields of the dot (None), of a variable or of a value."""

    root: "str | Pipe | Function | None"
    fields: tuple[str, ...] = ()


@attrs.frozen
class Command(Spot):
    """An operand, or a function with its arguments."""

    operands: "tuple[Operand, ...]"


@attrs.frozen
class Pipe(Spot):
    """Commands, each with the value of the one before as its last argument; it may set variables."""

    variables: tuple[str, ...]
    assigns: bool
    commands: tuple[Command, ...]


Operand: TypeAlias = Constant | Function | Reference | Pipe


@attrs.frozen
class Branch:
    """`if`, `with` or `range`; the first two may have several arms, by `else if` and `else with`."""

    keyword: str
    arms: "tuple[tuple[Pipe, Nodes], ...]"
    otherwise: "Nodes" = ()


@attrs.frozen
class Jump:
    """`break` and `continue`; only the parser itself meets `end` and `else`."""

    keyword: str

    def __str__(self) -> str:
        return f"{{{{{self.keyword}}}}}"


Node: TypeAlias = str | Pipe | Branch | Jump
Nodes: TypeAlias = tuple[Node, ...]
"""Text as it is, values that are printed or kept in variables, branches, and jumps."""


def parsed(text: str, name: str, functions: Container[str]) -> Nodes:
    """The tree; raises `TemplateError`."""
    return _Parser(text, name, functions).items(top=True)[0]


class _Parser:
    def __init__(self, text: str, name: str, functions: Container[str]) -> None:
        self._text = text
        self._tokens = list(tokens(text))
        self._next = 0
        self._read = 0  # the last one that was looked at: errors tell its line
        self._name = name
        self._functions = functions
        self._variables = ["$"]
        self._depth = 0
        self._ranges = 0
        self._action_line = 0

    def items(self, *, top: bool = False) -> tuple[Nodes, str]:
        """What stands until EOF, `end` or `else`, and which of these it is."""
        found: list[Node] = []
        while (token := self._take()).kind != "eof":
            if token.kind == "text":
                found.append(token.text)
                continue
            if token.kind != "left":
                self._unexpected(token, "input")
            self._action_line = token.line
            node = self._action()
            self._action_line = 0
            if not isinstance(node, Jump) or node.keyword not in ENDS:
                found.append(node)
            elif top:
                self._error(f"unexpected {node}")
            else:
                return tuple(found), node.keyword
        if not top:
            self._error("unexpected EOF")
        return tuple(found), "eof"

    def _action(self) -> Node:
        keyword = self._peek().kind
        if keyword not in KEYWORDS or keyword == "nil":
            return self._pipe("command", "right")
        self._take()
        if keyword in ("if", "with", "range"):
            return self._control(keyword)
        if keyword in NOT_OFFERED:
            self._error(f"{{{{{keyword}}}}} is not offered: a script is one template, without others")
        if keyword == "else" and self._peek().kind in ("if", "with"):
            return Jump(keyword)
        jump = Jump(keyword)
        if (token := self._take()).kind != "right":
            self._unexpected(token, keyword if keyword in ENDS else str(jump))
        if keyword not in ENDS and not self._ranges:
            self._error(f"{jump} outside {{{{range}}}}")
        return jump

    def _control(self, keyword: str) -> Branch:
        known = len(self._variables)
        self._deeper("max control structure depth exceeded")
        arms: list[tuple[Pipe, Nodes]] = []
        otherwise: Nodes = ()
        while True:
            pipe = self._pipe(keyword, "right")
            self._ranges += keyword == "range"
            body, end = self.items()
            self._ranges -= keyword == "range"
            arms.append((pipe, body))
            if end == "end":
                break
            if keyword != "range" and self._peek().kind == keyword:
                self._take()
                continue
            otherwise, end = self.items()
            if end != "end":
                self._error("expected end; found {{else}}")
            break
        self._depth -= 1
        del self._variables[known:]
        return Branch(keyword, tuple(arms), otherwise)

    def _pipe(self, context: str, end: str) -> Pipe:
        start = self._peek().start
        variables, assigns = self._declared(context)
        commands: list[Command] = []
        while (token := self._peek()).kind != end:
            if token.kind not in OPERANDS:
                self._unexpected(token, context)
            commands.append(self._command())
        text = self._since(start)
        self._take()
        if not commands:
            self._error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], start=2):
            first = command.operands[0]
            if isinstance(first, Constant) or first.text == ".":
                self._error(f"non executable command in pipeline stage {stage}")
        return Pipe(start, text, variables, assigns, tuple(commands))

    def _declared(self, context: str) -> tuple[tuple[str, ...], bool]:
        """The variables that a pipeline sets, and whether they are there already."""
        names: list[str] = []
        while self._peek().kind == "variable":
            variable = self._take()
            following = self._peek()
            if following.kind not in ("assign", "declare") and following.text != ",":
                self._next -= 1
                break
            self._take()
            names.append(variable.text)
            self._variables.append(variable.text)
            if following.kind in ("assign", "declare"):
                return tuple(names), following.kind == "assign"
            if context != "range" or len(names) > 1:
                self._error(f"too many declarations in {context}")
            if self._peek().kind not in ("variable", "right", "close"):
                self._error("range can only initialize variables")
        return tuple(names), False

    def _command(self) -> Command:
        start = self._peek().start
        operands: list[Operand] = []
        while (operand := self._operand()) is not None:
            operands.append(operand)
            if not self._peek().spaced:
                break
        command = Command(start, self._since(start), tuple(operands))
        if self._peek().kind == "pipe":
            self._take()
        elif self._peek().kind not in ("right", "close"):
            self._unexpected(self._peek(), "operand")
        return command

    def _operand(self) -> Operand | None:
        before = self._peek().start
        node = self._term()
        if node is None:
            return None
        start = self._peek().start
        fields: list[str] = []
        while self._peek().kind == "field" and not self._peek().spaced:
            fields.append(self._take().text[1:])
        if not fields:
            return node
        if isinstance(node, Constant) or node.text == ".":
            self._error(f"unexpected . after term {quote(node.text)}")
        if isinstance(node, Reference):
            return Reference(start, self._since(node.start), node.root, (*node.fields, *fields))
        return Reference(start, self._since(before), node, tuple(fields))

    def _term(self) -> Operand | None:
        token = self._peek()
        if token.kind == "error":
            self._unexpected(token, "operand")
        if token.kind not in OPERANDS:
            return None
        self._take()
        start, text = token.start, token.text
        match token.kind:
            case "open":
                self._deeper("max expression depth exceeded")
                pipe = self._pipe("parenthesized pipeline", "close")
                self._depth -= 1
                return pipe
            case "word":
                if text not in self._functions:
                    told = "is not offered" if text == "call" else "not defined"
                    self._error(f"function {quote(text)} {told}")
                return Function(start, text)
            case "variable":
                if text not in self._variables:
                    self._error(f"undefined variable {quote(text)}")
                return Reference(start, text, text)
            case "field" | "dot":
                return Reference(start, text, None, (text[1:],) if text[1:] else ())
        try:
            return Constant(start, text, _CONSTANTS[token.kind](text))
        except ValueError as wrong:
            self._error(str(wrong))

    def _peek(self) -> Token:
        self._read = max(self._read, self._next)
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._peek()
        self._next += token.kind not in ("eof", "error")
        return token

    def _since(self, start: int) -> str:
        """What is written from there to the token before the next one."""
        last = self._tokens[self._next - 1]
        return self._text[start : last.start + len(last.text)]

    def _deeper(self, told: str) -> None:
        if self._depth >= MOST_DEPTH:
            self._error(told)
        self._depth += 1

    def _unexpected(self, token: Token, context: str) -> NoReturn:
        if token.kind != "error":
            self._error(f"unexpected {token} in {context}")
        since = ""
        if self._action_line not in (0, token.line):
            since = "" if token.text.endswith(" action") else " in action"
            since += f" started at {self._name}:{self._action_line}"
        self._error(f"{token}{since}")

    def _error(self, told: str) -> NoReturn:
        raise TemplateError(f"template: {self._name}:{self._tokens[self._read].line}: {told}")


def _character(text: str) -> int:
    if len(meant := unquoted(text)) != 1:
        raise ValueError(f"malformed character constant: {text}")
    return ord(meant)


def _number(text: str) -> int | float:
    """An int or a float64 of Go; raises ValueError."""
    sign, digits = (text[0], text[1:]) if text[0] in "+-" else ("", text)
    octal = digits[:1] == "0" and digits[1:2].isdigit() and digits.replace("_", "").isdigit()
    try:
        value = int(f"{sign}0o{digits[1:]}" if octal else text, 0)
    except ValueError:
        value = None
    if value is not None and -(1 << 63) <= value < 1 << 63:
        return value
    hexadecimal = digits[:2].lower() == "0x"
    try:
        number = float.fromhex(text.replace("_", "")) if hexadecimal else float(text)
    except (ValueError, OverflowError):
        number = float("inf")
    if value is not None or (number != float("inf") and not set(text) & set(".eEpP")):
        raise ValueError(f"integer overflow: {quote(text)}")
    if number in (float("inf"), float("-inf")) or (hexadecimal and "p" not in text.lower()):
        raise ValueError(f"illegal number syntax: {quote(text)}")
    return number


_CONSTANTS: Mapping[str, Callable[[str], int | float | str | None]] = {
    "bool": lambda text: text == "true",
    "nil": lambda _text: None,
    "number": _number,
    "char": _character,
    "string": unquoted,
    "raw": unquoted,
}
