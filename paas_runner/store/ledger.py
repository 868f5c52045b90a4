"""The ledger in the store: one row for each host that has gone, kept for as long as the operator wants."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import attrs

from paas_runner.job.cost import Charge
from paas_runner.job.tracked import JobKey
from paas_runner.job.use import Use
from paas_runner.store.schema import Migration, version_of

VERSION = 2
USE_VERSION = 4

MIGRATIONS = (
    Migration(
        number=VERSION,
        room="ledger",
        sql="""
CREATE TABLE charge (
    runner TEXT NOT NULL,
    job_id INTEGER NOT NULL,
    host TEXT NOT NULL,
    tenant TEXT NOT NULL,
    flavor TEXT NOT NULL,
    since TEXT NOT NULL,
    until TEXT NOT NULL,
    price REAL,
    PRIMARY KEY (runner, job_id, host)
) WITHOUT ROWID;
CREATE INDEX charge_until ON charge (until);
CREATE INDEX charge_tenant ON charge (runner, tenant);
""",
    ),
    Migration(
        number=USE_VERSION,
        room="ledger",
        sql="""
ALTER TABLE charge ADD COLUMN project TEXT NOT NULL DEFAULT '';
ALTER TABLE charge ADD COLUMN job_name TEXT NOT NULL DEFAULT '';
ALTER TABLE charge ADD COLUMN memory_bytes INTEGER;
ALTER TABLE charge ADD COLUMN cpus REAL;
ALTER TABLE charge ADD COLUMN used_memory_bytes INTEGER;
ALTER TABLE charge ADD COLUMN used_cpu_seconds REAL;
ALTER TABLE charge ADD COLUMN used_wall_seconds REAL;
""",
    ),
)

_INSERT = """
INSERT OR IGNORE INTO charge (
    runner, job_id, host, tenant, flavor, since, until, price,
    project, job_name, memory_bytes, cpus, used_memory_bytes, used_cpu_seconds, used_wall_seconds
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SELECT = """
SELECT
    runner, job_id, host, tenant, flavor, since, until, price,
    project, job_name, memory_bytes, cpus, used_memory_bytes, used_cpu_seconds, used_wall_seconds
FROM charge WHERE until >= ? AND since < ? ORDER BY since
"""
_SELECT_FROM_OLD = """
SELECT runner, job_id, host, tenant, flavor, since, until, price, '', '', NULL, NULL, NULL, NULL, NULL
FROM charge WHERE until >= ? AND since < ? ORDER BY since
"""

Row: TypeAlias = tuple[Any, ...]

PRUNED_AT_ONCE = 100
"""So many old rows go with each new one: no write takes long, however much has become old at a time."""


def row(charge: Charge) -> Row:
    """What is written of a charge."""
    return (
        charge.key.runner,
        charge.key.job_id,
        *map(storable, (charge.host, charge.tenant, charge.flavor)),
        moment(charge.since),
        moment(charge.until),
        charge.price,
        *map(storable, (charge.project, charge.job_name)),
        charge.memory_bytes,
        charge.cpus,
        *(attrs.astuple(charge.use) if charge.use else (None, None, None)),
    )


def moment(at: datetime) -> str:
    """A time as text that sorts as times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def enter(db: sqlite3.Connection, charge: Row, *, keep_from: str) -> bool:
    """Add a row unless its host has one, and drop old ones; returns whether it was added."""
    added = db.execute(_INSERT, charge)
    db.execute(
        "DELETE FROM charge WHERE (runner, job_id, host) IN "
        "(SELECT runner, job_id, host FROM charge WHERE until < ? ORDER BY until LIMIT ?)",
        (keep_from, PRUNED_AT_ONCE),
    )
    return added.rowcount > 0


def tenants(db: sqlite3.Connection, runner: str) -> frozenset[str]:
    """All who paid for a host of a runner."""
    select = "SELECT DISTINCT tenant FROM charge WHERE runner = ?"
    return frozenset(tenant for (tenant,) in db.execute(select, (runner,)))


def all_tenants(db: sqlite3.Connection) -> Mapping[str, frozenset[str]]:
    """The same of every runner, by its short token."""
    found: dict[str, set[str]] = {}
    for runner, tenant in db.execute("SELECT DISTINCT runner, tenant FROM charge"):
        found.setdefault(runner, set()).add(tenant)
    return {runner: frozenset(tenants) for runner, tenants in found.items()}


def charges(db: sqlite3.Connection, since: datetime, until: datetime, *, most: int = -1) -> Sequence[Charge]:
    """Every charge that has a part in that time; raises ValueError for a row that cannot be understood.

    The first `most` of them, by their beginning, where that is not negative.

    A file of an earlier version, in which no service has been started since, knows less of each.
    """
    select = _SELECT if version_of(db) >= USE_VERSION else _SELECT_FROM_OLD
    return read(db.execute(f"{select} LIMIT ?", (moment(since), moment(until), most)))


def read(rows: Iterable[Row]) -> Sequence[Charge]:
    """The charges of those rows; raises ValueError for one that cannot be understood."""
    return [_charge(found) for found in rows]


def spent(db: sqlite3.Connection, since: datetime) -> Mapping[tuple[str, str], float]:
    """What hosts that are gone have cost since then, as far as they had a price, by runner and tenant."""
    select = (
        "SELECT runner, tenant, "
        "SUM(price * 24 * (julianday(until) - MAX(julianday(since), julianday(?1)))) "
        "FROM charge WHERE until >= ?1 AND price IS NOT NULL GROUP BY runner, tenant"
    )
    return {(runner, tenant): float(cost) for runner, tenant, cost in db.execute(select, (moment(since),))}


def charged(db: sqlite3.Connection) -> frozenset[tuple[JobKey, str]]:
    """The hosts of jobs with a record whose charge is there."""
    select = "SELECT charge.runner, charge.job_id, charge.host FROM job JOIN charge USING (runner, job_id)"
    return frozenset((JobKey(runner, job_id), host) for runner, job_id, host in db.execute(select))


def _charge(found: Row) -> Charge:
    runner, job_id, host, tenant, flavor, since, until, price, *rest = found
    project, job_name, memory_bytes, cpus, *used = rest
    return Charge(
        key=JobKey(runner, job_id),
        tenant=tenant,
        host=host,
        flavor=flavor,
        since=_time(since),
        until=_time(until),
        price=None if price is None else float(price),
        project=project,
        job_name=job_name,
        memory_bytes=memory_bytes,
        cpus=cpus,
        use=None if None in used else Use(memory_bytes=used[0], cpu_seconds=used[1], wall_seconds=used[2]),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def storable(text: str) -> str:
    """Half a character, which no database takes, becomes its escape."""
    return text.encode(errors="backslashreplace").decode()
