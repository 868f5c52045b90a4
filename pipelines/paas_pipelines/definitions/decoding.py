"""The nodes of a file, each key by its type; what is wrong is noted, and reading goes on.

It goes as yaml.v2 does for prunner: unknown keys have no meaning, null is absence, and keys count in the
order they are met, those that `<<` brings in among them. A mapping that comes twice that way, such as `env`
by `<<` and beside it, is one with the keys of both.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import yaml

from paas_pipelines.definitions import scalars
from paas_pipelines.definitions.plugged import NOTHING_PLUGGED, Plugged
from paas_pipelines.definitions.reading import Complaint, Document
from paas_pipelines.definitions.scalars import NULL, UnfitError, quoted
from paas_runner.plain_text import did_you_mean, short_line

KeyPath: TypeAlias = tuple[str, ...]
Nodes: TypeAlias = Sequence[yaml.Node]
"""All that a key has, in their order: the last counts, of mappings each."""

Read: TypeAlias = Callable[["Decoder", Nodes, KeyPath], Any]
"""The value of a key; raises `UnfitError`."""

FILE_KEY = "\0"
"""Ends the first part of the path of what stands beside `pipelines` in a file."""

_MERGE = "tag:yaml.org,2002:merge"
_MOST_STEPS = 500_000
_MOST_MERGES = 100
_MOST_HINTS = 200
_WIDTH = 60


class _TooMuchError(Exception):
    """Aliases stand for more than a file may be: nothing of it is looked at any more."""


class MistakenError(UnfitError):
    """A value that a key of automation cannot have; the text says which key, and needs no place."""


class NotAllowedError(MistakenError):
    """A key that stands where it has no meaning."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


class LackingError(MistakenError):
    """Something is not there; it is no news where it was there and wrong."""


