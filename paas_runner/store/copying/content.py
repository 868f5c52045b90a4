"""What a store holds, table by table, in a form that all stores have in common: nothing of it is understood.

Two stores have the same content when each table has as many rows and the same sum of digests, in any order.
Leases and members are no content: they say who works on a store, not what is in it.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs

Value: TypeAlias = str | int | float | None
Row: TypeAlias = tuple[Value, ...]

_MODULUS = 1 << 256


@attrs.frozen(kw_only=True)
class Table:
    """One table, by the name that it has in every store."""

    name: str
    columns: Sequence[str]
    later: Mapping[str, Value] = attrs.field(factory=dict)
    """What rows of an older schema have in the columns that it lacks."""


FACT = Table(name="fact", columns=("name", "value"))
JOB = Table(name="job", columns=("runner", "job_id", "acquired_at", "phase", "record"))
ENDED = Table(name="ended", columns=("number", "runner", "job_id"))
HISTORY = Table(name="history", columns=("number", "runner", "job_id", "entries"))
CHARGE = Table(
    name="charge",
    columns=("runner", "job_id", "host", "tenant", "flavor", "since", "until", "price", "project", "job_name")
    + (_USE := ("memory_bytes", "cpus", "used_memory_bytes", "used_cpu_seconds", "used_wall_seconds")),
    later={"project": "", "job_name": "", **dict.fromkeys(_USE)},
)
NOTICE = Table(name="notice", columns=("receiver", "id", "document"))
NOTICE_BOOK = Table(name="notice_book", columns=("receiver", "book"))

TABLES: Sequence[Table] = (FACT, JOB, ENDED, HISTORY, CHARGE, NOTICE, NOTICE_BOOK)


@attrs.define
class Digest:
    """Of some rows."""

    rows: int = 0
    total: int = 0

    def of(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, each of them counted as it goes by."""
        for row in rows:
            line = json.dumps(row, separators=(",", ":")).encode()
            self.rows += 1
            self.total = (self.total + int.from_bytes(hashlib.sha256(line).digest())) % _MODULUS
            yield row


def digest(rows: Iterable[Row]) -> Digest:
    """Of all of them."""
    found = Digest()
    for _ in found.of(rows):
        pass
    return found


class Content(Protocol):
    """A store that is read: all as it is at one moment. Every method raises `StoreError`."""

    @property
    def title(self) -> str:
        """Where it is, for people."""

    def count(self, table: Table) -> int:
        """How many rows it has."""

    def rows(self, table: Table) -> Iterator[Row]:
        """All of them, in any order."""


class Target(Content, Protocol):
    """A store that is being made: nobody sees anything of it before it is whole."""

    @property
    def is_new(self) -> bool:
        """Whether no job has left anything in it."""

    def carried(self, table: Table, rows: Iterable[Row]) -> Iterator[Row]:
        """Of rows of another store those that this kind of store can have, as it has them."""

    def put(self, table: Table, rows: Iterable[Row]) -> None:
        """Write rows, of each table once."""
