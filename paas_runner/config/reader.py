"""A strict reader of tables into settings classes: those whose fields `paas_runner.settings.setting` makes.

It reads to the end whatever is wrong, and notes each fault with the path of its key. cattrs could do it, but
would need a hook for every type, a factory for renamed keys and minima, and as many lines again to turn its
nested exceptions back into paths; what it would save is the loop in `values`.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import date, datetime, time
from typing import Any

import attrs

from paas_runner.config.complaints import UNKNOWN_KEY, Findings
from paas_runner.config.lines import KeyPath
from paas_runner.config.secret_references import Surroundings, has_literal_password, is_literal
from paas_runner.config.spelling import spelled
from paas_runner.database_url import DatabaseUrl
from paas_runner.plain_text import did_you_mean
from paas_runner.secret import Secret
from paas_runner.setting_types import (
    LARGEST_INTEGER,
    SCALARS,
    TABLE_OF_LISTS,
    TEXTS,
    SecretText,
    UnfitError,
    class_of_tables,
)
from paas_runner.settings import Key, PluginKind, contradictions, declared, keys_of

Plugins = Mapping[str, Callable[[], PluginKind]]
"""What is installed of one kind, by name; calling a value imports it."""

_QUOTED_CHARACTERS = 60
_NAMES: Mapping[type, str] = {
    str: "text",
    bool: "boolean",
    int: "whole number",
    float: "number",
    datetime: "date and time",
    date: "date",
    time: "time",
    list: "list",
    dict: "table",
}


def described(raw: Any, *, quote: bool) -> str:
    """A value of the file for a complaint: itself if it is short and may be shown, and what it is."""
    name = _NAMES[type(raw)]
    if raw == "":
        return "an empty text"
    if not quote or isinstance(raw, list | dict):
        return f"a {name}"
    if isinstance(raw, str):
        short = raw if len(raw) <= _QUOTED_CHARACTERS else raw[:_QUOTED_CHARACTERS] + "…"
        return f'"{short}" ({name})'
    if isinstance(raw, bool):
        return f"{str(raw).lower()} ({name})"
    if isinstance(raw, int) and abs(raw) >= LARGEST_INTEGER:
        return "a whole number beyond 64 bits"
    return f"{raw} ({name})"


@attrs.frozen(kw_only=True)
class Reader:
    """Reads one file's tables; `aliases` are, by class, names that are accepted for keys with a warning."""

    findings: Findings
    around: Surroundings
    aliases: Mapping[type[Any], Mapping[str, str]]

    def values(self, cls: type[Any], table: Mapping[str, Any], at: KeyPath) -> dict[str, Any]:
        """The fields of `cls` that `table` gives, None for a wrong one; other keys are not looked at."""
        values = {}
        for key in declared(cls):
            written = self._written(cls, key.written, table, at)
            if written is not None:
                values[key.field] = self._value(key, table[written], (*at, written))
            elif key.required:
                self.findings.wrong((*at, key.written), "nothing", expected=key.expected)
        return values

    def instance(self, cls: type[Any], table: Mapping[str, Any], at: KeyPath) -> Any:
        """An instance of `cls` from its keys in `table`; None if a fault was noted."""
        before = len(self.findings.faults)
        values = self.values(cls, table, at)
        if len(self.findings.faults) > before:
            return None
        instance = cls(**values)
        for key, sentence in contradictions(instance):
            self.findings.wrong((*at, key), sentence)
        return None if len(self.findings.faults) > before else instance

    def plugin(
        self,
        table: Mapping[str, Any],
        at: KeyPath,
        plugins: Plugins,
        *,
        key: str,
        name: str,
        known: Collection[str],
    ) -> Any:
        """The settings of the plugin `name`, which `table` names by `key`, from the same table.

        None if a fault was noted. Only the plugin knows which keys of the table beside the `known` ones are
        right: without it none is called unknown.
        """
        at_key = (*at, key)
        if name not in plugins:
            names = ", ".join(sorted(plugins)) or "there is none"
            found, expected = described(table[key], quote=True), f"an installed {key} ({names})"
            self.findings.wrong(at_key, found, expected=expected, hint=did_you_mean(name, plugins))
            return None
        try:
            kind = plugins[name]()
        except (ImportError, AttributeError) as error:
            self.findings.wrong(at_key, f"the {key} {name} cannot be loaded: {error}")
            return None
        before = len(self.findings.faults)
        known = keys_of(kind.settings) | set(known)
        table = spelled(table, at, known, self.findings)
        self.refuse_unknown(table, at, known)
        instance = self.instance(kind.settings, table, at)
        return None if len(self.findings.faults) > before else instance

    def refuse_unknown(self, table: Mapping[str, Any], at: KeyPath, known: Collection[str]) -> None:
        """Note every key of `table` that is not `known`, with the nearest one that is."""
        for key in table:
            if key not in known:
                self.findings.wrong((*at, key), UNKNOWN_KEY, hint=did_you_mean(key, known))

    def _written(self, cls: type[Any], key: str, table: Mapping[str, Any], at: KeyPath) -> str | None:
        """The name by which `table` has the key, if it has it."""
        found = key if key in table else None
        for alias, meant in self.aliases.get(cls, {}).items():
            if meant != key or alias not in table:
                continue
            if found:
                self.findings.wrong((*at, alias), f"another name of `{key}`, which is also there; keep one")
            else:
                self.findings.warn((*at, alias), f"accepted, but its name is `{key}`")
                found = alias
        return found

    def _value(self, key: Key, raw: Any, at: KeyPath) -> Any:
        """A single value, a sub-table's instance or a table of texts; None if a fault was noted."""
        if key.kind in SCALARS:
            return self._scalar(key, raw, at)
        if key.kind == TEXTS:
            return self._list(raw, at)
        if not isinstance(raw, dict):
            self.findings.wrong(at, described(raw, quote=False), expected=key.expected)
            return None
        if attrs.has(key.kind):
            return self._table(key.kind, raw, at)
        if cls := class_of_tables(key.kind):
            return self._tables(cls, raw, at)
        if key.kind == TABLE_OF_LISTS:
            return {name: self._list(value, (*at, name)) for name, value in raw.items()}
        return self._texts(raw, at)

    def _table(self, cls: type[Any], raw: dict[str, Any], at: KeyPath) -> Any:
        known = keys_of(cls) | self.aliases.get(cls, {}).keys()
        raw = spelled(raw, at, known, self.findings)
        self.refuse_unknown(raw, at, known)
        return self.instance(cls, raw, at)

    def _tables(self, cls: type[Any], raw: dict[str, Any], at: KeyPath) -> dict[str, Any]:
        """Tables with names of the operator's: there is no sense in one that says nothing."""
        if not raw:
            self.findings.wrong(at, "an empty table", expected="a table for each name")
        found = {}
        for name, table in raw.items():
            here, keys = (*at, name), ", ".join(sorted(keys_of(cls)))
            if not isinstance(table, dict):
                self.findings.wrong(here, described(table, quote=False), expected="a table")
            elif not (name and table):
                what = "an empty table" if name else "a table without a name"
                self.findings.wrong(here, what, expected=f"a table with a name and some of {keys}")
            else:
                found[name] = self._table(cls, table, here)
        return found

    def _list(self, raw: Any, at: KeyPath) -> tuple[str, ...] | None:
        if not isinstance(raw, list) or not all(isinstance(each, str) and each for each in raw):
            self.findings.wrong(at, described(raw, quote=False), expected="a list of texts")
            return None
        return tuple(raw)

    def _scalar(self, key: Key, raw: Any, at: KeyPath) -> Any:
        scalar = SCALARS[key.kind]
        if key.kind in (Secret, SecretText) and is_literal(raw):
            self.findings.literal_secrets = True
        try:
            value = scalar.read(raw, self.around)
            key.check_limits(value)
            if isinstance(value, DatabaseUrl) and has_literal_password(raw, value):
                self.findings.literal_secrets = True
        except UnfitError as error:
            if error.args:
                self.findings.wrong(at, str(error))
            else:
                found = described(raw, quote=scalar.quotable)
                hint = did_you_mean(raw, key.choices) if isinstance(raw, str) else ""
                self.findings.wrong(at, found, expected=key.expected, hint=hint)
            return None
        return value

    def _texts(self, raw: dict[str, Any], at: KeyPath) -> dict[str, Any]:
        for key, value in raw.items():
            if not isinstance(value, str):  # never quoted: environments hold credentials
                self.findings.wrong((*at, key), described(value, quote=False), expected="a text")
        return raw
