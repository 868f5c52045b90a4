"""Rendering a template with the variables of a run, which nobody trusts.

Promises: no more than a million characters, a bounded number of steps and a bounded depth; nothing of a
value is ever looked at but a mapping's keys, a list's items, and what a scalar is; values are not rendered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import attrs

from paas_pipelines.template import parsing, strings
from paas_pipelines.template.formatting import bare, brief, go_type, held, show
from paas_pipelines.template.functions import FUNCTIONS, truth
from paas_pipelines.template.parsing import Branch, Constant, Function, Jump, Pipe, Reference
from paas_pipelines.template.strings import BoundError, CallError, TemplateError, Work

_NIL = "cannot assign nil to string"
NAME = "interpolate"
"""What taskctl calls every template; messages have it."""

MISSING = object()
"""The last argument of a command that gets none from a pipeline."""


@attrs.frozen
class Template:
    """A parsed template, for any number of renderings."""

    text: str
    name: str
    nodes: parsing.Nodes

    @classmethod
    def parse(cls, text: str, *, name: str = NAME) -> "Template":
        """Raises `TemplateError`."""
        text = strings.foreign(text)
        return cls(text, name, parsing.parsed(text, name, FUNCTIONS))

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text with the variables in it; raises `TemplateError`."""
        return _Rendering(self, variables).rendered()


