"""Hiding the credentials of a task in what it writes, before anything of it is written (§8).

Hidden are the value, its lines, and the forms in which values travel: base64, URL, JSON, also inside of JSON,
and what shells make of them: quoted, and its words. Values of fewer than 8 characters are not: they would
take ordinary words with them.
"""

import base64
import json
import re
import shlex
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Protocol
from urllib.parse import quote, quote_plus

from paas_runner.inner.masking import Masker
from paas_runner.inner.secret_search import Search
from paas_runner.pipelines.states import HeldBack
from paas_runner.secret import Secret

SHORTEST = 8


class _Output(Protocol):
    def stdout(self, data: bytes) -> None: ...

    def stderr(self, data: bytes) -> None: ...


def forms(secret: Secret) -> frozenset[str]:
    """All texts as which a value may appear."""
    value = secret.reveal()
    lines = value.splitlines()
    whole = {value, value.strip(), " ".join(value.split()), *lines, *(line.strip() for line in lines)}
    found = {text for text in whole if len(text) >= SHORTEST}
    for text in tuple(found):
        found |= {quote(text, safe=""), quote(text), quote_plus(text)}
        for written in (json.dumps(text), json.dumps(text, ensure_ascii=False)):
            found |= {written[1:-1], json.dumps(written[1:-1])[1:-1]}
        found |= _in_a_shell(text)
        found |= _in_base64(text)
    return frozenset(found)


def _in_a_shell(text: str) -> AbstractSet[str]:
    """As `set -x` and `printf %q` of bash, its quoted texts of several lines, and Python write it."""
    ansi = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    escaped = re.sub(r"([^\w@%+=:./-])", r"\\\1", text, flags=re.ASCII)
    unicode = re.sub(r"([^\w@%+=:./\u0080-\U0010ffff-])", r"\\\1", text, flags=re.ASCII)
    return {
        text.replace("'", "'\\''"),
        shlex.quote(text).removeprefix("'").removesuffix("'"),
        ansi,
        escaped,
        unicode,
    }


def _in_base64(text: str) -> AbstractSet[str]:
    """Encoded alone, and as it appears inside of something longer, wherever it begins there."""
    data = text.encode(errors="replace")
    found = {base64.b64encode(data).decode().rstrip("=")}
    for before in range(3):
        begin = (before * 4 + 2) // 3  # characters that depend on what is before it
        encoded = base64.b64encode(b"\0" * before + data).decode()
        found.add(encoded[begin : len(encoded) - 4 if encoded.endswith("=") else None])
    both = {each.translate(str.maketrans("+/", "-_")) for each in found} | found
    return {each for each in both if len(each) >= SHORTEST}


class MaskedOutput:
    """An output that passes on everything but secrets; to be closed when nothing more comes."""

    def __init__(self, output: _Output, secrets: Iterable[Secret]) -> None:
        shown = {form for secret in secrets for form in forms(secret)}
        self._output = output
        self._out, self._err = Masker(shown), Masker(shown)

    def stdout(self, data: bytes) -> None:
        """The beginning of what may be a secret is held back."""
        if shown := self._out.feed(data):
            self._output.stdout(shown)

    def stderr(self, data: bytes) -> None:
        """The same."""
        if shown := self._err.feed(data):
            self._output.stderr(shown)

    def close(self) -> None:
        """Pass on what was held back."""
        if shown := self._out.flush():
            self._output.stdout(shown)
        if shown := self._err.flush():
            self._output.stderr(shown)


class Starred:
    """Hides secrets in the pieces of a trace without changing its length; called with one after the other.

    At the end of a piece what may be the beginning of a secret is hidden, too: the rest may be in the next
    one, and this one is written by then. Where it is not, it is shown with the next piece, unless another
    process has had it: nobody keeps it anywhere.
    """

    def __init__(self, secrets: Iterable[Secret]) -> None:
        found = {form.encode(errors="replace") for secret in secrets for form in forms(secret)}
        self._search = Search(found) if found else None
        self._last = HeldBack()

    def __call__(self, data: bytes, before: HeldBack) -> tuple[bytes, HeldBack]:
        """The piece with what was held back before it, if that is known, and what is held back now."""
        if self._search is None:
            return data, before
        held = self._search.beginning(before.state)
        if len(held) != before.count:  # of other secrets
            held, before = b"", HeldBack()
        shown, hits = bytearray(held + data), list[tuple[int, int]]()
        _star(shown, 0, before.covered)
        self._search.begin()
        for start, end in self._search.over(held + data, 0):
            _star(shown, start, end)
            hits.append((start, end))
        begin = len(shown) - self._search.pending
        covered = max([before.covered, *(end for start, end in hits if start < begin)])
        _star(shown, begin, len(shown))
        known, self._last = (
            before == self._last,
            HeldBack(self._search.state, self._search.pending, max(0, covered - begin)),
        )
        return bytes(shown if known else shown[len(held) :]), self._last


def unread(data: bytes, before: HeldBack) -> tuple[bytes, HeldBack]:
    """A piece of a trace whose secrets nobody knows any more: its lines, and nothing of them."""
    return re.sub(rb"[^\n]", b"*", data), before


def _star(text: bytearray, start: int, end: int) -> None:
    text[start:end] = b"*" * (end - start)


def masked(text: str, secrets: Iterable[Secret]) -> str:
    """A text of ours without them: an error, say."""
    masker = Masker({form for secret in secrets for form in forms(secret)})
    return (masker.feed(text.encode(errors="replace")) + masker.flush()).decode(errors="replace")
