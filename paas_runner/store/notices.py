"""The tables of notices: what each receiver has been told, or is about to be, and what is not delivered yet.

What a book is, and what a document says, is the business of whoever keeps them: here they are texts.
"""

import sqlite3
from collections.abc import Collection, Mapping

from paas_runner.job.notice import KeptNotices
from paas_runner.store.schema import Migration

VERSION = 5

MIGRATIONS = (
    Migration(
        number=VERSION,
        room="notices",
        sql="""
CREATE TABLE notice (
    receiver TEXT NOT NULL,
    id TEXT NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (receiver, id)
) WITHOUT ROWID;
CREATE TABLE notice_book (receiver TEXT PRIMARY KEY, book TEXT NOT NULL) WITHOUT ROWID;
""",
    ),
)


def kept(db: sqlite3.Connection) -> Mapping[str, KeptNotices]:
    """By receiver."""
    books = dict(db.execute("SELECT receiver, book FROM notice_book"))
    pending: dict[str, dict[str, str]] = {}
    for receiver, number, document in db.execute("SELECT receiver, id, document FROM notice ORDER BY id"):
        pending.setdefault(receiver, {})[number] = document
    return {
        receiver: KeptNotices(book=books.get(receiver, ""), pending=pending.get(receiver, {}))
        for receiver in sorted(books.keys() | pending.keys())
    }


def keep(db: sqlite3.Connection, receiver: str, book: str, added: Mapping[str, str]) -> None:
    """Write the present book and more documents."""
    db.execute("INSERT OR REPLACE INTO notice_book (receiver, book) VALUES (?, ?)", (receiver, book))
    db.executemany(
        "INSERT OR REPLACE INTO notice (receiver, id, document) VALUES (?, ?, ?)",
        [(receiver, number, document) for number, document in added.items()],
    )


def delivered(db: sqlite3.Connection, receiver: str, number: str) -> None:
    db.execute("DELETE FROM notice WHERE receiver = ? AND id = ?", (receiver, number))


def forget(db: sqlite3.Connection, receivers: Collection[str]) -> None:
    """Of these nothing is left."""
    gone = [(receiver,) for receiver in receivers]
    db.executemany("DELETE FROM notice WHERE receiver = ?", gone)
    db.executemany("DELETE FROM notice_book WHERE receiver = ?", gone)
