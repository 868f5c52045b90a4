"""The nodes of a file into definitions, each key by its type; what is wrong is noted, and reading goes on.

It goes as yaml.v2 does for prunner: unknown keys have no meaning, null is absence, and keys count in the
order they are met, those that `<<` brings in among them. A mapping that comes twice that way, such as `env`
by `<<` and beside it, is one with the keys of both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import yaml

from paas_pipelines.definitions import scalars
from paas_pipelines.definitions.definition import (
    Definition,
    OnError,
    Parameter,
    ParameterKind,
    QueueStrategy,
    Restart,
    TaskDefinition,
)
from paas_pipelines.definitions.reading import Complaint, Document
from paas_pipelines.definitions.scalars import NULL, UnfitError, quoted
from paas_runner.plain_text import did_you_mean, short_line

KeyPath: TypeAlias = tuple[str, ...]
Nodes: TypeAlias = Sequence[yaml.Node]
"""All that a key has, in their order: the last counts, of mappings each."""

_Read: TypeAlias = Callable[["Decoder", Nodes, KeyPath], Any]
"""The value of a key; raises `UnfitError`."""

_MERGE = "tag:yaml.org,2002:merge"
_MOST_STEPS = 500_000
_MOST_MERGES = 100
_WIDTH = 60


class _TooMuchError(Exception):
    """Aliases stand for more than a file may be: nothing of it is looked at any more."""


class Decoder:
    """What is found in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.complaints: list[Complaint] = []
        self.warnings: list[Complaint] = []
        self.failed: set[KeyPath] = set()
        """Of each pipeline, by its name, the keys with a complaint."""
        self._places: dict[KeyPath, int] = {}
        self._left = _MOST_STEPS
        self._merging: list[yaml.Node] = []

    def definitions(self, document: Document) -> Mapping[str, Definition]:
        """In their order; a key whose value it cannot have is absent, and `failed`."""
        if document.has_more:
            self.warn("only the first document of the file counts", 1)
        if document.root is None:
            return {}
        try:
            found: Mapping[str, Definition] = self.fields([document.root], (), _FILE).get("pipelines", {})
        except (UnfitError, _TooMuchError) as error:
            self._complain(document.root, error, ())
            return {}
        return found

    def line(self, at: KeyPath) -> int | None:
        """Of a key, by its path from the pipeline on, or of the nearest around it that is written."""
        while at and at not in self._places:
            at = at[:-1]
        return self._places.get(at)

    def complain(self, text: str, line: int | None, remedy: str = "") -> None:
        """Note what is wrong."""
        self.complaints.append(Complaint(file=self.file, line=line, text=text, remedy=remedy))

    def warn(self, text: str, line: int | None) -> None:
        """Note what is strange."""
        self.warnings.append(Complaint(file=self.file, line=line, text=text))

    def fields(self, nodes: Nodes, at: KeyPath, known: Mapping[str, _Read]) -> dict[str, Any]:
        """Of mappings, the keys that have a meaning; null makes absent again what was there."""
        found: dict[str, list[yaml.Node]] = {}
        for key, node in self._pairs(nodes, at):
            if key not in known:
                self._unknown(key, known, at)
            elif node.tag == NULL:
                found.pop(key, None)
            else:
                found.setdefault(key, []).append(node)
        return self._values(found, at, known.__getitem__)

    def named(self, nodes: Nodes, at: KeyPath, read: _Read) -> dict[str, Any]:
        """Of mappings whose keys are names."""
        found: dict[str, Nodes] = {key: [node] for key, node in self._pairs(nodes, at)}
        return self._values(found, at, lambda _key: read)

    def items(self, nodes: Nodes, at: KeyPath) -> Nodes:
        """Of a list."""
        if not isinstance(nodes[-1], yaml.SequenceNode):
            found = scalars.kind_of(nodes[-1])
            raise UnfitError(
                f"a list was expected, not {found}", "as in [one, other], or a line with a dash each"
            )
        items: Nodes = nodes[-1].value
        self._take(len(items))
        for item in items:
            if isinstance(item, yaml.ScalarNode):
                self._places.setdefault((*at, str(item.value)), _line_of(item))
        return items

    def _values(
        self, found: Mapping[str, Nodes], at: KeyPath, read_of: Callable[[str], _Read]
    ) -> dict[str, Any]:
        values = {}
        for key, nodes in found.items():
            try:
                values[key] = read_of(key)(self, nodes, (*at, key))
            except UnfitError as error:
                self._complain(nodes[-1], error, (*at, key))
        return values

    def _pairs(self, nodes: Nodes, at: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        for node in nodes:
            own: set[str] = set()
            if node.tag == NULL:
                continue
            if not isinstance(node, yaml.MappingNode):
                raise UnfitError(f"a mapping was expected, not {scalars.kind_of(node)}")
            for key_node, value in node.value:
                self._take(1)
                if key_node.tag == _MERGE:
                    yield from self._merged(value, at)
                elif not isinstance(key_node, yaml.ScalarNode):
                    self._complain(key_node, UnfitError("a key must be a simple text"), at)
                else:
                    key = "" if key_node.tag == NULL else str(key_node.value)
                    self._places[*at, key] = _line_of(key_node)
                    if key in own:
                        self.warn(
                            f"{_path((*at, key))} is written twice; the last counts", _line_of(key_node)
                        )
                    own.add(key)
                    yield key, value

    def _merged(self, node: yaml.Node, at: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        """What `<<` brings in: one mapping or several, of which the first wins."""
        for each in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            if each in self._merging or len(self._merging) >= _MOST_MERGES:
                raise UnfitError("<< leads in a circle, or through too many mappings")
            self._merging.append(each)
            try:
                yield from self._pairs([each], at)
            finally:
                self._merging.pop()

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise _TooMuchError("document contains excessive aliasing")

    def _complain(self, node: yaml.Node, error: Exception, at: KeyPath) -> None:
        where = f" ({_path(at)})" if at and not str(error).startswith("unknown ") else ""
        self.failed.add(at[:2])
        remedy, of = (error.remedy, error.node) if isinstance(error, UnfitError) else ("", None)
        self.complain(f"decoding YAML: {error}{where}", _line_of(of or node), remedy)

    def _unknown(self, key: str, known: Mapping[str, _Read], at: KeyPath) -> None:
        """At the top, where anchors are kept for other places, only what seems to be misspelled is told."""
        hint = did_you_mean(key, known)
        if hint or at:
            text = f"{_path((*at, key))} is not known and ignored"
            self.warn(f"{text}; {hint}" if hint else text, self.line((*at, key)))


def _pipeline(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Definition:
    values = decoder.fields(nodes, at, _PIPELINE)
    values["concurrency"] = values.get("concurrency") or 1
    return Definition(name=at[-1], source=decoder.file, **values)


def _task(decoder: Decoder, nodes: Nodes, at: KeyPath) -> TaskDefinition:
    return TaskDefinition(**decoder.fields(nodes, at, _TASK))


def _texts(decoder: Decoder, nodes: Nodes, at: KeyPath) -> tuple[str, ...]:
    return tuple(map(scalars.text, decoder.items(nodes, at)))


def _environment(decoder: Decoder, nodes: Nodes, at: KeyPath) -> dict[str, str]:
    found = decoder.named(nodes, at, _one(scalars.text))
    for name in found:
        if not name or "=" in name or "\0" in name:
            raise UnfitError(f"{quoted(name)} cannot be the name of a variable")
    return found


def _parameter(decoder: Decoder, nodes: Nodes, at: KeyPath) -> Parameter:
    values = decoder.fields(nodes, at, _PARAMETER)
    kind = values.pop("type", ParameterKind.STRING)
    if "default" in values:
        values["default"] = _KINDS[kind](values["default"])
    choices = tuple(map(_KINDS[kind], values.pop("choices", ())))
    if choices and values.get("default", choices[0]) not in choices:
        raise UnfitError("the default is none of the choices")
    return Parameter(name=at[-1], kind=kind, choices=choices, **values)


def _one(read: Callable[[yaml.Node], Any]) -> _Read:
    return lambda _decoder, nodes, _at: read(nodes[-1])


def _line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _path(at: KeyPath) -> str:
    return short_line(".".join(at), _WIDTH)


_FILE: Mapping[str, _Read] = {"pipelines": lambda decoder, nodes, _at: decoder.named(nodes, (), _pipeline)}
_PIPELINE: Mapping[str, _Read] = {
    **dict.fromkeys(
        ("concurrency", "queue_limit", "queue_partition_limit", "retention_count"), _one(scalars.integer)
    ),
    **dict.fromkeys(("start_delay", "retention_period"), _one(scalars.duration)),
    "continue_running_tasks_after_failure": _one(scalars.boolean),
    "queue_strategy": _one(partial(scalars.choice, among=QueueStrategy, what="queue strategy")),
    "env": _environment,
    "tasks": lambda decoder, nodes, at: decoder.named(nodes, at, _task),
    "on_error": lambda decoder, nodes, at: OnError(**decoder.fields(nodes, at, _ON_ERROR)),
    "params": lambda decoder, nodes, at: tuple(decoder.named(nodes, at, _parameter).values()),
}
_ON_ERROR: Mapping[str, _Read] = {"script": _texts, "env": _environment}
_TASK: Mapping[str, _Read] = {
    **_ON_ERROR,
    "depends_on": _texts,
    "allow_failure": _one(scalars.boolean),
    "restart": _one(partial(scalars.choice, among=Restart, what="restart")),
    "runner": _one(scalars.name),
    "image": _one(scalars.name),
    "timeout": _one(scalars.timeout),
}
_PARAMETER: Mapping[str, _Read] = {
    "type": _one(partial(scalars.choice, among=ParameterKind, what="type")),
    "description": _one(scalars.text),
    "default": _one(lambda node: node),
    "choices": Decoder.items,
    "required": _one(scalars.boolean),
}
_KINDS: Mapping[ParameterKind, Callable[[yaml.Node], Any]] = {
    ParameterKind.STRING: scalars.text,
    ParameterKind.NUMBER: scalars.number,
    ParameterKind.BOOLEAN: scalars.boolean,
}
