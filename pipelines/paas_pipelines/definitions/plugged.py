"""Types of tasks and executors that are not built in, as reading files needs them: names, and how settings of
each are checked. Who knows plug-ins hands this in; nothing here imports one.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs

Path: TypeAlias = tuple[str, ...]
Check: TypeAlias = Callable[[Mapping[str, Any]], Iterable[tuple[Path, str]]]
"""What is wrong with settings: the path of a key in them, and a sentence."""


@attrs.frozen(kw_only=True)
class Plugged:
    """Checks by the name of the type."""

    actions: Mapping[str, Check] = attrs.field(factory=dict)
    """Types of tasks; each is the key of its settings, too."""

    executors: Mapping[str, Check] = attrs.field(factory=dict)
    """Types of executors, whose settings stand beside `type`."""

    def of_action(self, name: str, settings: Mapping[str, Any], at: Path) -> Iterator[tuple[Path, str]]:
        """What is wrong with those of a task; `at` is where they stand."""
        yield from _below(at, self.actions[name](settings))

    def of_executor(self, name: str, settings: Mapping[str, Any], at: Path) -> Iterator[tuple[Path, str]]:
        """The same of an executor."""
        yield from _below(at, self.executors[name](settings))


def _below(at: Path, found: Iterable[tuple[Path, str]]) -> Iterator[tuple[Path, str]]:
    for path, text in found:
        yield (*at, *path), text


NOTHING_PLUGGED = Plugged()
"""All types are built in."""
