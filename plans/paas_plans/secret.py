"""Which fields of requests and responses are secrets, and what keeps them from being read.

A field is marked with `secret()` or `not_secret()` in attrs classes, and in dataclasses by the metadata
`SECRET` or `NOT_SECRET`. One whose name looks like a secret's has to be marked.
"""

import base64
import copy
import dataclasses
import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, Protocol
from urllib.parse import quote, quote_plus
from uuid import UUID

import attrs

HIDDEN = "[secret hidden]"
_MARK = "paas_plans.secret"
SECRET: Mapping[str, bool] = {_MARK: True}
NOT_SECRET: Mapping[str, bool] = {_MARK: False}
_LOOKS_SECRET = re.compile("(?i)auth|bearer|code|cred|cert|hash|jwt|key|pass|secret|secure|signing|token")
_LEAST_LINE = 8  # of a secret of several lines, such as a key: what is shorter may be any word
_COMMON = ("", "None", "True", "False")
_ZEROS: Mapping[type, Any] = {str: HIDDEN, datetime: datetime.min.replace(tzinfo=UTC), UUID: UUID(int=0)}


class Cipher(Protocol):
    """What seals secrets on their way into a store; `cryptography.fernet.Fernet` is one."""

    def encrypt(self, data: bytes) -> bytes: ...

    def decrypt(self, token: bytes) -> bytes:
        """Raises any exception where the token was not made with this key."""
        ...


def secret(**options: Any) -> Any:
    """A field of an attrs class that is sealed in stores and hidden everywhere else; as `attrs.field`."""
    return attrs.field(**{"repr": False, **options}, metadata=SECRET)


def not_secret(**options: Any) -> Any:
    """A field of an attrs class that is none, although its name looks like one; as `attrs.field`."""
    return attrs.field(**options, metadata=NOT_SECRET)


def _fields_of(kind: Any) -> tuple[Any, ...] | None:
    if attrs.has(kind):
        return tuple(attrs.fields(kind))
    return dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else None


fields_of: Callable[[Any], tuple[Any, ...] | None] = cache(_fields_of)
"""Of an attrs class or a dataclass; None for anything else."""


def is_secret(field: Any) -> bool:
    return bool(field.metadata.get(_MARK, False))


def lacks_mark(field: Any) -> bool:
    """Whether nobody said if it is a secret, and its name looks like one."""
    return _MARK not in field.metadata and bool(_LOOKS_SECRET.search(field.name))


def _leaves(value: Any, change: Callable[[Any], Any], *, inside: bool = False) -> Any:
    """A copy in which all that is in secret fields went through `change`."""
    kind = type(value)
    if (fields := fields_of(kind)) is not None:
        bare = copy.copy(value)  # no constructor: validators may refuse what is hidden
        for field in fields:
            inner = _leaves(getattr(value, field.name), change, inside=inside or is_secret(field))
            object.__setattr__(bare, field.name, inner)
        return bare
    if kind is dict:
        pairs = ((change(key) if inside else key, inner) for key, inner in value.items())
        return {key: _leaves(inner, change, inside=inside) for key, inner in pairs}
    if kind in (list, tuple, set, frozenset):
        return kind(_leaves(inner, change, inside=inside) for inner in value)
    return change(value) if inside else value


def _zero(leaf: Any) -> Any:
    kind: Any = type(leaf)
    return next(iter(kind)) if isinstance(leaf, Enum) else _ZEROS[kind] if kind in _ZEROS else kind()


def copied(value: Any) -> Any:
    """What is done in place to either is not seen in the other."""
    return _leaves(value, lambda leaf: leaf)


def scrubbed(value: Any) -> Any:
    """The same value with its secret texts `[secret hidden]`, and other secrets the zero of their type."""
    return _leaves(value, _zero)


def secret_texts(value: Any) -> list[str]:
    """What `without` is to take out."""
    found: list[Any] = []
    _leaves(value, found.append)
    texts = (leaf.decode(errors="ignore") if isinstance(leaf, bytes) else str(leaf) for leaf in found)
    return [text for text in texts if text not in _COMMON]


def without(texts: Iterable[str], message: str) -> str:
    """A message from elsewhere with no secret in it, as it is or as Python, JSON, HTML and URLs quote it."""
    forms = set(texts)
    forms |= {line for text in forms for line in text.splitlines() if len(line) >= _LEAST_LINE}
    coded = {code for text in forms for code in _in_base64(text.encode(errors="surrogatepass"))}
    for _ in range(2):  # what quotes one that quotes
        forms |= {quoted for text in forms for quoted in _quoted(text)}
    longest_first = sorted((forms | coded) - {""}, key=len, reverse=True)
    if not longest_first:
        return message
    return re.sub("|".join(map(re.escape, longest_first)), HIDDEN, message, flags=re.IGNORECASE)


def _quoted(text: str) -> set[str]:
    data, plain = text.encode(errors="surrogatepass"), json.dumps(text, ensure_ascii=False)
    forms = {repr(text)[1:-1], repr(data)[2:-1], json.dumps(text)[1:-1], plain[1:-1], quote(data)}
    return forms | {quote(data, safe=""), quote_plus(data), html.escape(text), html.escape(text, quote=False)}


def _in_base64(data: bytes) -> Iterator[str]:
    """What of it is in base64 wherever it is in the whole, such as `user:password`."""
    for before in range(3 if len(data) >= _LEAST_LINE else 0):
        code = base64.b64encode(bytes(before) + data).decode()
        yield code[(before * 8 + 5) // 6 : (before + len(data)) * 8 // 6]


def said(raised: BaseException, request: object = None) -> str:
    """What an exception says, without the secrets of the request; its type alone if that is not to be had."""
    kind = type(raised).__name__
    try:
        return without(secret_texts(request), f"{raised}") or kind
    except BaseException:  # noqa: BLE001 - any code is in exceptions, and in what they are about
        return kind
