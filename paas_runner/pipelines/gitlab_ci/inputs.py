"""The header of a file, `spec:inputs`, and the values that take the place of `$[[ inputs.… ]]` below it.

As on GitLab the text is changed before it is read as YAML, and only in a file that has such a header.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from paas_runner.pipelines.complaints import Line, PipelineError, PipelineWarning
from paas_runner.pipelines.gitlab_ci.bounds import Budget
from paas_runner.pipelines.gitlab_ci.places import YamlPlace
from paas_runner.pipelines.gitlab_ci.sections import YamlSection
from paas_runner.pipelines.gitlab_ci.yaml_text import parse

MOST_BLOCKS = 10_000
_SEPARATOR = re.compile(r"^---[ \t]*(?:#.*)?$", re.MULTILINE)
_CONTENT = re.compile(r"^[ \t]*[^\s#]", re.MULTILINE)
_BLOCK = re.compile(r"\$\[\[([^\[\]\n]{1,1024})\]\]")
_NAME = re.compile(r"inputs\.([A-Za-z0-9_-]+)")


@attrs.frozen(kw_only=True)
class YamlFile:
    """A file as it was found."""

    text: str
    name: str = ""  # empty: the pipeline's own
    inputs: Mapping[str, Any] = attrs.field(factory=dict)  # what whoever includes it gives it


def body(file: YamlFile, budget: Budget, warnings: list[PipelineWarning]) -> str:
    """The text below the header with the inputs in it; its lines keep their numbers.

    Raises `PipelineError` for an input that has no value or is not known.
    """
    separator = _SEPARATOR.search(file.text)
    if separator and not _CONTENT.search(file.text[: separator.start()]):
        separator = _SEPARATOR.search(file.text, separator.end())
    head = file.text[: separator.start()] if separator else ""
    if separator is None or not re.search(r"^spec\s*:", head, re.MULTILINE):
        if file.inputs:
            raise PipelineError(f"`{file.name}` takes no inputs: it has no `spec:inputs`")
        return file.text
    header, found = parse(head, budget, file=file.name)
    warnings += found
    values = _Inputs(file, header, budget, warnings)
    return "\n" * file.text.count("\n", 0, separator.end()) + values.put_into(file.text[separator.end() :])


class _Inputs:
    """The inputs of one file with their values, as text."""

    def __init__(
        self, file: YamlFile, header: YamlSection, budget: Budget, warnings: list[PipelineWarning]
    ) -> None:
        self._file = file
        self._budget = budget
        self._warnings = warnings
        spec = YamlPlace(
            job="", key="spec", value=header["spec"], line=header.lines["spec"], warnings=warnings
        )
        declared = spec.known("inputs") if spec.value is not None else {}
        entries = declared["inputs"].entries() if "inputs" in declared else []
        self._known = {entry.key.removeprefix("spec.inputs."): entry for entry in entries}
        for name in file.inputs.keys() - self._known.keys():
            raise PipelineError(f"`{file.name}` has no input `{name}`")
        self._values = {name: self._value(name, entry) for name, entry in self._known.items()}

    def put_into(self, text: str) -> str:
        """The text with each block replaced by its value."""
        if len(_BLOCK.findall(text)) > MOST_BLOCKS:
            raise PipelineError(f"more than {MOST_BLOCKS} inputs are used", line=Line(1, self._file.name))
        return _BLOCK.sub(self._replacement, text)

    def _value(self, name: str, entry: YamlPlace) -> str:
        parts = (
            {}
            if entry.value is None
            else entry.known("default", "description", "options", "regex", "rules", "type")
        )
        for part in ("regex", "rules"):
            if part in parts:
                parts[part].warn("the sandbox does not hold inputs against it")
        if name in self._file.inputs:
            value = self._file.inputs[name]
        elif isinstance(entry.value, YamlSection) and "default" in entry.value:
            value = entry.value["default"]
        else:
            entry.refuse("must have a value: in the sandbox its `default`, or what an `include` gives it")
        options = parts["options"].texts() if "options" in parts else (value,)
        if value not in options:
            entry.refuse(f"must be one of {', '.join(options)}: `{value}`")
        return value if isinstance(value, str) else json.dumps(value)

    def _replacement(self, block: re.Match[str]) -> str:
        access, *functions = (part.strip() for part in block[1].split("|"))
        name = _NAME.fullmatch(access)
        line = Line(self._line(block), self._file.name)
        if name is None or name[1] not in self._values:
            raise PipelineError(f"no input is called so: `{block[0]}`", line=line)
        for function in functions:
            text = f"`{function.partition('(')[0]}` is not done by the sandbox: the value stays as it is"
            self._warnings.append(PipelineWarning(job="", key=access, text=text, line=line))
        self._budget.take_text(self._values[name[1]], line)
        return self._values[name[1]]

    def _line(self, block: re.Match[str]) -> int:
        """Of the file: the body begins below the header."""
        before = self._file.text.count("\n") - block.string.count("\n")
        return before + block.string.count("\n", 0, block.start()) + 1
