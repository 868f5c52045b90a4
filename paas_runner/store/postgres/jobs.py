"""The SQL of jobs: their records, fenced by the lease of their section, and what is remembered of those gone.

A change of hands locks the lease FOR UPDATE, and skips one that is locked; a write takes it FOR KEY SHARE,
which a renewal does not mind. So a write is seen by the next holder, or finds that it is stale.

What is remembered is written round and round into as many slots as there may be: nothing is ever deleted.
"""

from collections.abc import Sequence

from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.store.jobs import row as row_of
from paas_runner.store.postgres.database import Statement
from paas_runner.store.postgres.listening import CHANNEL
from paas_runner.store.postgres.texts import Row, Texts, columns_of, storable
from paas_runner.store.protocol import REMEMBERED_HISTORIES, REMEMBERED_JOBS

SAVE, ADD, FORGET = "save", "add", "forget"

_ASKED = """
asked AS MATERIALIZED (
    SELECT
        number, verb, runner, job_id::bigint, epoch::bigint, acquired_at, phase, tenant, record,
        ended::boolean, entries
    FROM unnest(
        %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[],
        %b::text[], %b::text[]
    ) WITH ORDINALITY
    AS asked (verb, runner, job_id, epoch, acquired_at, phase, tenant, record, ended, entries, number)
),
held AS MATERIALIZED (
    SELECT runner, epoch FROM lease
    WHERE holder = (SELECT holder FROM us) AND (runner, epoch) IN (SELECT runner, epoch FROM asked)
    FOR KEY SHARE OF lease
),
ours AS MATERIALIZED (SELECT asked.* FROM asked JOIN held USING (runner, epoch))
"""
_ARRIVED = f"""
found_elsewhere AS (
    INSERT INTO lease (runner, arrivals)
    SELECT runner, count(*) FROM added_jobs WHERE runner NOT IN (SELECT runner FROM ours) GROUP BY runner
    ORDER BY runner
    ON CONFLICT (runner) DO UPDATE SET arrivals = lease.arrivals + excluded.arrivals
    RETURNING runner
),
woken AS MATERIALIZED (
    SELECT pg_notify('{CHANNEL}', 'arrived ' || (SELECT holder FROM us))
    FROM (SELECT count(*) AS runners FROM found_elsewhere) AS counted WHERE runners > 0
)
"""
_WRITE = f"""
WITH us AS MATERIALIZED (
    SELECT %b::text AS holder, %b::bigint AS remembered_jobs, %b::bigint AS remembered_histories
),
{_ASKED},
saved AS (
    INSERT INTO job (runner, job_id, acquired_at, phase, tenant, record)
    SELECT runner, job_id, acquired_at, phase, tenant, record FROM ours WHERE verb = '{SAVE}'
    ON CONFLICT (runner, job_id) DO UPDATE SET
        acquired_at = excluded.acquired_at, phase = excluded.phase, tenant = excluded.tenant,
        record = excluded.record
),
added_jobs AS (SELECT runner, job_id, acquired_at, phase, tenant, record FROM asked WHERE verb = '{ADD}'),
added AS (
    INSERT INTO job (runner, job_id, acquired_at, phase, tenant, record) SELECT * FROM added_jobs
    ON CONFLICT (runner, job_id) DO NOTHING
),
{_ARRIVED},
gone AS MATERIALIZED (
    SELECT runner, job_id, ended, entries FROM ours WHERE verb = '{FORGET}' ORDER BY number
),
removed AS (DELETE FROM job USING gone WHERE (job.runner, job.job_id) = (gone.runner, gone.job_id)),
remembered AS (
    INSERT INTO ended (slot, number, runner, job_id)
    SELECT number %% (SELECT remembered_jobs FROM us), number, runner, job_id
    FROM (SELECT nextval('ended_number') AS number, runner, job_id FROM gone WHERE ended) AS numbered
    ON CONFLICT (slot) DO UPDATE SET
        number = excluded.number, runner = excluded.runner, job_id = excluded.job_id
),
told AS (
    INSERT INTO history (slot, number, runner, job_id, entries)
    SELECT number %% (SELECT remembered_histories FROM us), number, runner, job_id, entries
    FROM (
        SELECT nextval('history_number') AS number, runner, job_id, entries FROM gone
        WHERE entries IS NOT NULL AND NOT EXISTS (
            SELECT FROM history
            WHERE (history.job_id, history.runner, history.entries) = (gone.job_id, gone.runner, gone.entries)
        )
    ) AS numbered
    ON CONFLICT (slot) DO UPDATE SET
        number = excluded.number, runner = excluded.runner, job_id = excluded.job_id,
        entries = excluded.entries
)
SELECT number FROM ours UNION ALL SELECT 0 FROM woken
"""
_MERGE = f"""
WITH us AS MATERIALIZED (SELECT %b::text AS holder),
source AS (
    INSERT INTO fact (name, value) VALUES (%b::text, %b::text)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE fact.value <> excluded.value
    RETURNING value
),
{_ASKED},
added_jobs AS (
    INSERT INTO job (runner, job_id, acquired_at, phase, tenant, record)
    SELECT runner, job_id, acquired_at, phase, tenant, record FROM asked WHERE EXISTS (SELECT FROM source)
    ON CONFLICT (runner, job_id) DO NOTHING
    RETURNING runner, job_id
),
{_ARRIVED}
SELECT (SELECT count(*) FROM source), (SELECT count(*) FROM woken)
"""

ALL = "SELECT runner, job_id, record FROM job ORDER BY acquired_at, job_id"
OF_RUNNERS = "SELECT runner, job_id, record FROM job WHERE runner = ANY(%s) ORDER BY acquired_at, job_id"
COUNTS = "SELECT runner, count(*) FROM job WHERE phase <> 'standby' GROUP BY runner"
ENDED = "SELECT runner, job_id FROM ended ORDER BY number DESC LIMIT %s"
TENANTS = "SELECT tenant FROM job WHERE runner = %s UNION SELECT tenant FROM charge WHERE runner = %s"


def writing(holder: str) -> Statement:
    """All that a process does with records: it answers what was done under a lease that was good."""
    fixed = (holder, REMEMBERED_JOBS, REMEMBERED_HISTORIES)
    return Statement(sql=_WRITE, fixed=fixed, key=lambda row: (row[1], row[2]))


def row(job: TrackedJob, verb: str, epoch: int | None) -> Row:
    """What `SAVE` and `ADD` write of a job."""
    runner, job_id, acquired_at, phase, record = row_of(job)
    return (
        verb,
        runner,
        str(job_id),
        _text(epoch),
        acquired_at,
        phase,
        storable(job.tenant),
        record,
        None,
        None,
    )


def gone(key: JobKey, epoch: int | None, *, ended: bool, entries: str | None) -> Row:
    """What `FORGET` needs."""
    return FORGET, key.runner, str(key.job_id), _text(epoch), None, None, None, None, _text(ended), entries


def merging(holder: str, source: tuple[str, str], rows: Sequence[Row]) -> tuple[str, tuple[object, ...]]:
    """A statement that tells whether the source, a fact's name and value, is new, and its values."""
    columns = columns_of(rows) or [Texts()] * 10
    return _MERGE, (holder, *source, *columns)


def _text(value: int | None) -> str | None:
    return None if value is None else str(value)
