"""The nodes of a file into a `WorkflowFile`, or every complaint with its place (spec kog-jobs.md §1)."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any, TypeAlias

import attrs
import yaml

from paas_runner.errors import UsageError
from paas_runner.job.durations import nanoseconds
from paas_runner.plain_text import did_you_mean
from paas_workflows.definition.document import NULL, Document, DocumentError, line_of, parsed, plain, written
from paas_workflows.definition.workflow_file import Action, ExitMode, Step, WorkflowFile

_Path: TypeAlias = tuple[str, ...]
_Read: TypeAlias = Callable[[yaml.Node, _Path], Any]


@attrs.frozen(kw_only=True)
class Remark:
    """What is wrong, or strange."""

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}"


@attrs.frozen(kw_only=True)
class Examined:
    """What a file says; `file` is None where there are complaints."""

    file: WorkflowFile | None
    complaints: tuple[Remark, ...] = ()
    warnings: tuple[Remark, ...] = ()
    lines: Mapping[_Path, int] = attrs.field(factory=dict)
    """Of keys, by their path."""

    @property
    def usable(self) -> WorkflowFile:
        """Raises `WorkflowFileError` with all complaints."""
        if self.file is None:
            raise WorkflowFileError(self.complaints)
        return self.file


class WorkflowFileError(UsageError):
    """A file that cannot be run; one complaint a line."""

    names_its_place = True

    def __init__(self, complaints: Collection[Remark]) -> None:
        super().__init__("\n".join(map(str, complaints)))


class _UnfitError(Exception):
    """A value that its key cannot have."""


def decoded(name: str, data: bytes) -> Examined:
    """Everything that is wrong with its shape; raises `DocumentError` for what has none."""
    document = parsed(name, data)
    decoder = _Decoder(document)
    file = decoder.file()
    return Examined(
        file=None if decoder.complaints else file,
        complaints=tuple(decoder.complaints),
        warnings=tuple(decoder.warnings),
        lines=decoder.lines,
    )


class _Decoder:
    def __init__(self, document: Document) -> None:
        self.complaints: list[Remark] = []
        self.warnings: list[Remark] = []
        self.lines: dict[_Path, int] = {}
        self._document = document

    def file(self) -> WorkflowFile | None:
        root = self._document.root
        if root is None:
            self._complain(1, "the file is empty")
            return None
        found = self._value(root, (), lambda node, at: self._fields(node, at, self._file_keys(), _FILE))
        if found is None or self.complaints:
            return None
        if self._document.values is not None and "context" in found:
            found["context"] = self._document.values["context"]
        return WorkflowFile(**found)

    def _file_keys(self) -> Mapping[str, _Read]:
        return {
            "name": _text,
            "description": _any_text,
            "current_workflow": _text,
            "current_step": _text,
            "stop_on_failure": _boolean,
            "workflows": lambda node, at: self._named(node, at, self._workflow),
            "actions": lambda node, at: self._named(node, at, self._action),
            "context": self._object,
        }

    def _workflow(self, node: yaml.Node, at: _Path) -> Mapping[str, Step]:
        return self._named(node, at, self._step)

    def _step(self, node: yaml.Node, at: _Path) -> Step:
        keys: dict[str, _Read] = {"action": _text, "duration": _duration, **dict.fromkeys(ExitMode, _text)}
        found = self._fields(node, at, keys, ("action",))
        targets = {mode: found.pop(mode) for mode in ExitMode if mode in found}
        return Step(**{"action": "", **found}, targets=targets)

    def _action(self, node: yaml.Node, at: _Path) -> Action:
        requirements = {"env": self._texts, "context_paths": self._texts}
        keys: dict[str, _Read] = {
            "image": _text,
            "version": _text,
            "env": lambda node, at: self._named(node, at, _variable, fewest=0),
            "requirements": lambda node, at: self._fields(node, at, requirements),
            "output": lambda node, at: self._fields(node, at, {"context": self._object}),
        }
        found = self._fields(node, at, keys, ("image",))
        required = found.pop("requirements", None) or {}
        return Action(
            **{"image": "", **found, "output": (found.get("output") or {}).get("context", {})},
            required_env=required.get("env", ()),
            required_paths=required.get("context_paths", ()),
        )

    def _fields(
        self, node: yaml.Node, at: _Path, known: Mapping[str, _Read], required: Collection[str] = ()
    ) -> dict[str, Any]:
        """The keys that have a meaning; null is absence."""
        found = {}
        for key, value in self._pairs(node, at):
            if key not in known:
                hint = did_you_mean(key, list(known))
                text = f"{_shown((*at, key))} is not known and ignored"
                self._warn(self.lines[*at, key], f"{text}; {hint}" if hint else text)
            elif value.tag != NULL:
                found[key] = self._value(value, (*at, key), known[key])
        for key in required:
            if key not in found:
                self._complain(line_of(node), f"{_shown((*at, key))} is missing")
        return {key: value for key, value in found.items() if value is not None}

    def _named(self, node: yaml.Node, at: _Path, read: _Read, fewest: int = 1) -> dict[str, Any]:
        found = {key: self._value(value, (*at, key), read) for key, value in self._pairs(node, at)}
        if len(found) < fewest:
            raise _UnfitError("at least one is needed")
        return found

    def _value(self, node: yaml.Node, at: _Path, read: _Read) -> Any:
        try:
            return read(node, at)
        except _UnfitError as error:
            self._complain(line_of(node), f"{_shown(at)}: {error}")
            return None

    def _pairs(self, node: yaml.Node, at: _Path) -> list[tuple[str, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            raise _UnfitError(f"a mapping was expected, not {_kind(node)}")
        pairs: dict[str, yaml.Node] = {}
        for key_node, value in node.value:
            key = written(key_node)
            self.lines[*at, key] = line_of(key_node)
            pairs[key] = value
        return list(pairs.items())

    def _texts(self, node: yaml.Node, at: _Path) -> tuple[str, ...]:
        if not isinstance(node, yaml.SequenceNode):
            raise _UnfitError(f"a list was expected, not {_kind(node)}")
        found = []
        for item in node.value:
            found.append(_text(item, at))
            self.lines[*at, found[-1]] = line_of(item)
        return tuple(found)

    def _object(self, node: yaml.Node, _at: _Path) -> Any:
        if not isinstance(node, yaml.MappingNode):
            raise _UnfitError(f"an object was expected, not {_kind(node)}")
        return plain(node, self._document.name)

    def _complain(self, line: int, text: str) -> None:
        self.complaints.append(Remark(file=self._document.name, line=line, text=text))

    def _warn(self, line: int, text: str) -> None:
        self.warnings.append(Remark(file=self._document.name, line=line, text=text))


_FILE = ("name", "workflows", "actions")


def _any_text(node: yaml.Node, _at: _Path) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _UnfitError(f"a text was expected, not {_kind(node)}")
    return written(node)


def _text(node: yaml.Node, at: _Path) -> str:
    if not (found := _any_text(node, at)):
        raise _UnfitError("it must not be empty")
    return found


def _variable(node: yaml.Node, at: _Path) -> str:
    if not at[-1] or "=" in at[-1] or "\0" in at[-1]:
        raise _UnfitError("this cannot be the name of a variable")
    return "" if node.tag == NULL else _any_text(node, at)


def _boolean(node: yaml.Node, _at: _Path) -> Any:
    with suppress(DocumentError):  # of one that is it by its tag alone
        if node.tag.endswith(":bool"):
            return plain(node, "")
    raise _UnfitError(f"true or false was expected, not {_kind(node)}")


def _duration(node: yaml.Node, at: _Path) -> timedelta:
    text = _text(node, at)
    try:
        length = timedelta(microseconds=nanoseconds(text) / 1000)
    except (ValueError, OverflowError):
        raise _UnfitError(f'"{text}" is no duration like 90s, 30m or 1h30m') from None
    if length <= timedelta():
        raise _UnfitError("it must be more than nothing")
    return length


def _kind(node: yaml.Node) -> str:
    """Without the text itself, which may be a secret."""
    if isinstance(node, yaml.ScalarNode):
        return "a text" if node.tag != NULL else "nothing"
    return "a mapping" if isinstance(node, yaml.MappingNode) else "a list"


def _shown(at: _Path) -> str:
    return ".".join(at) or "the file"
