"""The SQL of notices and facts: what each receiver has been told, and single texts under a name."""

from collections.abc import Mapping

from paas_runner.job.notice import KeptNotices
from paas_runner.store.postgres.database import Result

BOOKS = "SELECT receiver, book FROM notice_book"
PENDING = "SELECT receiver, id, document FROM notice ORDER BY id"

KEEP = """
INSERT INTO notice_book (receiver, book) VALUES (%(receiver)s, %(book)s)
ON CONFLICT (receiver) DO UPDATE SET book = excluded.book;
INSERT INTO notice (receiver, id, document)
SELECT %(receiver)s, id, document FROM unnest(%(ids)s::text[], %(documents)s::text[]) AS new (id, document)
ON CONFLICT (receiver, id) DO UPDATE SET document = excluded.document
"""
DELIVERED = "DELETE FROM notice WHERE receiver = %(receiver)s AND id = %(id)s"
FORGET = """
DELETE FROM notice WHERE receiver = ANY(%(receivers)s::text[]);
DELETE FROM notice_book WHERE receiver = ANY(%(receivers)s::text[])
"""

FACT = "SELECT value FROM fact WHERE name = %s"
SYSTEM_ID = "system id"
KEEP_FACT = """
INSERT INTO fact (name, value) VALUES (%(name)s, %(value)s)
ON CONFLICT (name) DO UPDATE SET value = excluded.value
"""
REPLACE_FACT = f"""{KEEP_FACT}WHERE fact.value = %(before)s::text
RETURNING name
"""
"""Only where it is the same as before; where there was none, only if there is none."""

FIRST_FACT = """
INSERT INTO fact (name, value) SELECT %(name)s, %(value)s WHERE %(value)s <> ''
ON CONFLICT (name) DO NOTHING;
SELECT value FROM fact WHERE name = %(name)s
"""
"""The value that came first stays."""


def kept(books: Result, pending: Result) -> Mapping[str, KeptNotices]:
    """By receiver."""
    book_of: dict[str, str] = dict(books)
    waiting: dict[str, dict[str, str]] = {}
    for receiver, number, document in pending:
        waiting.setdefault(receiver, {})[number] = document
    return {
        receiver: KeptNotices(book=book_of.get(receiver, ""), pending=waiting.get(receiver, {}))
        for receiver in sorted(book_of.keys() | waiting.keys())
    }
