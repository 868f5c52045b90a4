"""The records as they are on the server at one moment, for commands: in a transaction that cannot write."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg

from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.lease import Tenancy
from paas_runner.job.notice import KeptNotices
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.secret import Secret
from paas_runner.store import jobs, ledger
from paas_runner.store import runners as facts
from paas_runner.store.database import missing
from paas_runner.store.jobs import PastJob
from paas_runner.store.postgres import jobs as job_sql
from paas_runner.store.postgres import leases as lease_sql
from paas_runner.store.postgres import ledger as ledger_sql
from paas_runner.store.postgres import notices as notice_sql
from paas_runner.store.postgres.connecting import Server
from paas_runner.store.postgres.notices import SYSTEM_ID
from paas_runner.store.postgres.schema import IS_THERE, MIGRATIONS, VERSION, refuse_newer
from paas_runner.store.protocol import REMEMBERED_JOBS, StoreError
from paas_runner.store.records import history_from_text

_HISTORIES = "SELECT runner, entries FROM history WHERE job_id = %s ORDER BY number"
_PAST_JOBS = """
SELECT number, runner, job_id, entries FROM history
WHERE (%(before)s::bigint IS NULL OR number < %(before)s) AND position(%(written)s IN entries) > 0
ORDER BY number DESC LIMIT %(most)s
"""


@contextmanager
def moment(url: Secret) -> Iterator["PostgresMoment"]:
    """One transaction; what goes wrong in it becomes a `StoreError`."""
    server = Server.at(url)
    connection = server.connect_to_read()
    try:
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            refuse_strange(connection, server.place)
            yield PostgresMoment(connection)
    except ValueError as error:
        raise StoreError(f"{server.place}: {error}") from error
    except psycopg.Error as error:
        server.complain(error)
    finally:
        connection.close()


class PostgresMoment:
    """`paas_runner.store.moment.Moment`."""

    def __init__(self, connection: "psycopg.Connection[tuple[Any, ...]]") -> None:
        """In a transaction."""
        self._connection = connection

    def installation(self) -> str | None:
        return self._fact(facts.INSTALLATION)

    def jobs(self) -> Sequence[TrackedJob]:
        return jobs.read(
            (runner, job_id, record.encode()) for runner, job_id, record in self._rows(job_sql.ALL)
        )

    def ended(self) -> frozenset[JobKey]:
        return frozenset(JobKey(*key) for key in self._rows(job_sql.ENDED, REMEMBERED_JOBS))

    def runners(self) -> Sequence[KnownRunner]:
        return facts.loads(self._fact(facts.RUNNERS))

    def tenants(self) -> Mapping[str, frozenset[str]]:
        found: dict[str, set[str]] = {}
        for runner, tenant in self._rows(ledger_sql.TENANTS):
            found.setdefault(runner, set()).add(tenant)
        return {runner: frozenset(tenants) for runner, tenants in found.items()}

    def charged(self) -> frozenset[tuple[JobKey, str]]:
        rows = self._rows(ledger_sql.CHARGED)
        return frozenset((JobKey(runner, job_id), host) for runner, job_id, host in rows)

    def charges(self, since: datetime, until: datetime, most: int) -> Sequence[Charge]:
        return ledger.read(self._rows(ledger_sql.CHARGES, since, until, most if most >= 0 else None))

    def histories(self, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
        rows = self._rows(_HISTORIES, job_id)
        return {JobKey(runner, job_id): history_from_text(entries) for runner, entries in rows}

    def past_jobs(self, *, most: int, before: int | None, event: str) -> Sequence[PastJob]:
        wanted = {"before": before, "written": jobs.written(event), "most": most}
        return jobs.read_histories(self._connection.execute(_PAST_JOBS, wanted).fetchall())

    def notices(self) -> Mapping[str, KeptNotices]:
        return notice_sql.kept(self._rows(notice_sql.BOOKS), self._rows(notice_sql.PENDING))

    def tenancy(self) -> Tenancy:
        return lease_sql.tenancy(self._rows(lease_sql.LEASES), self._rows(lease_sql.MEMBERS))

    def system_id(self) -> str | None:
        return self._fact(SYSTEM_ID)

    def _fact(self, name: str) -> str | None:
        rows = self._rows(notice_sql.FACT, name)
        return str(rows[0][0]) if rows else None

    def _rows(self, sql: str, *values: Any) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(sql, values).fetchall()


def refuse_strange(connection: "psycopg.Connection[tuple[Any, ...]]", place: str) -> None:
    if connection.execute(IS_THERE).fetchone() == (False,):
        raise missing(place)
    row = connection.execute(VERSION).fetchone()
    refuse_newer(row[1] if row else 0, len(MIGRATIONS))
