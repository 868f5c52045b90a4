"""Hiding secrets in a stream of bytes that is cut anywhere (spec gitlab-runner-api.md §10.8).

Three filters, each fed with what the one before it shows: masked values, tokens by their prefix, credentials
among a URL's parameters. How the stream is cut makes no difference to what comes out in the end.
"""

import heapq
import re
from collections.abc import Iterable, Sequence
from typing import Protocol

from paas_runner.inner.secret_search import Search

MASK = b"[MASKED]"
KNOWN_PREFIXES = (
    "glpat-",
    *("gloas-", "gldt-", "glrt-", "glrtr-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glwt-"),
    *("glsoat-", "glffct-", "gltok-", "_gitlab_session=", "GR1348941"),
)
_TOKEN = rb"[A-Za-z0-9_.=-]"
_PARAMETERS = (
    *("private_token", "authenticity_token", "rss_token"),
    *("x-amz-signature", "x-amz-credential", "x-amz-security-token"),
)
_PARAMETER_VALUE = rb"[^?&\s\x00-\x1f\x7f]"


class Filter(Protocol):
    """One filter of a stream."""

    def feed(self, data: bytes) -> bytes:
        """What may be shown after `data` has come."""

    def flush(self) -> bytes:
        """The rest, when nothing will follow."""


class Masks:
    """All filters of one job's trace."""

    def __init__(self, secrets: Iterable[str], prefixes: Iterable[str] | None = ()) -> None:
        """Without `prefixes` all comes as it is, for a program that reads it."""
        self._filters: tuple[Filter, ...] = ()
        if prefixes is None:
            return
        starts = [f"{before}{name}=" for name in _PARAMETERS for before in "?&"]
        self._filters = (
            Masker(secrets),
            RunMasker((*KNOWN_PREFIXES, *filter(None, prefixes)), _TOKEN),
            RunMasker(starts, _PARAMETER_VALUE, ignore_case=True),
        )

    def feed(self, data: bytes) -> bytes:
        """What may be shown after `data` has come."""
        for step in self._filters:
            data = step.feed(data)
        return data

    def flush(self) -> bytes:
        """The rest, when nothing will follow."""
        data = b""
        for step in self._filters:
            data = step.feed(data) + step.flush()
        return data


class Masker:
    """Replaces each secret: of those that overlap the one that begins first, and of these the longest."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {secret.encode(errors="replace") for secret in secrets if secret}
        self._search = Search(found) if found else None
        self._found: list[tuple[int, int]] = []  # a heap: where one begins, minus its length
        self._held = b""
        self._held_from = 0  # its place in the whole stream, as are those of what was found

    def feed(self, data: bytes) -> bytes:
        """What may be shown; the beginning of a possible secret is held back."""
        if self._search is None:
            return data
        text, known = self._held + data, len(self._held)
        for start, end in self._search.over(text, known):
            heapq.heappush(self._found, (self._held_from + start, start - end))
        return self._shown(text, self._search)

    def flush(self) -> bytes:
        """The rest; a secret may be whole in it while a longer one was still possible."""
        if self._search is None:
            return b""
        self._search.forget(0)
        return self._shown(self._held, self._search)

    def _shown(self, text: bytes, search: Search) -> bytes:
        """All that no secret can begin in any more; `text` is what was held, and what came after it."""
        shown, done, size = bytearray(), 0, len(text)
        while self._found and (start := self._found[0][0] - self._held_from) < size - search.pending:
            _, length = heapq.heappop(self._found)
            if start >= done:
                shown += text[done:start] + MASK
                done = start - length
                search.forget(size - done)
        hold = max(done, size - search.pending)
        shown += text[done:hold]
        self._held = text[hold:]
        self._held_from += hold
        return bytes(shown)


class RunMasker:
    """Keeps each of some beginnings and replaces the run of characters of one kind that follows it."""

    def __init__(self, beginnings: Iterable[str], kind: bytes, *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._beginnings = _prefix_free({text.encode() for text in beginnings})
        flags = re.IGNORECASE if ignore_case else 0
        self._pattern = re.compile(_one_of(self._beginnings), flags)
        self._run = re.compile(kind + b"*")
        self._held = b""
        self._begun = False  # the last thing shown is a beginning
        self._masking = False  # the last thing shown is the mask

    def feed(self, data: bytes) -> bytes:
        """What may be shown; the mask shows as soon as the first character of a run has come."""
        return self._shown(data, final=False)

    def flush(self) -> bytes:
        """The rest, when nothing will follow."""
        return self._shown(b"", final=True)

    def _shown(self, data: bytes, *, final: bool) -> bytes:
        text, self._held = self._held + data, b""
        shown, done = bytearray(), 0
        look = text.lower() if self._ignore_case else text
        hold = len(text) if final else _possible_beginning(look, 0, self._beginnings)
        while done < len(text):
            if self._begun or self._masking:
                done = self._swallowed(text, done, shown)
                continue
            if hold < done and not final:
                hold = _possible_beginning(look, done, self._beginnings)
            done = self._copied(text, done, shown, hold)
        return bytes(shown)

    def _swallowed(self, text: bytes, done: int, shown: bytearray) -> int:
        """Pass over a run; returns where it ends in the text."""
        run = self._run.match(text, done)
        end = run.end() if run else done
        if end > done and self._begun:
            shown += MASK
            self._begun, self._masking = False, True
        if end < len(text):
            self._begun = self._masking = False
        return end

    def _copied(self, text: bytes, done: int, shown: bytearray, hold: int) -> int:
        """Show the text up to and with the next beginning, and not beyond `hold`, where one may begin."""
        if (match := self._pattern.search(text, done)) and match.start() < hold:
            shown += text[done : match.end()]
            self._begun = True
            return match.end()
        shown += text[done:hold]
        self._held = text[hold:]
        return len(text)


def _prefix_free(wanted: set[bytes]) -> list[bytes]:
    """Without those that begin with another: it is found first anyway."""
    found = [item for item in wanted if not any(item != other and item.startswith(other) for other in wanted)]
    return sorted(found, key=len, reverse=True)


def _one_of(wanted: Sequence[bytes]) -> bytes:
    """A pattern that looks at the first two bytes before it tries each; the longest comes first."""
    groups: dict[bytes, list[bytes]] = {}
    for item in wanted:
        groups.setdefault(item[:1], []).append(re.escape(item[1:]))
    return b"|".join(re.escape(first) + b"(?:" + b"|".join(rest) + b")" for first, rest in groups.items())


def _possible_beginning(text: bytes, start: int, wanted: list[bytes]) -> int:
    """Where, at or after `start`, the end of `text` could become one of `wanted` (the longest is first)."""
    firsts = {item[0] for item in wanted}
    for position in range(max(start, len(text) - len(wanted[0]) + 1), len(text)):
        if text[position] in firsts and any(item.startswith(text[position:]) for item in wanted):
            return position
    return len(text)
