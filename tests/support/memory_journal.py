"""A journal without a disk."""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path


class MemoryJournal:
    """Nothing of it is on a disk: it is gone with the process."""

    trouble = ""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, str], str] = {}
        self._untils: dict[tuple[str, str], datetime] = {}

    def put(self, kind: str, key: str, text: str | None, *, until: datetime | None = None) -> None:
        self._untils.pop((kind, key), None)
        if until is not None:
            self._untils[kind, key] = until
        if text is None:
            self.texts.pop((kind, key), None)
        else:
            self.texts[kind, key] = text

    def forget(self, kind: str, now: datetime) -> None:
        for place, until in list(self._untils.items()):
            if place[0] == kind and until <= now:
                self.put(*place, None)

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
