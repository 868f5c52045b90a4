"""The SQL of the ledger: one row for each host that has gone, kept for as long as the operator wants."""

from collections.abc import Mapping
from datetime import datetime

from paas_runner.job.cost import Charge
from paas_runner.store import ledger
from paas_runner.store.postgres.database import Result, Statement
from paas_runner.store.postgres.texts import Row, storable

_ENTER = """
WITH us AS MATERIALIZED (SELECT %b::bigint AS pruned_at_once),
asked AS MATERIALIZED (
    SELECT * FROM unnest(
        %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
        %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[]
    ) WITH ORDINALITY AS asked (
        keep_from, runner, job_id, host, tenant, flavor, since, until, price, project, job_name,
        memory_bytes, cpus, used_memory_bytes, used_cpu_seconds, used_wall_seconds, number
    )
),
entered AS (
    INSERT INTO charge (
        runner, job_id, host, tenant, flavor, since, until, price, project, job_name,
        memory_bytes, cpus, used_memory_bytes, used_cpu_seconds, used_wall_seconds
    )
    SELECT
        runner, job_id::bigint, host, tenant, flavor, since::timestamptz, until::timestamptz,
        price::double precision, project, job_name, memory_bytes::bigint, cpus::double precision,
        used_memory_bytes::bigint, used_cpu_seconds::double precision, used_wall_seconds::double precision
    FROM asked
    ON CONFLICT (runner, job_id, host) DO NOTHING
    RETURNING runner, job_id, host
),
old AS MATERIALIZED (
    SELECT runner, job_id, host FROM charge
    WHERE until < (SELECT min(keep_from::timestamptz) FROM asked)
    ORDER BY until LIMIT (SELECT count(*) * pruned_at_once FROM asked, us GROUP BY pruned_at_once)
    FOR UPDATE SKIP LOCKED
),
dropped AS (
    DELETE FROM charge USING old
    WHERE (charge.runner, charge.job_id, charge.host) = (old.runner, old.job_id, old.host)
)
SELECT number FROM asked JOIN entered
ON (asked.runner, asked.job_id::bigint, asked.host) = (entered.runner, entered.job_id, entered.host)
"""

SPENT = """
SELECT runner, tenant, sum(price * extract(epoch FROM until - greatest(since, %s))::double precision / 3600)
FROM charge WHERE until >= %s AND price IS NOT NULL GROUP BY runner, tenant
"""
CHARGES = """
SELECT
    runner, job_id, host, tenant, flavor, since, until, price, project, job_name,
    memory_bytes, cpus, used_memory_bytes, used_cpu_seconds, used_wall_seconds
FROM charge WHERE until >= %s AND since < %s ORDER BY since, runner, job_id, host LIMIT %s
"""
CHARGED = "SELECT charge.runner, charge.job_id, host FROM charge JOIN job USING (runner, job_id)"
TENANTS = "SELECT DISTINCT runner, tenant FROM charge"


def entering() -> Statement:
    """It answers what was new."""
    return Statement(sql=_ENTER, fixed=(ledger.PRUNED_AT_ONCE,), key=lambda row: row[1:4])


def row(charge: Charge, keep_from: datetime) -> Row:
    """What is written of a charge, and from when on charges are kept."""
    return ledger.moment(keep_from), *(
        None if value is None else storable(str(value)) for value in ledger.row(charge)
    )


def spent(rows: Result) -> Mapping[tuple[str, str], float]:
    """By runner and tenant."""
    return {(runner, tenant): float(cost) for runner, tenant, cost in rows}
