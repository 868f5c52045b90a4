"""All that commands read beside the service, at one moment, whatever engine has it; nothing is ever changed.

A store of an earlier version, in which no service has been started since the upgrade, knows less.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Protocol

import attrs

from paas_runner.database_url import StorePlace
from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.lease import Tenancy
from paas_runner.job.notice import KeptNotices
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import jobs, ledger, notices, runners
from paas_runner.store.database import reading
from paas_runner.store.jobs import PastJob
from paas_runner.store.opening import postgres
from paas_runner.store.schema import version_of
from paas_runner.store.sqlite import SCHEMA


class Moment(Protocol):
    """One transaction; raises ValueError for what is damaged: `at_one_moment` makes it a `StoreError`."""

    def installation(self) -> str | None:
        """The id of this installation, if a service was ever started."""

    def jobs(self) -> Sequence[TrackedJob]:
        """All records."""

    def ended(self) -> frozenset[JobKey]:
        """What is remembered of jobs that are over."""

    def runners(self) -> Sequence[KnownRunner]:
        """Every runner that was ever served."""

    def tenants(self) -> Mapping[str, frozenset[str]]:
        """All who paid for hosts that are gone, by runner."""

    def charged(self) -> frozenset[tuple[JobKey, str]]:
        """The hosts of jobs with a record whose charge is there."""

    def charges(self, since: datetime, until: datetime, most: int) -> Sequence[Charge]:
        """Those that have a part in that time, by their beginning; the first `most`, if not negative."""

    def histories(self, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
        """Of the jobs of that id which are gone, the latest for each runner."""

    def past_jobs(self, *, most: int, before: int | None, event: str) -> Sequence[PastJob]:
        """Those that went last; before a number, or in whose history an event is."""

    def notices(self) -> Mapping[str, KeptNotices]:
        """What is kept, by receiver."""

    def tenancy(self) -> Tenancy | None:
        """Who works on it; None where one process has it for itself."""

    def system_id(self) -> str | None:
        """By which coordinators know all who share it; None where nobody does."""


@contextmanager
def at_one_moment(place: StorePlace) -> Iterator[Moment]:
    """The records as they are now; raises `StoreError`, or `MissingPackagesError`."""
    if isinstance(place, Path):
        with reading(place, SCHEMA) as db:
            yield _SqliteMoment(db)
    else:
        with postgres("reading").moment(place.url) as moment:
            yield moment


@attrs.frozen
class _SqliteMoment:
    _db: sqlite3.Connection

    def installation(self) -> str | None:
        return runners.fact(self._db, runners.INSTALLATION)

    def jobs(self) -> Sequence[TrackedJob]:
        return jobs.read(jobs.stored(self._db))

    def ended(self) -> frozenset[JobKey]:
        return jobs.ended(self._db)

    def runners(self) -> Sequence[KnownRunner]:
        return runners.loads(runners.fact(self._db, runners.RUNNERS))

    def tenants(self) -> Mapping[str, frozenset[str]]:
        return ledger.all_tenants(self._db) if self._has(ledger.VERSION) else {}

    def charged(self) -> frozenset[tuple[JobKey, str]]:
        return ledger.charged(self._db) if self._has(ledger.VERSION) else frozenset()

    def charges(self, since: datetime, until: datetime, most: int) -> Sequence[Charge]:
        return ledger.charges(self._db, since, until, most=most) if self._has(ledger.VERSION) else []

    def histories(self, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
        return jobs.histories(self._db, job_id) if self._has(jobs.HISTORY_VERSION) else {}

    def past_jobs(self, *, most: int, before: int | None, event: str) -> Sequence[PastJob]:
        if not self._has(jobs.HISTORY_VERSION):
            return []
        return jobs.read_histories(jobs.latest_histories(self._db, most=most, before=before, event=event))

    def notices(self) -> Mapping[str, KeptNotices]:
        return notices.kept(self._db) if self._has(notices.VERSION) else {}

    def tenancy(self) -> None:
        return None

    def system_id(self) -> None:
        return None

    def _has(self, version: int) -> bool:
        return version_of(self._db) >= version
