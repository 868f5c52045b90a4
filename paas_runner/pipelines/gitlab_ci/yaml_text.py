"""YAML text into plain values that remember their lines.

Every scalar stays the text it was written as (`yes`, `022` and `1.0` are not numbers or booleans here; what a
scalar means is for its keyword to say), only an empty one is None. `!reference` becomes a `YamlReference`.
"""

from typing import Any, NoReturn

import yaml

from paas_runner.pipelines.complaints import Line, PipelineError, PipelineWarning
from paas_runner.pipelines.gitlab_ci.bounds import Budget
from paas_runner.pipelines.gitlab_ci.sections import YamlReference, YamlSection

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN = "tag:yaml.org,2002:"
_REFERENCE = "!reference"
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The parser in C, where there is one, takes a tenth of the time for what authors may send."""

UNREADABLE = (yaml.YAMLError, UnicodeEncodeError, RecursionError)
"""What reading a text may raise."""


def parse(text: str, budget: Budget, *, file: str = "") -> tuple[YamlSection, list[PipelineWarning]]:
    """The document as a mapping, and a warning for each key written twice; raises `PipelineError`.

    `file` is what lines say of where they are.
    """
    try:
        node = yaml.compose(text, Loader=LOADER)
        builder = _Builder(budget, file)
        document = builder.build(node) if node is not None else None
    except UNREADABLE as error:
        problem, number = in_words(error)
        where = f" (in {file})" if file and number is None else ""
        raise PipelineError(f"{problem}{where}", line=number and Line(number, file)) from None
    if not isinstance(document, YamlSection):
        raise PipelineError("a mapping of jobs was expected", line=Line(1, file))
    budget.take_all(document)
    return document, builder.warnings


def in_words(error: Exception) -> tuple[str, int | None]:
    """What is wrong with a text, and in which line, from 1, if that is known; `error` is `UNREADABLE`."""
    if isinstance(error, RecursionError):
        return "nested too deeply", 1
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"not YAML: {' '.join(str(error).split())}", None
    problem = error.problem or error.context or ""
    words = "nested too deeply" if "nesting depth" in problem else f"not YAML: {problem}"
    return words, error.problem_mark.line + 1 if error.problem_mark else None


class _Builder:
    def __init__(self, budget: Budget, file: str) -> None:
        self.warnings: list[PipelineWarning] = []
        self._budget = budget
        self._file = file
        self._done: dict[int, Any] = {}
        self._open: set[int] = set()

    def build(self, node: yaml.Node) -> Any:
        """The value of a node; a node with an alias is built once."""
        identity = id(node)
        if identity in self._open:
            self._refuse(node, "an anchor that contains itself")
        if identity not in self._done:
            self._open.add(identity)
            self._done[identity] = self._value(node)
            self._open.discard(identity)
        return self._done[identity]

    def _value(self, node: yaml.Node) -> Any:
        if node.tag == _REFERENCE:
            return self._reference(node)
        if not node.tag.startswith(_PLAIN):
            self._refuse(node, f"the tag {node.tag} is not known")
        if isinstance(node, yaml.MappingNode):
            return self._section(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item) for item in node.value]
        return None if node.tag == _NULL else node.value

    def _reference(self, node: yaml.Node) -> YamlReference:
        parts = [self.build(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else []
        if not parts or not all(isinstance(part, str) for part in parts):
            self._refuse(node, "!reference wants a list of names")
        return YamlReference(tuple(parts), self._line(node))

    def _section(self, node: yaml.MappingNode) -> YamlSection:
        own, merged = YamlSection(), YamlSection()
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged = self._merged(value_node, merged)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node, "a key must be a simple text")
            key = str(key_node.value)
            if key in own:
                self._twice(key, self._line(key_node))
            own[key] = self.build(value_node)
            own.lines[key] = self._line(key_node)
        return YamlSection({**merged, **own}.items(), {**merged.lines, **own.lines})

    def _merged(self, node: yaml.Node, so_far: YamlSection) -> YamlSection:
        """What `<<` brings in: one mapping or several, of which the first wins."""
        value = self.build(node)
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, YamlSection):
                self._refuse(node, "<< wants a mapping")
            self._budget.take_values(len(item) + len(so_far), self._line(node))
            so_far = YamlSection({**item, **so_far}.items(), {**item.lines, **so_far.lines})
        return so_far

    def _twice(self, key: str, line: int) -> None:
        text = "written twice, the last one counts"
        self.warnings.append(PipelineWarning(job="", key=key, text=text, line=line))

    def _line(self, node: yaml.Node) -> Line:
        return Line(node.start_mark.line + 1, self._file)

    def _refuse(self, node: yaml.Node, text: str) -> NoReturn:
        raise PipelineError(text, line=self._line(node))
