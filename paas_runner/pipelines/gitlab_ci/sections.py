"""What YAML text is read into: mappings that remember their lines, and references to be followed later."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs


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

    def without(self, *keys: str) -> "YamlSection":
        """A copy that lacks `keys`."""
        return YamlSection(((key, value) for key, value in self.items() if key not in keys), self.lines)


@attrs.frozen
class YamlReference:
    """`!reference [section, key, …]`."""

    path: tuple[str, ...]
    line: int


def measured(value: Any, most: int) -> tuple[int, int]:
    """How many values are in `value`, as often as aliases repeat them, and how deeply; counts to `most`."""
    count, depth = 1, 0
    level = [value]
    while level:
        below: list[Any] = []
        for each in level:
            below.extend(each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
            if count + len(below) > most:
                return count + len(below), depth
        count, depth, level = count + len(below), depth + 1, below
    return count, depth
