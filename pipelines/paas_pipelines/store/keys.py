"""Keys that tell a repetition: kept for a while, looked up on the disk, never loaded.

A million of them costs the disk some hundred bytes each, and neither memory nor a moment of the start.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import attrs

from paas_pipelines.store.journal import Journal


@attrs.frozen
class Keys:
    """Those of one kind of the journal."""

    journal: Journal
    kind: str
    kept: timedelta
    _looks: list[dict[str, str]] = attrs.field(init=False, factory=list)
    """What was put while somebody looks, who perhaps has asked the disk before."""

    async def found(self, keys: Iterable[str]) -> Mapping[str, str]:
        """What is known of these, as of the moment of the return; raises `StoreError`.

        Until the caller's next await nobody else can put one that is not among them.
        """
        wanted = list(dict.fromkeys(keys))
        meanwhile: dict[str, str] = {}
        self._looks.append(meanwhile)
        try:
            texts = await asyncio.gather(*(self.journal.text(self.kind, key) for key in wanted))
        finally:
            self._looks[:] = [each for each in self._looks if each is not meanwhile]
        stored = {key: text for key, text in zip(wanted, texts, strict=True) if text is not None}
        return stored | {key: meanwhile[key] for key in wanted if key in meanwhile}

    def put(self, key: str, text: str, now: datetime) -> None:
        """With what is put before the next await."""
        self.journal.put(self.kind, key, text, until=now + self.kept)
        for each in self._looks:
            each[key] = text

    def remove(self, key: str) -> None:
        self.journal.put(self.kind, key, None)
        for each in self._looks:
            each.pop(key, None)

    def forget_old(self, now: datetime) -> None:
        """Those whose time is over, a bounded number of them."""
        self.journal.forget(self.kind, now)


def key_of(*parts: str) -> str:
    """A key of the journal for what may be long, and may have any letter."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:40]
