"""Secrets taken out of all that is about to be written, in every form in which they travel."""

import base64
import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO
from urllib.parse import quote

from structlog.typing import EventDict

from paas_runner.plain_text import shortened
from paas_runner.secret import Secret

_SHORTEST_SECRET = 8  # a shorter one would take ordinary words with it
_WORD = re.compile(r"[A-Za-z0-9_.~-]{8,}")  # what tokens of jobs consist of
_SHORTEST_TOKEN = 16  # of a job; GitLab's have 20 characters at least, a moment to the hour has 13
_PLAIN_WORD = re.compile(r"[a-z_.~-]*")
_SECRET_KEYS = re.compile(r"(?i)(^|_)(token|password|secret|authorization)$")
_HIDDEN = "[secret]"


class Redactor:
    """Takes registered values out of all that is about to be written, in every form in which they travel."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self._tracked: set[str] = set()

    def add(self, secrets: Iterable[Secret]) -> None:
        """Register values; those too short to be distinguished from ordinary words are left out."""
        fresh = {form for secret in secrets for form in _forms(secret.reveal())} - self._known
        if fresh:
            self._known |= fresh
            longest_first = sorted(self._known, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def track(self, token: Secret) -> None:
        """Register a job's token for as long as the job is tracked; there may be thousands of them.

        The coordinator chose it: what is one of our own words, or part of a date, keeps its meaning.
        """
        if len(token.reveal()) >= _SHORTEST_TOKEN and not _PLAIN_WORD.fullmatch(token.reveal()):
            self._tracked.add(token.reveal())

    def untrack(self, token: Secret) -> None:
        """Its job is gone."""
        self._tracked.discard(token.reveal())

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        """As a processor: the whole event, tracebacks included."""
        return {key: self._clean(key, value) for key, value in event.items()}

    def _clean(self, key: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._clean(str(name), part) for name, part in value.items()}
        if isinstance(value, list | tuple | set):
            return [self._clean(key, part) for part in value]
        if isinstance(value, str):
            return _HIDDEN if _SECRET_KEYS.search(key) else self.text(value)
        return value if isinstance(value, int | float | bool | None) else self.text(str(value))

    def text(self, text: str) -> str:
        """`text` without any registered value."""
        text = self._pattern.sub(_HIDDEN, text) if self._pattern else text
        return _WORD.sub(self._without_token, text) if self._tracked else text

    def beginning(self, text: str, most: int) -> str:
        """At most so many characters of `text`: cut afterwards, since half a secret is not found any more."""
        return shortened(self.text(text), most)

    def _without_token(self, word: re.Match[str]) -> str:
        """Looked up, not searched for: the number of jobs costs nothing."""
        bare = word[0].strip(".~")
        return word[0].replace(bare, _HIDDEN) if bare in self._tracked else word[0]


def _forms(value: str) -> set[str]:
    if len(value) < _SHORTEST_SECRET:
        return set()
    return {
        value,
        quote(value, safe=""),
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        base64.b64encode(value.encode()).decode(),
    }


redactor = Redactor()
"""The process's one redactor: secrets are registered where they are read."""


class Lines(logging.StreamHandler[TextIO]):
    """Lines on a stream; of one that cannot be written only that is said: its secrets are still in it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        with contextlib.suppress(OSError, ValueError):
            self.stream.write(f"a line of the log was lost ({record.levelname}): {sys.exc_info()[0]}\n")
