"""The text of a configuration with one section more or less, and the draft of that section.

Every other byte of the text stays as it is. Each result is read back with `tomllib` before it is returned,
and must mean exactly what was wanted. A `Draft` has plain values of TOML, secrets among them.
"""

import copy
import re
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from paas_runner.config.lines import line_of
from paas_runner.config.secret_references import is_literal
from paas_runner.errors import Exit, RunnerError
from paas_runner.secret import Secret
from paas_runner.settings import declared


class UneditableError(RunnerError):
    """The text cannot be changed safely; what to do by hand."""

    exit_code = Exit.CONFIG


def parsed(text: str) -> dict[str, Any]:
    """What it says; raises `UneditableError` without the parser's own words, which may quote a secret."""
    found = _parsed_or_none(text)
    if found is None:
        raise UneditableError("this file is not valid TOML: mend it first")
    return found


def with_section(text: str, section: Mapping[str, Any]) -> str:
    """`text` with another `[[runners]]` section at its end; raises `UneditableError`."""
    before = parsed(text)
    present = before.get("runners", [])
    expected = {**before, "runners": [*present, section]}
    appended = _without_empty_list(text) if present == [] and "runners" in before else text
    appended = _appended(appended, tomlkit.dumps({"runners": [section]}))
    if _parsed_or_none(appended) != expected:
        raise UneditableError(
            "a section cannot be added to this file, whose `runners` are written in one line: "
            "write them as [[runners]] sections"
        )
    return appended


def without_section(text: str, index: int) -> str:
    """`text` without the `[[runners]]` section of that number, from 0; comments after its last key stay.

    Raises `UneditableError`.
    """
    before = parsed(text)
    left = [section for number, section in enumerate(before["runners"]) if number != index]
    expected = {**before, "runners": left} if left else _without_runners(before)
    lines = text.split("\n")  # the only end of a line that TOML knows, with or without a \r before it
    start = line_of(text, ("runners", index)) - 1
    for end in range(start + 1, len(lines) + 1):
        shorter = "\n".join(lines[:start] + lines[end:])
        if _parsed_or_none(shorter) == expected:
            return shorter
    raise UneditableError(
        f"section {index + 1} of `runners` does not stand in one piece: remove it from the file by hand"
    )


def with_entries(text: str, entries: Mapping[str, str]) -> str:
    """`text`, a flat table, with more keys at its end; raises `UneditableError`."""
    before = parsed(text)
    extended = _appended(text, tomlkit.dumps(entries))
    if _parsed_or_none(extended) != {**before, **entries}:
        raise UneditableError("keys cannot be added to this file: it must be a flat table without sections")
    return extended


def new_document(state_file: str, concurrent: int) -> str:
    """The beginning of a new configuration."""
    return tomlkit.dumps({"concurrent": concurrent, "state_file": state_file})


def _appended(text: str, addition: str) -> str:
    end = "\r\n" if "\r\n" in text else "\n"
    gap = "" if not text or text.endswith("\n") else end
    blank = end if text.strip() and addition.startswith("[") else ""
    return text + gap + blank + addition.replace("\n", end)


def _without_empty_list(text: str) -> str:
    try:
        document = tomlkit.parse(text)
    except TOMLKitError:
        return text
    document.remove("runners")
    return document.as_string()


def _without_runners(document: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != "runners"}


def _parsed_or_none(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None


_FIRST_KEYS = ("name", "url", "id", "token", "executor", "secrets_file")
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]+")


class Draft:
    """The section; keys have dots where they stand in a sub-table: `docker.image`."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        """Begin with a copy of `table`."""
        self._table = copy.deepcopy(dict(table))

    def copy(self) -> "Draft":
        """Another one with the same content."""
        return Draft(self._table)

    def get(self, key: str) -> Any:
        """The value, None if there is none."""
        value: Any = self._table
        for step in key.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return value

    def put(self, key: str, value: Any) -> None:
        """Set the value; a sub-table is made where there is none."""
        *tables, last = key.split(".")
        table = self._table
        for step in tables:
            if not isinstance(table.get(step), dict):
                table[step] = {}
            table = table[step]
        table[last] = value

    @property
    def table(self) -> Mapping[str, Any]:
        """What would be written: the best known keys first, sub-tables last."""
        known = {key: self._table[key] for key in _FIRST_KEYS if key in self._table}
        rest = {key: value for key, value in self._table.items() if key not in known}
        return known | dict(sorted(rest.items(), key=lambda item: isinstance(item[1], dict)))

    def with_secrets_apart(
        self, keys: Collection[str], *, taken: Collection[str]
    ) -> tuple["Draft", dict[str, str]]:
        """The same with references instead of its literal secrets, and these by their names in a file.

        `keys` are those of the section that are secrets, `taken` the names that the file has already.
        """
        literal = {key: self._table[key] for key in keys if is_literal(self._table.get(key))}
        prefix = _NOT_IN_NAMES.sub("-", str(self._table.get("name", ""))).strip("-") or "runner"
        names = unused_keys(taken, [f"{prefix}-{key}" for key in literal])
        other, secrets = self.copy(), {}
        for key, value in literal.items():
            name = names[f"{prefix}-{key}"]
            secrets[name] = value
            other.put(key, f"secret:{name}")
        return other, secrets


def unused_keys(taken: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """For each wanted key one that is not taken: itself, or itself and a number."""
    known, found = set(taken), {}
    for key in wanted:
        free, number = key, 2
        while free in known:
            free, number = f"{key}-{number}", number + 1
        known.add(free)
        found[key] = free
    return found


def secret_keys(settings: type[Any]) -> Iterator[str]:
    """The keys of a settings class that are secrets."""
    return (key.written for key in declared(settings) if key.kind is Secret)