class _Rendering:
    def __init__(self, template: Template, variables: Mapping[str, Any]) -> None:
        self._template = template
        self._data = variables
        self._work = Work()
        self._out: list[str] = []
        self._length = 0
        self._variables: list[tuple[str, Any]] = [("$", variables)]
        self._node: parsing.Spot | None = None  # where it is, for messages

    def rendered(self) -> str:
        try:
            self._walk(self._data, self._template.nodes)
        except BoundError as bound:
            self._fail(str(bound))
        return strings.whole("".join(self._out))

    def _walk(self, dot: Any, nodes: parsing.Nodes) -> Jump | None:
        for node in nodes:
            self._work.spend(strings.STEP)
            match node:
                case str():
                    self._write(node)
                case Pipe():
                    value = self._pipe(dot, node)
                    if not node.variables:
                        self._node = node
                        self._write(show(self._work, "<no value>" if value is None else bare(value)))
                case Branch():
                    known = len(self._variables)
                    walk = self._range if node.keyword == "range" else self._choice
                    jump = walk(dot, node)
                    del self._variables[known:]
                    if jump:
                        return jump
                case Jump():
                    return node
        return None

    def _write(self, text: str) -> None:
        self._length += len(text)
        self._out.append(text)
        if self._length > strings.MOST_CHARACTERS:
            raise BoundError(f"text is longer than {strings.MOST_CHARACTERS} characters")

    def _choice(self, dot: Any, branch: Branch) -> Jump | None:
        for pipe, body in branch.arms:
            value = self._pipe(dot, pipe)
            if truth(value):
                return self._walk(value if branch.keyword == "with" else dot, body)
        return self._walk(dot, branch.otherwise)

    def _range(self, dot: Any, branch: Branch) -> Jump | None:
        ((pipe, body),) = branch.arms
        value = self._pipe(dot, pipe)
        known = len(self._variables)
        ran = False
        for index, item in self._items(value, pipe):
            ran = True
            self._work.spend(strings.STEP)
            both = (index, item) if len(pipe.variables) > 1 else (item,)
            for number, (name, one) in enumerate(zip(pipe.variables, both, strict=False)):
                if pipe.assigns:
                    self._assign(name, one)
                else:
                    self._variables[known - len(pipe.variables) + number] = (name, one)
            jump = self._walk(item, body)
            del self._variables[known:]
            if jump and jump.keyword == "break":
                break
        return None if ran else self._walk(dot, branch.otherwise)

    def _items(self, value: Any, pipe: Pipe) -> Iterable[tuple[Any, Any]]:
        if value is None:
            return ()
        if isinstance(value, list | tuple):
            return ((index, held(item)) for index, item in enumerate(value))
        if isinstance(value, Mapping):
            self._work.spend(len(value))
            return ((strings.foreign(key), held(value[key])) for key in sorted(value))
        if not isinstance(value, int) or isinstance(value, bool):
            self._fail(f"range can't iterate over {brief(value)}")
        if len(pipe.variables) > 1:
            self._fail(f"can't use {value} to iterate over more than one variable")
        return ((None, number) for number in range(value))

    def _pipe(self, dot: Any, pipe: Pipe) -> Any:
        self._node = pipe
        value: Any = MISSING
        for command in pipe.commands:
            value = bare(self._command(dot, command, value))
        for name in pipe.variables:
            if pipe.assigns:
                self._assign(name, value)
            else:
                self._variables.append((name, value))
        return value

    def _command(self, dot: Any, command: parsing.Command, final: Any) -> Any:
        first, *arguments = command.operands
        given = bool(arguments) or final is not MISSING
        match first:
            case Function():
                return self._call(dot, first, command, arguments, final)
            case Reference():
                self._node = first
                return self._reference(dot, first, given=given)
            case Constant():
                self._node = first
        if given:
            self._fail(f"can't give argument to non-function {first.text}")
        if isinstance(first, Pipe):
            return self._pipe(dot, first)
        if first.value is None:
            self._fail("nil is not a command")
        return first.value

    def _argument(self, dot: Any, node: parsing.Operand) -> Any:
        self._work.spend(strings.STEP)
        self._node = node
        match node:
            case Constant():
                return node.value
            case Reference():
                return self._reference(dot, node, given=False)
            case Pipe():
                return self._pipe(dot, node)
            case Function():
                return self._call(dot, node, node, (), MISSING)

    def _reference(self, dot: Any, node: Reference, *, given: bool) -> Any:
        match node.root:
            case None:
                value = dot
            case str():
                value = next((one for name, one in reversed(self._variables) if name == node.root), MISSING)
                if value is MISSING:
                    self._fail(f"undefined variable: {node.root}")
            case root:
                value = self._argument(dot, root)
        if given and not node.fields:
            self._fail(f"can't give argument to non-function {node.text}")
        for number, name in enumerate(node.fields, start=1):
            value = self._field(value, name, given=given and number == len(node.fields))
        return value

    def _field(self, value: Any, name: str, *, given: bool) -> Any:
        if value is None:
            self._fail(f"nil data; no entry for key {strings.quote(name)}")
        inner = bare(value)
        if inner is None:
            self._fail(f"nil pointer evaluating {go_type(value)}.{name}")
        if not isinstance(inner, Mapping):
            self._fail(f"can't evaluate field {name} in type {go_type(value)}")
        if given:
            self._fail(f"{name} is not a method but has arguments")
        if name not in inner:
            self._fail(f"map has no entry for key {strings.quote(name)}")
        return held(inner[name])

    def _call(
        self,
        dot: Any,
        function: Function,
        node: Function | parsing.Command,
        arguments: Sequence[parsing.Operand],
        final: Any,
    ) -> Any:
        self._node = function
        name, offered = function.text, FUNCTIONS[function.text]
        count = len(arguments) + (final is not MISSING)
        if offered.most is None and count < offered.least:
            self._fail(f"wrong number of args for {name}: want at least {offered.least} got {len(arguments)}")
        if offered.most is not None and count != offered.most:
            self._fail(f"wrong number of args for {name}: want {offered.most} got {count}")
        if name in ("and", "or"):
            return self._short(dot, name, arguments, final)
        values = [self._argument(dot, argument) for argument in arguments]
        if final is not MISSING:
            values.append(final)
        if name == "printf":
            self._check_text(values[0], arguments[0] if arguments else None)
        self._work.spend(sum(len(value) for value in map(bare, values) if isinstance(value, str)))
        try:
            return offered.call(self._work, values)
        except CallError as wrong:
            self._node = node
            self._fail(f"error calling {name}: {wrong}")

    def _short(self, dot: Any, name: str, arguments: Sequence[parsing.Operand], final: Any) -> Any:
        """The first argument that decides, and none of those behind it is evaluated."""
        value: Any = None
        for argument in arguments:
            value = self._argument(dot, argument)
            if truth(value) == (name == "or"):
                return value
        return value if final is MISSING else final

    def _check_text(self, value: Any, node: parsing.Operand | None) -> None:
        if isinstance(bare(value), str):
            return
        if node is not None:
            self._node = node
        if isinstance(node, Constant):
            self._fail(f"expected string; found {node.text}" if node.value is not None else _NIL)
        if value is None:
            self._fail("invalid value; expected string")
        inner = value if bare(value) is None else bare(value)
        self._fail(f"wrong type for value; expected string; got {go_type(inner)}")

    def _assign(self, name: str, value: Any) -> None:
        for number in range(len(self._variables) - 1, -1, -1):
            if self._variables[number][0] == name:
                self._variables[number] = (name, value)
                return
        self._fail(f"undefined variable: {name}")

    def _fail(self, told: str) -> NoReturn:
        where = self._template.name
        if self._node is None:
            raise TemplateError(f"template: {where}: {told}")
        before = self._template.text[: self._node.start]
        line = before.count("\n") + 1
        column = len(strings.octets(before[before.rfind("\n") + 1 :]))
        context = f"executing {strings.quote(where)} at <{self._node.text}>"
        raise TemplateError(f"template: {where}:{line}:{column}: {context}: {told}")
