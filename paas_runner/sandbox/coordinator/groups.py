"""Groups and their custom attributes (spec gitlab-runner-api.md §7.2)."""

from collections.abc import Mapping


class Groups:
    """Attributes by group; ids are given in the order in which the groups appear."""

    def __init__(self, groups: Mapping[str, Mapping[str, str]]) -> None:
        self._attributes = {path: dict(attributes) for path, attributes in groups.items()}

    def ensure(self, path: str) -> None:
        """Let the group exist."""
        self._attributes.setdefault(path, {})

    def attributes(self, group: str) -> dict[str, str]:
        """The attributes of a group named by its full path or its id; raises KeyError."""
        return self._attributes[self._path(group)]

    def top_level(self) -> Mapping[str, Mapping[str, str]]:
        """The attributes of every group that is in no other, by path."""
        return {path: values for path, values in self._attributes.items() if "/" not in path}

    def id_of(self, path: str) -> int:
        """A group's number, from 1; raises KeyError."""
        for number, known in enumerate(self._attributes, 1):
            if known == path:
                return number
        raise KeyError(path)

    def _path(self, group: str) -> str:
        if group.isascii() and group.isdigit():
            paths = list(self._attributes)
            if not 1 <= int(group) <= len(paths):
                raise KeyError(group)
            return paths[int(group) - 1]
        return group
