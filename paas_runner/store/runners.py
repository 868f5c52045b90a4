"""The table of facts: this installation's id, its known runners, the source of its records.

The runners are one fact, as JSON: they are few, and always written together.
"""

import json
import secrets
import sqlite3
from collections.abc import Sequence

import cattrs

from paas_runner.job.known_runner import KnownRunner
from paas_runner.store.schema import Migration

MIGRATIONS = (
    Migration(
        number=1,
        room="runners",
        sql="CREATE TABLE fact (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
    ),
)

INSTALLATION = "installation"
RUNNERS = "runners"
MERGED_FROM = "replaced from"  # the name that older versions know
OWED = "owed to the coordinator of "  # and a runner's short token

_converter = cattrs.Converter()


def fact(db: sqlite3.Connection, name: str) -> str | None:
    row = db.execute("SELECT value FROM fact WHERE name = ?", (name,)).fetchone()
    return str(row[0]) if row else None


def keep(db: sqlite3.Connection, name: str, value: str) -> None:
    """Write a fact, over its older self if there is one."""
    db.execute("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", (name, value))


def installation(db: sqlite3.Connection, otherwise: str) -> str:
    """The id of this installation; the first time it is `otherwise`, or made."""
    known = fact(db, INSTALLATION)
    if known is None:
        known = otherwise or secrets.token_hex(8)
        keep(db, INSTALLATION, known)
    return known


def dumps(known: Sequence[KnownRunner]) -> str:
    """The runners as JSON; nothing of it is secret."""
    return json.dumps(_converter.unstructure(list(known)))


def loads(text: str | None) -> Sequence[KnownRunner]:
    """The runners of a JSON text, none where there is no text; raises ValueError."""
    try:
        return _converter.structure(json.loads(text or "[]"), list[KnownRunner])
    except Exception as error:  # noqa: BLE001 - cattrs raises whatever its hooks raised, grouped
        why = "; ".join(cattrs.transform_error(error))
        raise ValueError(f"what is known of the runners is damaged: {why}") from None
