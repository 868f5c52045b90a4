"""Hiding secrets in a stream of bytes that is cut anywhere (spec gitlab-runner-api.md §10.8).

Three filters, each fed with what the one before it shows: masked values, tokens by their prefix, credentials
among a URL's parameters. How the stream is cut makes no difference to what comes out in the end.
"""

import re
from collections.abc import Iterable
from typing import Protocol

MASK = b"[MASKED]"
KNOWN_PREFIXES = (
    "glpat-",
    *("gloas-", "gldt-", "glrt-", "glcbt-", "glptt-", "glft-", "glimt-", "glagent-", "glsoat-", "glffct-"),
    "_gitlab_session=",
    "gltok-",
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

    def __init__(self, secrets: Iterable[str], prefixes: Iterable[str] = ()) -> None:
        starts = [f"{before}{name}=" for name in _PARAMETERS for before in "?&"]
        self._filters: tuple[Filter, ...] = (
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
    """Replaces each secret, the longest that fits first."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {secret.encode(errors="replace") for secret in secrets if secret}
        self._secrets = sorted(found, key=len, reverse=True)
        self._pattern = re.compile(b"|".join(map(re.escape, self._secrets))) if self._secrets else None
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What may be shown; the beginning of a possible secret is held back."""
        if self._pattern is None:
            return data
        text, shown, done = self._held + data, bytearray(), 0
        hold = _possible_beginning(text, 0, self._secrets)
        while (match := self._pattern.search(text, done)) and match.start() < hold:
            shown += text[done : match.start()] + MASK
            done = match.end()
            hold = max(hold, _possible_beginning(text, done, self._secrets))
        shown += text[done:hold]
        self._held = text[hold:]
        return bytes(shown)

    def flush(self) -> bytes:
        """The rest; a secret may be whole in it while a longer one was still possible."""
        rest, self._held = self._held, b""
        return self._pattern.sub(MASK, rest) if self._pattern else rest


class RunMasker:
    """Keeps each of some beginnings and replaces the run of characters of one kind that follows it."""

    def __init__(self, beginnings: Iterable[str], kind: bytes, *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._beginnings = _prefix_free({text.encode() for text in beginnings})
        flags = re.IGNORECASE if ignore_case else 0
        self._pattern = re.compile(b"|".join(map(re.escape, self._beginnings)), flags)
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
        while done < len(text):
            if self._begun or self._masking:
                done = self._swallowed(text, done, shown)
            else:
                done = self._copied(text, done, shown, final=final)
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

    def _copied(self, text: bytes, done: int, shown: bytearray, *, final: bool) -> int:
        """Show the text up to and with the next beginning, and no further than what could become one."""
        look = text.lower() if self._ignore_case else text
        hold = len(text) if final else _possible_beginning(look, done, self._beginnings)
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


def _possible_beginning(text: bytes, start: int, wanted: list[bytes]) -> int:
    """Where, at or after `start`, the end of `text` could become one of `wanted` (the longest is first)."""
    firsts = {item[0] for item in wanted}
    for position in range(max(start, len(text) - len(wanted[0]) + 1), len(text)):
        if text[position] in firsts and any(item.startswith(text[position:]) for item in wanted):
            return position
    return len(text)
