"""YAML text into plain values that remember their lines.

Every scalar stays the text it was written as (`yes`, `022` and `1.0` are not numbers or booleans here; what a
scalar means is for its keyword to say), only an empty one is None. `!reference` becomes a `YamlReference`.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import attrs
import yaml

from paas_runner.pipelines.spec import PipelineError, PipelineWarning

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN = "tag:yaml.org,2002:"
_REFERENCE = "!reference"


class YamlSection(dict[str, Any]):
    """A mapping that knows the line, from 1, of each of its keys."""

    def __init__(self, items: Iterable[tuple[str, Any]] = (), lines: Mapping[str, int] | None = None) -> None:
        super().__init__(items)
        self.lines: dict[str, int] = dict(lines or {})

    def under(self, over: "YamlSection") -> "YamlSection":
        """The deep merge of both; `over` wins, lists are replaced."""
        merged = YamlSection(self.items(), {**self.lines, **over.lines})
        for key, value in over.items():
            mine = self.get(key)
            both = isinstance(mine, YamlSection) and isinstance(value, YamlSection)
            merged[key] = mine.under(value) if both and isinstance(mine, YamlSection) else value
        return merged


@attrs.frozen
class YamlReference:
    """`!reference [section, key, …]`."""

    path: tuple[str, ...]
    line: int


def parse(text: str) -> tuple[YamlSection, list[PipelineWarning]]:
    """The document as a mapping, and a warning for each key written twice; raises `PipelineError`."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        builder = _Builder()
        document = builder.build(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise PipelineError(f"not YAML: {error.problem or error.context}", line=line) from None
    except yaml.YAMLError as error:
        raise PipelineError(f"not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise PipelineError("nested too deeply") from None
    if not isinstance(document, YamlSection):
        raise PipelineError("a mapping of jobs was expected", line=1)
    return document, builder.warnings


class _Builder:
    def __init__(self) -> None:
        self.warnings: list[PipelineWarning] = []
        self._done: dict[int, Any] = {}
        self._open: set[int] = set()

    def build(self, node: yaml.Node) -> Any:
        """The value of a node; a node with an alias is built once."""
        identity = id(node)
        if identity in self._open:
            _refuse(node, "an anchor that contains itself")
        if identity not in self._done:
            self._open.add(identity)
            self._done[identity] = self._value(node)
            self._open.discard(identity)
        return self._done[identity]

    def _value(self, node: yaml.Node) -> Any:
        if node.tag == _REFERENCE:
            return self._reference(node)
        if not node.tag.startswith(_PLAIN):
            _refuse(node, f"the tag {node.tag} is not known")
        if isinstance(node, yaml.MappingNode):
            return self._section(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item) for item in node.value]
        return None if node.tag == _NULL else node.value

    def _reference(self, node: yaml.Node) -> YamlReference:
        parts = [self.build(item) for item in node.value] if isinstance(node, yaml.SequenceNode) else []
        if not parts or not all(isinstance(part, str) for part in parts):
            _refuse(node, "!reference wants a list of names")
        return YamlReference(tuple(parts), _line(node))

    def _section(self, node: yaml.MappingNode) -> YamlSection:
        own, merged = YamlSection(), YamlSection()
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged = self._merged(value_node, merged)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                _refuse(key_node, "a key must be a simple text")
            key = str(key_node.value)
            if key in own:
                self._twice(key, _line(key_node))
            own[key] = self.build(value_node)
            own.lines[key] = _line(key_node)
        return YamlSection({**merged, **own}.items(), {**merged.lines, **own.lines})

    def _merged(self, node: yaml.Node, so_far: YamlSection) -> YamlSection:
        """What `<<` brings in: one mapping or several, of which the first wins."""
        value = self.build(node)
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, YamlSection):
                _refuse(node, "<< wants a mapping")
            so_far = YamlSection({**item, **so_far}.items(), {**item.lines, **so_far.lines})
        return so_far

    def _twice(self, key: str, line: int) -> None:
        text = "written twice, the last one counts"
        self.warnings.append(PipelineWarning(job="", key=key, text=text, line=line))


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _refuse(node: yaml.Node, text: str) -> NoReturn:
    raise PipelineError(text, line=_line(node))
