"""The ledger in the store: one row for each host that has gone, kept for as long as the operator wants."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

from paas_runner.job.cost import Charge
from paas_runner.job.tracked import JobKey
from paas_runner.store.schema import Migration

VERSION = 2

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
)

Row: TypeAlias = tuple[Any, ...]

PRUNED_AT_ONCE = 100
"""So many old rows go with each new one: no write takes long, however much has become old at a time."""


def row(charge: Charge) -> Row:
    """What is written of a charge."""
    return (
        charge.key.runner,
        charge.key.job_id,
        *map(_storable, (charge.host, charge.tenant, charge.flavor)),
        moment(charge.since),
        moment(charge.until),
        charge.price,
    )


def moment(at: datetime) -> str:
    """A time as text that sorts as times do."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def enter(db: sqlite3.Connection, charge: Row, *, keep_from: str) -> bool:
    """Add a row unless its host has one, and drop old ones; returns whether it was added."""
    added = db.execute(
        "INSERT OR IGNORE INTO charge (runner, job_id, host, tenant, flavor, since, until, price) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        charge,
    )
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


def charges(db: sqlite3.Connection, since: datetime, until: datetime) -> Sequence[Charge]:
    """Every charge that has a part in that time; raises ValueError for a row that cannot be understood."""
    select = (
        "SELECT runner, job_id, host, tenant, flavor, since, until, price FROM charge "
        "WHERE until >= ? AND since < ? ORDER BY since"
    )
    return [_charge(found) for found in db.execute(select, (moment(since), moment(until)))]


def has(db: sqlite3.Connection, key: JobKey, host: str) -> bool:
    """Whether a job's charge for a host is there."""
    select = "SELECT 1 FROM charge WHERE runner = ? AND job_id = ? AND host = ?"
    return db.execute(select, (key.runner, key.job_id, _storable(host))).fetchone() is not None


def _charge(found: Row) -> Charge:
    runner, job_id, host, tenant, flavor, since, until, price = found
    return Charge(
        key=JobKey(runner, job_id),
        tenant=tenant,
        host=host,
        flavor=flavor,
        since=_time(since),
        until=_time(until),
        price=None if price is None else float(price),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def _storable(text: str) -> str:
    """Half a character, which no database takes, becomes its escape."""
    return text.encode(errors="backslashreplace").decode()
