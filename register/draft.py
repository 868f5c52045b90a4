"""The `[[runners]]` section while it is found out: plain values of TOML, secrets among them."""

import copy
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args, get_type_hints

import attrs

from paas_runner.config.secret_references import is_literal
from paas_runner.secret import Secret
from register.document import unused_keys

_FIRST = ("name", "url", "id", "token", "executor", "secrets_file")
_ODD = re.compile(r"[^A-Za-z0-9_-]+")


class Draft:
    """Keys have dots where they stand in a sub-table: `docker.image`."""

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
        known = {key: self._table[key] for key in _FIRST if key in self._table}
        rest = {key: value for key, value in self._table.items() if key not in known}
        return known | dict(sorted(rest.items(), key=lambda item: isinstance(item[1], dict)))

    def with_secrets_apart(
        self, keys: Collection[str], *, taken: Collection[str]
    ) -> tuple["Draft", dict[str, str]]:
        """The same with references instead of its literal secrets, and these by their names in a file.

        `keys` are those of the section that are secrets, `taken` the names that the file has already.
        """
        literal = {key: self._table[key] for key in keys if is_literal(self._table.get(key))}
        prefix = _ODD.sub("-", str(self._table.get("name", ""))).strip("-") or "runner"
        names = unused_keys(taken, [f"{prefix}-{key}" for key in literal])
        other, secrets = self.copy(), {}
        for key, value in literal.items():
            name = names[f"{prefix}-{key}"]
            secrets[name] = value
            other.put(key, f"secret:{name}")
        return other, secrets


def secret_keys(settings: type[Any]) -> Iterator[str]:
    """The keys of a settings class that are secrets."""
    types = get_type_hints(settings)
    for field in attrs.fields(settings):
        hint = types[field.name]
        if "doc" in field.metadata and Secret in (hint, *get_args(hint)):
            yield field.metadata["key"] or field.name
