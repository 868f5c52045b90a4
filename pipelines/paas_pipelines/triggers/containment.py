"""`match`: whether a payload has what a trigger wants of it (palvella's comparison, at every depth)."""

from typing import Any


def match(pattern: Any, data: Any) -> bool:
    """Whether `pattern` is contained in `data`; both are values of JSON.

    Of a mapping every key is there and its value contains the pattern's; every item of a list is contained
    in some item of the other; all else is equal, and true is no 1. Costs at most one look at each pair of
    values, since each is reached from its parent's alone.
    """
    if isinstance(pattern, dict):
        if not isinstance(data, dict):
            return False
        return all(name in data and match(value, data[name]) for name, value in pattern.items())
    if isinstance(pattern, list | tuple):
        if not isinstance(data, list):
            return False
        return all(_is_in_some(item, data) for item in pattern)
    if isinstance(pattern, bool) or isinstance(data, bool):
        return pattern is data
    return bool(pattern == data)


def misfit(pattern: Any, data: Any) -> str:
    """The keys, joined by dots, to the first value of `data` that is missing or does not match."""
    path: list[str] = []
    while isinstance(pattern, dict) and isinstance(data, dict):
        found = data
        name = next(
            (key for key, each in pattern.items() if key not in found or not match(each, found[key])), None
        )
        if name is None:
            break
        path.append(name)
        pattern, data = pattern[name], data.get(name)
    return ".".join(path)


def _is_in_some(item: Any, data: list[Any]) -> bool:
    return any(match(item, other) for other in data)
