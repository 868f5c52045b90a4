"""A journal without a disk."""

import shutil
from collections.abc import Mapping
from pathlib import Path


class MemoryJournal:
    """Nothing of it is on a disk: it is gone with the process."""

    trouble = ""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}

    def put(self, kind: str, key: str, text: str | None) -> None:
        if text is None:
            self.texts.pop((kind, key), None)
        else:
            self.texts[kind, key] = text

    def grown(self, path: Path) -> None:
        """Files are where they are."""

    def unneeded(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    async def stored(self, kind: str) -> Mapping[str, str]:
        return {key: text for (other, key), text in self.texts.items() if other == kind}

    async def text(self, kind: str, key: str) -> str | None:
        return self.texts.get((kind, key))

    async def flushed(self) -> None:
        """At once."""