class Decoder:
    """What is found in one file."""

    def __init__(self, file: str, plugged: Plugged = NOTHING_PLUGGED) -> None:
        self.name = file
        self.plugged = plugged
        self.complaints: list[Complaint] = []
        self.warnings: list[Complaint] = []
        self.failed: set[KeyPath] = set()
        """Of each pipeline, by its name, the keys with a complaint."""
        self._failed: set[KeyPath] = set()
        self._places: dict[KeyPath, int] = {}
        self._left = _MOST_STEPS
        self._hints: dict[tuple[str, int], str] = {}
        self._merging: list[yaml.Node] = []
        self._ignored: dict[KeyPath, tuple[Complaint, str]] = {}

    def file(self, document: Document, known: Mapping[str, Read]) -> Mapping[str, Any]:
        """The keys of a file, in the order of `known`; one whose value is wrong is absent, and `failed`."""
        if document.has_more:
            self.warn("only the first document of the file counts", 1)
        if document.root is None:
            return {}
        try:
            return self.fields([document.root], (), known)
        except (UnfitError, _TooMuchError) as error:
            self._complain(document.root, error, ())
            return {}

    def line(self, at: KeyPath) -> int | None:
        """Of a key, by its path from the pipeline on, or of the nearest around it that is written."""
        while at and at not in self._places:
            at = at[:-1]
        return self._places.get(at)

    def complain(self, text: str, line: int | None, remedy: str = "") -> None:
        """Note what is wrong."""
        self.complaints.append(Complaint(file=self.name, line=line, text=text, remedy=remedy))

    def warn(self, text: str, line: int | None) -> None:
        """Note what is strange."""
        self.warnings.append(Complaint(file=self.name, line=line, text=text))

    def mistake(self, at: KeyPath, text: str, line: int | None = None) -> None:
        """Note what is wrong with a key of automation, in the words of what it belongs to."""
        self._fail(at)
        kind, named, _ = at[0].partition(FILE_KEY)
        words = [f"invalid {kind.removesuffix('s')} {quoted(at[1])}"] if named and at[1:] else []
        words = words or [f"invalid pipeline definition {quoted(at[0])}"]
        if at[2:] and at[1] in ("tasks", "triggers"):
            words.append(f"{at[1].removesuffix('s')} {quoted(at[2])}")
        self.complain(": ".join([*words, text]), line or self.line(at))

    def refuse_ignored(self, at: KeyPath) -> None:
        """Make mistakes of the unknown keys below this one."""
        for path, (warning, hint) in self._ignored.items():
            if path[: len(at)] == at:
                self.warnings.remove(warning)
                text = f"unknown key {quoted(path[-1])}"
                meant = hint.replace("`", '"')
                self.mistake(path[:-1], f"{text}, {meant}" if meant else text, warning.line)

    def has_failed(self, at: KeyPath) -> bool:
        """Whether there was a complaint about this key, or one below it."""
        return at in self._failed

    def _fail(self, at: KeyPath) -> None:
        self.failed.add(at[:2])
        self._failed.update(at[:length] for length in range(1, len(at) + 1))

    def fields(
        self, nodes: Nodes, at: KeyPath, known: Mapping[str, Read], *, strict: bool = False
    ) -> dict[str, Any]:
        """Of mappings, the keys that have a meaning; null makes absent again what was there.

        With `strict`, another key is wrong; else it is ignored, and told.
        """
        found: dict[str, list[yaml.Node]] = {}
        for key, node in self.pairs(nodes, at):
            if key not in known and strict:
                hint = self._hint(key, known).replace("`", '"')
                self.mistake(at, f"unknown key {quoted(key)}" + (f", {hint}" if hint else ""), _line_of(node))
            elif key not in known:
                self._unknown(key, known, at)
            elif node.tag == NULL:
                found.pop(key, None)
            else:
                found.setdefault(key, []).append(node)
        if not at:
            found = {key: found[key] for key in known if key in found}
        return self._values(found, at, known.__getitem__)

    def named(self, nodes: Nodes, at: KeyPath, read: Read) -> dict[str, Any]:
        """Of mappings whose keys are names."""
        found: dict[str, Nodes] = {key: [node] for key, node in self.pairs(nodes, at)}
        return self._values(found, at, lambda _key: read)

    def items(self, nodes: Nodes, at: KeyPath) -> Nodes:
        """Of a list."""
        if not isinstance(nodes[-1], yaml.SequenceNode):
            found = scalars.kind_of(nodes[-1])
            raise UnfitError(
                f"a list was expected, not {found}", "as in [one, other], or a line with a dash each"
            )
        items: Nodes = nodes[-1].value
        self.take(len(items))
        for item in items:
            if isinstance(item, yaml.ScalarNode):
                self._places.setdefault((*at, str(item.value)), _line_of(item))
        return items

    def _values(
        self, found: Mapping[str, Nodes], at: KeyPath, read_of: Callable[[str], Read]
    ) -> dict[str, Any]:
        values = {}
        for key, nodes in found.items():
            try:
                values[key] = read_of(key)(self, nodes, (*at, key))
            except NotAllowedError as error:
                self.mistake((*at, key, error.key), str(error))
            except MistakenError as error:
                if isinstance(error, LackingError) and self.has_failed((*at, key)):
                    continue
                self.mistake((*at, key), str(error), _line_of(error.node or nodes[-1]))
            except UnfitError as error:
                self._complain(nodes[-1], error, (*at, key))
        return values

    def pairs(self, nodes: Nodes, at: KeyPath) -> Iterator[tuple[str, yaml.Node]]:
        """Of mappings, each key with its value; raises `UnfitError`."""
        for node in nodes:
            own: set[str] = set()
            if node.tag == NULL:
                continue
            if not isinstance(node, yaml.MappingNode):
                raise UnfitError(f"a mapping was expected, not {scalars.kind_of(node)}")
            for key_node, value in node.value:
                self.take(1)
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
                yield from self.pairs([each], at)
            finally:
                self._merging.pop()

    def take(self, count: int) -> None:
        """So many steps of those that a file may take; ends the reading where they are not left."""
        self._left -= count
        if self._left < 0:
            raise _TooMuchError("document contains excessive aliasing")

    def _complain(self, node: yaml.Node, error: Exception, at: KeyPath) -> None:
        where = f" ({_path(at)})" if at and not str(error).startswith("unknown ") else ""
        self._fail(at)
        remedy, of = (error.remedy, error.node) if isinstance(error, UnfitError) else ("", None)
        self.complain(f"decoding YAML: {error}{where}", _line_of(of or node), remedy)

    def _hint(self, key: str, known: Mapping[str, Read]) -> str:
        """What may have been meant, as often as a person makes mistakes."""
        asked = (key, id(known))
        if asked not in self._hints and len(self._hints) < _MOST_HINTS:
            self._hints[asked] = did_you_mean(key, known)
        return self._hints.get(asked, "")

    def _unknown(self, key: str, known: Mapping[str, Read], at: KeyPath) -> None:
        """At the top, where anchors are kept for other places, only what seems to be misspelled is told."""
        hint = self._hint(key, known)
        if hint or at:
            text = f"{_path((*at, key))} is not known and ignored"
            self.warn(f"{text}; {hint}" if hint else text, self.line((*at, key)))
            self._ignored[*at, key] = self.warnings[-1], hint


def one(read: Callable[[yaml.Node], Any]) -> Read:
    """A reader of the value that counts, the last."""
    return lambda _decoder, nodes, _at: read(nodes[-1])


def _line_of(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _path(at: KeyPath) -> str:
    return short_line(".".join(at).replace(FILE_KEY, ""), _WIDTH)
