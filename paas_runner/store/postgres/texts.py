"""Columns of texts on their way to the server, as arrays in its binary form.

Psycopg takes lists of anything, of any depth, and looks through each for what it has: ten columns cost 79 µs
a write, these 23. The form is that of `array_recv`: dimensions, flags, type, length, first index, elements.
"""

import struct
from collections.abc import Sequence
from typing import Any, TypeAlias

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_TEXT, _TEXTS = 25, 1009
"""What the server calls the types: pg_type.dat."""

_ONE_DIMENSION = struct.Struct("!iiIii")
_LENGTH = struct.Struct("!i")
_NULL = _LENGTH.pack(-1)


Row: TypeAlias = Sequence[str | None]


class Texts(tuple[str | None, ...]):
    """One column."""

    __slots__ = ()


class _TextsDumper(Dumper):
    format = Format.BINARY
    oid = _TEXTS

    def dump(self, obj: Sequence[str | None]) -> bytes:
        if not obj:
            return struct.pack("!iiI", 0, 0, _TEXT)
        parts = [_ONE_DIMENSION.pack(1, None in obj, _TEXT, len(obj), 1)]
        for text in obj:
            if text is None:
                parts.append(_NULL)
            else:
                data = text.encode()
                parts += (_LENGTH.pack(len(data)), data)
        return b"".join(parts)


def take_texts(connection: "psycopg.AsyncConnection[Any]") -> None:
    """Let the connection know of `Texts`."""
    connection.adapters.register_dumper(Texts, _TextsDumper)


def columns_of(rows: Sequence[Row]) -> Sequence[Texts]:
    """All columns of some rows."""
    return [Texts(column) for column in zip(*rows, strict=True)]


def storable(text: str) -> str:
    """What no server takes becomes its escape: half a character, and the one of number 0."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")
