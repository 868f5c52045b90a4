"""The tables on the server, brought up to date by whichever process comes first.

The old and the new version work side by side while one process after the other is upgraded. So a migration
adds and takes nothing away: tables, and columns with a default. Statements name the columns that they write.
Should something have to go one day, that migration tells from which version on processes can do without it,
and those before refuse the database: `oldest_reader` stands beside the version.
"""

from collections.abc import Sequence
from typing import Any

import attrs
import psycopg

from paas_runner.store.postgres.connecting import SCHEMA
from paas_runner.store.protocol import StoreError

_LOCK = 0x70617372756E6E
"""Of all who change the tables, of whatever version: a number of ours among advisory locks."""


@attrs.frozen(kw_only=True)
class Migration:
    """What is added to the version before; what was released stays as it is."""

    sql: str
    oldest_reader: int = 1
    """The first version that can work on the tables after this one."""


FIRST = """
CREATE TABLE job (
    runner text COLLATE "C" NOT NULL,
    job_id bigint NOT NULL,
    acquired_at text COLLATE "C" NOT NULL,
    phase text NOT NULL,
    tenant text NOT NULL,
    record text NOT NULL,
    PRIMARY KEY (runner, job_id)
) WITH (fillfactor = 50);
CREATE SEQUENCE ended_number;
CREATE TABLE ended (
    slot bigint PRIMARY KEY,
    number bigint NOT NULL,
    runner text NOT NULL,
    job_id bigint NOT NULL
);
CREATE SEQUENCE history_number;
CREATE TABLE history (
    slot bigint PRIMARY KEY,
    number bigint NOT NULL,
    runner text NOT NULL,
    job_id bigint NOT NULL,
    entries text NOT NULL
);
CREATE INDEX history_job ON history (job_id);
CREATE INDEX history_number_index ON history (number);
CREATE TABLE charge (
    runner text NOT NULL,
    job_id bigint NOT NULL,
    host text NOT NULL,
    tenant text NOT NULL,
    flavor text NOT NULL,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    price double precision,
    project text NOT NULL,
    job_name text NOT NULL,
    memory_bytes bigint,
    cpus double precision,
    used_memory_bytes bigint,
    used_cpu_seconds double precision,
    used_wall_seconds double precision,
    PRIMARY KEY (runner, job_id, host)
);
CREATE INDEX charge_until ON charge (until);
CREATE INDEX charge_tenant ON charge (runner, tenant);
CREATE TABLE fact (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE notice (
    receiver text NOT NULL,
    id text COLLATE "C" NOT NULL,
    document text NOT NULL,
    PRIMARY KEY (receiver, id)
);
CREATE TABLE notice_book (receiver text PRIMARY KEY, book text NOT NULL);
CREATE TABLE lease (
    runner text PRIMARY KEY,
    holder text NOT NULL DEFAULT '',
    epoch bigint NOT NULL DEFAULT 0,
    until timestamptz NOT NULL DEFAULT 'epoch',
    since timestamptz NOT NULL DEFAULT 'epoch',
    arrivals bigint NOT NULL DEFAULT 0
);
CREATE TABLE member (
    holder text PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    mode text NOT NULL,
    serves text[] NOT NULL,
    jobs double precision NOT NULL,
    provisioning double precision NOT NULL,
    weight double precision NOT NULL,
    until timestamptz NOT NULL,
    since timestamptz NOT NULL
);
"""

IS_THERE = f"SELECT EXISTS (SELECT FROM pg_tables WHERE (schemaname, tablename) = ('{SCHEMA}', 'version'))"
"""By the catalogue itself: what looks names up may have an answer of before the lock was had."""

VERSION = f"SELECT number, oldest_reader FROM {SCHEMA}.version"
"""With the schema's name: a user who may not see into it is told that, not that there is no such table."""

MIGRATIONS: Sequence[Migration] = (Migration(sql=FIRST),)
"""That of version 1 first."""


async def upgrade(
    connection: "psycopg.AsyncConnection[tuple[Any, ...]]", migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """All that is missing or nothing; raises `StoreError` for tables of a version that we cannot read."""
    if await _version(connection, len(migrations)) >= len(migrations):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        version = await _version(connection, len(migrations))
        if not version:
            await _create(connection)
        for migration in migrations[version:]:
            await connection.execute(migration.sql.encode())
        if version < len(migrations):
            readers = max(migration.oldest_reader for migration in migrations)
            await connection.execute(
                "UPDATE version SET number = %s, oldest_reader = %s", (len(migrations), readers)
            )


def refuse_newer(oldest_reader: int, version: int) -> None:
    """Raises `StoreError` where a process that knows tables up to `version` must not touch these."""
    if oldest_reader > version:
        raise StoreError(
            f"the store is that of a newer version of this program (schema {oldest_reader}), beside which "
            "this one cannot work; install that version"
        )


async def _version(connection: "psycopg.AsyncConnection[tuple[Any, ...]]", ours: int) -> int:
    """The one on the server, 0 where there is none."""
    cursor = await connection.execute(IS_THERE)
    if await cursor.fetchone() == (False,):
        return 0
    row = await (await connection.execute(VERSION)).fetchone()
    if row is None:
        return 0
    refuse_newer(row[1], ours)
    return int(row[0])


async def _create(connection: "psycopg.AsyncConnection[tuple[Any, ...]]") -> None:
    cursor = await connection.execute(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %s)", (SCHEMA,)
    )
    if await cursor.fetchone() == (False,):  # one that an administrator made needs no right to make it
        await connection.execute(f"CREATE SCHEMA {SCHEMA}")
    await connection.execute("CREATE TABLE version (number integer NOT NULL, oldest_reader integer NOT NULL)")
    await connection.execute("INSERT INTO version VALUES (0, 1)")
