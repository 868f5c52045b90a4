"""Where the control socket is, and how to name it to the kernel however long its path is."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST_ADDRESS_BYTES = 107
"""What a socket's address holds (unix(7): `sun_path` has 108 bytes, one of them ends it)."""


def control_path(state: Path) -> Path:
    """The socket stands beside the state file."""
    return state.with_suffix(".control.sock")


@contextmanager
def address(path: Path) -> Iterator[str]:
    """A name of `path` that fits into a socket's address, valid inside; raises OSError.

    A path that is too long is reached through its open folder.
    """
    if len(os.fsencode(path)) <= LONGEST_ADDRESS_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
