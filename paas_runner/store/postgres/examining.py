"""What a server is like as a place for records: told for `paas-runner check`, nothing is changed."""

from typing import Any

import attrs
import psycopg

from paas_runner.secret import Secret
from paas_runner.store.postgres.connecting import SCHEMA, Server
from paas_runner.store.postgres.schema import MIGRATIONS, VERSION

OUR_VERSION = len(MIGRATIONS)
"""Of the tables."""

_SERVER = """
SELECT
    current_setting('server_version'), current_user,
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on',
    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
    to_regclass(%s) IS NOT NULL, to_regnamespace(%s) IS NOT NULL,
    has_database_privilege(current_database(), 'CREATE')
"""
_FORBIDDEN = """
SELECT coalesce(array_agg(relname || ': ' || verb ORDER BY relname, verb), '{}') FROM pg_class, unnest(
    CASE WHEN relkind = 'S' THEN ARRAY['USAGE'] ELSE ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE'] END
) AS each (verb)
WHERE relnamespace = to_regnamespace(%s) AND relkind IN ('r', 'S') AND relname <> 'version' AND NOT
    CASE WHEN relkind = 'S' THEN has_sequence_privilege(pg_class.oid, verb)
    ELSE has_table_privilege(pg_class.oid, verb) END
"""
_OWNER = "SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = %s"


@attrs.frozen(kw_only=True)
class Examined:
    """One server, as it answered."""

    server_version: str
    user: str
    read_only: bool
    """A replica, or told to take nothing."""

    durable: bool
    """Whether what it has confirmed outlives its machine's power."""

    schema: int
    """The version of the tables, 0 where there are none."""

    oldest_reader: int
    """The oldest version of a program that can work on them."""

    may_prepare: bool
    """Whether this user can make the tables, or bring them up to date."""

    forbidden: tuple[str, ...]
    """What this user may not do with which table."""


def examine(url: Secret) -> Examined:
    """Ask it; raises `StoreUnreachableError` or another `StoreError`."""
    server = Server.at(url)
    connection = server.connect_to_read()
    try:
        return _examined(connection)
    except psycopg.Error as error:
        server.complain(error)
    finally:
        connection.close()


def _examined(connection: "psycopg.Connection[tuple[Any, ...]]") -> Examined:
    connection.execute("SET default_transaction_read_only TO DEFAULT")
    found = connection.execute(_SERVER, (f"{SCHEMA}.version", SCHEMA)).fetchall()
    [(server_version, user, read_only, durable, has_tables, has_schema, may_create)] = found
    schema, oldest_reader = connection.execute(VERSION).fetchone() or (0, 0) if has_tables else (0, 0)
    [owns] = connection.execute(_OWNER, (SCHEMA,)).fetchone() or [False]
    [forbidden] = connection.execute(_FORBIDDEN, (SCHEMA,)).fetchone() or [[]]
    return Examined(
        server_version=server_version,
        user=user,
        read_only=read_only,
        durable=durable,
        schema=schema,
        oldest_reader=oldest_reader,
        may_prepare=owns if has_schema else may_create,
        forbidden=tuple(forbidden),
    )
