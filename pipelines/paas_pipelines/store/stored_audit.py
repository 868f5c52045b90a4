"""The audit of a data folder looked at from outside: read only, without its server or beside it.

Promises: nothing of the server is locked, created or changed, and what is told is of one moment. How
lines are made and what is wrong with them stands in `audit`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from paas_pipelines.store.audit import DAY, HEAD, HEAD_KEY, Head, Line, head_of, wrong_with
from paas_pipelines.store.disk import FILE
from paas_runner.store.protocol import StoreError

_BUSY_SECONDS = 10.0


def broken_on_disk(folder: Path) -> str:
    """What is wrong with the lines, as of one moment; empty where nothing is. Raises `StoreError`."""
    path = folder / FILE
    if not path.is_file():
        raise StoreError(f"{path}: there is none: give the server's data folder")
    try:
        address = f"file:{quote(str(path.absolute()))}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as db:
            db.execute("BEGIN")  # head and lines are of the same moment
            head = _head(db)
            return wrong_with(head, _lines(db, head))
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error


def _head(db: sqlite3.Connection) -> Head:
    found = db.execute("SELECT text FROM record WHERE kind = ? AND key = ?", (HEAD, HEAD_KEY)).fetchone()
    return head_of(found[0]) if found else Head()


def _lines(db: sqlite3.Connection, head: Head) -> Iterator[Line]:
    for day in head.days:
        for (text,) in db.execute("SELECT text FROM record WHERE kind = ? ORDER BY key", (DAY + day,)):
            yield Line.parsed(text)
