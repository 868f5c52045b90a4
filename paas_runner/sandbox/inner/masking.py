"""Hiding masked values in a stream of bytes that is cut anywhere."""

import re
from collections.abc import Iterable

MASK = b"[MASKED]"  # spec gitlab-runner-api.md §10.8


class Masker:
    """Replaces each secret, the longest that fits first; how the stream is cut makes no difference."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({secret.encode() for secret in secrets if secret}, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets))) if self._secrets else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be shown after `data` has come; the beginning of a possible secret is held back."""
        if self._pattern is None:
            return data
        text, shown, done = self._held + data, bytearray(), 0
        hold = self._possible_beginning(text, 0)
        while (match := self._pattern.search(text, done)) and match.start() < hold:
            shown += text[done : match.start()] + MASK
            done = match.end()
            hold = max(hold, self._possible_beginning(text, done))
        shown += text[done:hold]
        self._held = text[hold:]
        return bytes(shown)

    def flush(self) -> bytes:
        """The rest, when nothing will follow."""
        rest, self._held = self._held, b""
        return self._pattern.sub(MASK, rest) if self._pattern else rest

    def _possible_beginning(self, text: bytes, start: int) -> int:
        """Where, at or after `start`, the end of `text` could be the beginning of a secret."""
        longest = len(self._secrets[0])
        for position in range(max(start, len(text) - longest + 1), len(text)):
            if any(secret.startswith(text[position:]) for secret in self._secrets):
                return position
        return len(text)
