"""What runs on a host of the simulated cloud, and how it is given."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import attrs


@attrs.frozen(kw_only=True)
class HostFiles:
    """Everything that one launched host has: the files of the pushed commit by path, and its environment."""

    files: Mapping[str, bytes] = attrs.field(repr=False)
    environment: Mapping[str, str] = attrs.field(repr=False)


HostProgram: TypeAlias = Callable[[HostFiles], Awaitable[int]]
"""The container's command: returns its exit code; when cancelled it first ends everything it started."""
