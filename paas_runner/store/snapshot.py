"""The store as it is at one moment, for commands: readable while the service runs, never changed."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import attrs

from paas_runner.database_url import StorePlace
from paas_runner.job.cost import Charge
from paas_runner.job.known_runner import KnownRunner
from paas_runner.job.lease import Tenancy
from paas_runner.job.notice import KeptNotices
from paas_runner.job.tracked import Entry, JobKey, TrackedJob
from paas_runner.store import NoStoreError, state_file
from paas_runner.store.database import missing
from paas_runner.store.jobs import PastJob
from paas_runner.store.ledger import storable
from paas_runner.store.moment import Moment, at_one_moment


@attrs.frozen(kw_only=True)
class Snapshot:
    """What the service has on the disk."""

    installation: str
    jobs: Sequence[TrackedJob]
    ended: frozenset[JobKey]
    runners: Sequence[KnownRunner]
    tenants: Mapping[str, frozenset[str]]
    """Those that have paid for hosts which are gone, by the short token of the runner."""

    tenancy: Tenancy | None = None
    """Who works on it, where several processes can."""

    system_id: str | None = None
    """By which coordinators know all of them."""


@attrs.frozen(kw_only=True)
class Accounts:
    """The ledger's charges of some time, and the jobs that may have a host which is not in the ledger."""

    charges: Sequence[Charge]
    jobs: Sequence[TrackedJob]
    runners: Sequence[KnownRunner]


def take(place: StorePlace) -> Snapshot:
    """Read the records in one transaction; raises `StoreError`."""
    with at_one_moment(place) as moment:
        installation = moment.installation()
        if installation is None:
            raise missing(place)
        return Snapshot(
            installation=installation,
            jobs=_in_order(moment),
            ended=moment.ended(),
            tenants=moment.tenants(),
            runners=moment.runners(),
            tenancy=moment.tenancy(),
            system_id=moment.system_id(),
        )


@attrs.frozen(kw_only=True)
class StoredRecords:
    """The records on the disk, as they are at each call; a state file that waits for a start counts, too."""

    store: StorePlace
    state_file: Path
    peer_names: Mapping[str, str]
    """For each runner's short token what heptapod-paas-runner calls it."""

    async def jobs(self) -> Sequence[TrackedJob]:
        return (await self.read()).jobs

    async def ended(self) -> frozenset[JobKey]:
        return (await self.read()).ended

    async def tenants(self, runner: str) -> frozenset[str]:
        return (await self.read()).tenants.get(runner, frozenset())

    async def read(self) -> Snapshot:
        """All of them; raises `StoreError` and `StateFileError`."""
        snapshot = await asyncio.to_thread(take, self.store)
        now = datetime.now(UTC)
        waiting = await asyncio.to_thread(state_file.read, self.state_file, self.peer_names, now)
        if waiting is None:
            return snapshot
        return attrs.evolve(snapshot, jobs=[*snapshot.jobs, *waiting.jobs])


def accounts(place: StorePlace, since: datetime, until: datetime) -> Accounts:
    """Read the ledger from `since` to `until` and the records in one transaction; raises `StoreError`."""
    with at_one_moment(place) as moment:
        charged = moment.charged()
        owing = [
            job
            for job in _in_order(moment)
            if not (job.host and (job.key, storable(job.host.ref)) in charged)
        ]
        return Accounts(charges=moment.charges(since, until, -1), jobs=owing, runners=moment.runners())


def members_of(place: StorePlace) -> Sequence[str]:
    """The names of the processes that work on a shared store at this moment; raises `StoreError`."""
    try:
        with at_one_moment(place) as moment:
            tenancy = moment.tenancy()
    except NoStoreError:
        return []
    return sorted(member.name for member in tenancy.members.values() if member.is_alive) if tenancy else []


def shared_system_id(place: StorePlace) -> str | None:
    """By which coordinators know all who share the store; None where nobody does. Raises `StoreError`."""
    if isinstance(place, Path):
        return None
    try:
        with at_one_moment(place) as moment:
            return moment.system_id()
    except NoStoreError:
        return None


def histories(place: StorePlace, job_id: int) -> Mapping[JobKey, Sequence[Entry]]:
    """What is remembered of the jobs of that id which are gone, one for each runner; raises `StoreError`."""
    with at_one_moment(place) as moment:
        return moment.histories(job_id)


def charges(place: StorePlace, since: datetime, until: datetime, *, most: int = -1) -> Sequence[Charge]:
    """Only the ledger's charges that have a part in that time; the first `most`; raises `StoreError`."""
    with at_one_moment(place) as moment:
        return moment.charges(since, until, most)


def past_jobs(
    place: StorePlace, *, most: int, before: int | None = None, event: str = ""
) -> Sequence[PastJob]:
    """The jobs that went last, before a number, or in whose history an event is; raises `StoreError`."""
    with at_one_moment(place) as moment:
        return moment.past_jobs(most=most, before=before, event=event)


def pending_notices(place: StorePlace) -> Mapping[str, KeptNotices]:
    """What is kept of each receiver; raises `StoreError`."""
    with at_one_moment(place) as moment:
        return moment.notices()


def _in_order(moment: Moment) -> Sequence[TrackedJob]:
    """In the order of their keys: what is added up has the same last digit each time."""
    return sorted(moment.jobs(), key=lambda job: job.key)
