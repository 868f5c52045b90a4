"""Writing behind: what is put between two awaits reaches the disk together, or not at all.

The rooms that keep records change them in memory and put the text of each here at once. Whoever answers a
client, starts a process or tells anybody waits for `flushed` first. So what the disk has is the state of all
records at one moment, without gaps, and nothing that it does not have was ever acted upon.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Protocol


class Journal(Protocol):
    """Texts by kind and key."""

    @property
    def trouble(self) -> str:
        """Why nothing can be written at this moment; empty as long as it can."""

    def put(self, kind: str, key: str, text: str | None, *, until: datetime | None = None) -> None:
        """Have it written, soon, with all that is put before the next await; None removes it.

        From `until` on it is one of those that `forget` removes.
        """

    def forget(self, kind: str, now: datetime) -> None:
        """Have those of a kind removed whose time is over, a bounded number at once."""

    def grown(self, path: Path) -> None:
        """What was written to a file until now has to be on the disk before what is put until then."""

    def unneeded(self, folder: Path) -> None:
        """Have a folder in the data folder removed when all that is put before the next await is written.

        A note that it is still to be done is written, too: a crash in between leaves nothing behind.
        """

    async def stored(self, kind: str) -> Mapping[str, str]:
        """All of a kind by key, as the disk has it: for the start."""

    async def text(self, kind: str, key: str) -> str | None:
        """One that was put, on the disk or not yet; None without it. Raises `StoreError`."""

    async def flushed(self) -> None:
        """Return when all that was put until now is on the disk; raises `StoreError` where that fails."""
