"""Rendering a template with the variables of a run, which nobody trusts.

Promises: no more than a million characters, a bounded number of steps and a bounded depth; nothing of a
value is ever looked at but a mapping's keys, a list's items, and what a scalar is; values are not rendered.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import attrs

from paas_pipelines.template import strings
from paas_pipelines.template.formatting import go_type, of_json, show
from paas_pipelines.template.functions import FUNCTIONS
from paas_pipelines.template.parsing import NAME, Node, parsed
from paas_pipelines.template.strings import BoundError, CallError, TemplateError, Work


@attrs.frozen
class Template:
    """A parsed template, for any number of renderings."""

    text: str
    tree: Node

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises `TemplateError`."""
        text = strings.whole(text)
        return cls(text, parsed(text))

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text with the variables in it; raises `TemplateError`."""
        return _Rendering(self, variables).rendered()


class _Rendering:
    def __init__(self, template: Template, variables: Mapping[str, Any]) -> None:
        self._template = template
        self._work = Work()
        self._out: list[str] = []
        self._length = 0
        self._variables: list[tuple[str, Any]] = [("$", variables)]
        self._node = template.tree  # where it is, for messages

    def rendered(self) -> str:
        try:
            self._walk(self._variables[0][1], self._template.tree)
        except BoundError as bound:
            self._fail(str(bound))
        return "".join(self._out)

    def _walk(self, dot: Any, nodes: Node) -> str:
        """Print the list, and tell the jump that has ended it, if any."""
        for node in nodes.parts:
            self._work.spend(strings.STEP)
            if node.kind == "text":
                self._write(node.text)
            elif node.kind == "pipe":
                value = self._pipe(dot, node)
                if not node.names:
                    self._node = node
                    self._write(show(self._work, "<no value>" if value is None else value))
            elif node.kind == "jump":
                return str(node.value)
            else:
                known = len(self._variables)
                jump = self._range(dot, node) if node.value == "range" else self._choice(dot, node)
                del self._variables[known:]
                if jump:
                    return jump
        return ""

    def _write(self, text: str) -> None:
        self._length += len(text)
        self._out.append(text)
        if self._length > strings.MOST_CHARACTERS:
            raise BoundError(f"text is longer than {strings.MOST_CHARACTERS} characters")

    def _choice(self, dot: Any, branch: Node) -> str:
        for pipe, body in zip(branch.parts[::2], branch.parts[1::2], strict=False):
            if value := self._pipe(dot, pipe):
                return self._walk(value if branch.value == "with" else dot, body)
        return self._walk(dot, branch.parts[-1])

    def _range(self, dot: Any, branch: Node) -> str:
        pipe, body, otherwise = branch.parts
        items = self._items(self._pipe(dot, pipe), pipe)
        known, ran = len(self._variables), False
        for index, item in items:
            ran = True
            self._work.spend(strings.STEP)
            self._set(pipe, (index, item)[-len(pipe.names) :])
            jump = self._walk(item, body)
            del self._variables[known:]
            if jump == "break":
                break
        return "" if ran else self._walk(dot, otherwise)

    def _items(self, value: Any, pipe: Node) -> Iterable[tuple[Any, Any]]:
        if isinstance(value, Mapping):
            self._work.spend(len(value))
            return ((strings.whole(key), of_json(value[key])) for key in sorted(value))
        if value is None or isinstance(value, list | tuple):
            return ((index, of_json(item)) for index, item in enumerate(value or ()))
        if not isinstance(value, int) or isinstance(value, bool):
            self._fail(f"range can't iterate over {go_type(value)}")
        if len(pipe.names) > 1:
            self._fail(f"can't use {value} to iterate over more than one variable")
        return ((None, number) for number in range(value))

    def _pipe(self, dot: Any, pipe: Node) -> Any:
        self._node = pipe
        last: Sequence[Any] = ()
        for command in pipe.parts:
            last = [self._command(dot, command, last)]
        self._set(pipe, [*last] * len(pipe.names))
        return last[0]

    def _command(self, dot: Any, command: Node, last: Sequence[Any]) -> Any:
        """`last` is what the command before it in its pipeline has given, if there is one."""
        first, *arguments = command.parts
        if first.kind == "function":
            return self._call(dot, first, command, arguments, last)
        self._node = first
        if arguments or last:
            self._fail(f"can't give argument to non-function {first.text}")
        if first.text == "nil":
            self._fail("nil is not a command")
        return self._operand(dot, first)

    def _operand(self, dot: Any, node: Node) -> Any:
        self._work.spend(strings.STEP)
        self._node = node
        if node.kind == "function":
            return self._call(dot, node, node, (), ())
        if node.kind == "pipe":
            return self._pipe(dot, node)
        if node.kind == "constant":
            return node.value
        value = dot
        if isinstance(node.value, Node):
            value = self._operand(dot, node.value)
        elif node.value:
            value = self._variables[self._place(node.value)][1]
        for name in node.names:
            value = self._field(value, name)
        return value

    def _field(self, value: Any, name: str) -> Any:
        if value is None:
            self._fail(f"nil data; no entry for key {strings.quote(name)}")
        if not isinstance(value, Mapping):
            self._fail(f"can't evaluate field {name} in type {go_type(value)}")
        if name not in value:
            self._fail(f"map has no entry for key {strings.quote(name)}")
        return of_json(value[name])

    def _call(
        self, dot: Any, function: Node, at: Node, arguments: Sequence[Node], last: Sequence[Any]
    ) -> Any:
        self._work.spend(strings.STEP)
        self._node, name = function, function.text
        call, least, most = FUNCTIONS[name]
        count = len(arguments) + len(last)
        if count < least or count > (most or count):
            want = f"at least {least}" if most is None else most
            self._fail(f"wrong number of args for {name}: want {want} got {count}")
        values: list[Any] = []
        for argument in arguments:
            values.append(self._operand(dot, argument))
            if name in ("and", "or") and bool(values[-1]) == (name == "or"):
                return values[-1]  # it decides: none of those behind it is evaluated
        values += last
        self._work.spend(sum(len(value) for value in values if isinstance(value, str)))
        try:
            return call(self._work, *values)
        except CallError as wrong:
            self._node = at
            self._fail(f"error calling {name}: {wrong}")

    def _set(self, pipe: Node, values: Sequence[Any]) -> None:
        """The variables of a pipeline: new ones, or those that are there already."""
        for name, value in zip(pipe.names, values, strict=False):
            if pipe.value:
                self._variables[self._place(name)] = (name, value)
            else:
                self._variables.append((name, value))

    def _place(self, name: str) -> int:
        places = [place for place, (known, _) in enumerate(self._variables) if known == name]
        if not places:
            self._fail(f"undefined variable: {name}")
        return places[-1]

    def _fail(self, told: str) -> NoReturn:
        node = self._node
        before = self._template.text[: node.start]
        column = len(before[before.rfind("\n") + 1 :].encode())
        place = f'{NAME}:{before.count(chr(10)) + 1}:{column}: executing "{NAME}" at <{node.text}>'
        raise TemplateError(f"template: {place}: {told}")
