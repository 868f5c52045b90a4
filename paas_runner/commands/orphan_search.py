"""The search behind `paas-runner orphans`: the service's own, by the records on the disk.

The service may run meanwhile: its records are read, never written, and read again right before each removal.
Where they are lost the hosts are found all the same, by the installation's id outside the store; nothing is
known of any job then, so that nothing is removed unless the operator names the installation.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import attrs

from paas_runner.commands.output import note
from paas_runner.config import Config
from paas_runner.dispatch.search import KnownRecords, NotAsked, RunnerSearch, Search, SearchedRunner
from paas_runner.errors import RemoteError
from paas_runner.job.orphans import HostKind, HostVerdict
from paas_runner.job.tracked import JobKey, SeenHost, TrackedJob
from paas_runner.service.assembly import Edges, built_executor
from paas_runner.service.installation import in_force, waiting_state
from paas_runner.store import StoreError
from paas_runner.store.database import StoreInUseError, locked
from paas_runner.store.snapshot import StoredRecords, members_of
from paas_runner.store.state_file import StateFileError

SECONDS_BETWEEN_SEARCHES = 3.0


@attrs.frozen(kw_only=True)
class Row:
    """One host in the answer."""

    runner: str
    verdict: HostVerdict
    installation: str
    """Whose label it carries."""

    removed: bool

    @property
    def facts(self) -> Mapping[str, Any]:
        host = self.verdict.host
        return {
            "runner": self.runner,
            "name": host.name,
            "host": host.ref,
            "installation": self.installation,
            "created_at": host.created_at.isoformat() if host.created_at else None,
            "verdict": self.verdict.kind,
            "why": self.verdict.why,
            "removed": self.removed,
        }


@attrs.frozen(kw_only=True)
class Found:
    """What was found out."""

    installation: str
    """Whose hosts were judged."""

    rows: Sequence[Row]
    not_asked: Sequence[NotAsked]
    listed: bool
    """Whether the hosts of any tenant could be listed."""

    lost: str | None = None
    """Why the records cannot be read."""

    condemned: bool = False
    """Whether every host is meant to go, whatever is known of its job."""

    @property
    def ours(self) -> Sequence[Row]:
        return [row for row in self.rows if row.installation == self.installation]

    @property
    def of_others(self) -> int:
        return len(self.rows) - len(self.ours)

    @property
    def orphans(self) -> int:
        """How many are left of those that are to go."""
        return sum(_is_to_go(row.verdict, everything=self.condemned) and not row.removed for row in self.rows)

    @property
    def ignored(self) -> int:
        """How many are not this runner's, or not this installation's."""
        return sum(row.verdict.kind is HostKind.FOREIGN for row in self.rows)

    @property
    def document(self) -> Mapping[str, Any]:
        return {
            "orphans": self.orphans if self.listed else None,
            "installation": self.installation,
            "of_another_installation": self.of_others,
            "hosts": [row.facts for row in self.rows],
            "not_asked": [attrs.asdict(each) for each in self.not_asked],
            "records_lost": self.lost,
        }


@attrs.frozen
class LostRecords:
    """Instead of records that cannot be read: nothing is known but the jobs of a state file that waits."""

    _waiting: Sequence[TrackedJob] = ()

    async def jobs(self) -> Sequence[TrackedJob]:
        return self._waiting

    async def ended(self) -> frozenset[JobKey]:
        return frozenset()

    async def tenants(self, runner: str) -> frozenset[str]:  # noqa: ARG002 - of none is anything known
        return frozenset()


def _is_to_go(verdict: HostVerdict, *, everything: bool) -> bool:
    return verdict.to_delete or (everything and verdict.kind is not HostKind.FOREIGN)


@contextlib.contextmanager
def no_service(config: Config) -> Iterator[None]:
    """No service works on the records inside; raises `StoreInUseError` where one does, or `StoreError`."""
    if members := members_of(config.store):
        raise StoreInUseError(f"{', '.join(members)} works with these records: stop that first")
    with contextlib.nullcontext() if config.state_store else locked(config.store_path):
        yield


async def search_stored(
    config: Config, edges: Edges, *, delete: bool, named: str | None, everything: bool = False
) -> Found:
    """Search by the records on the disk, or without them where they are lost.

    `named` is the installation that the operator names; `everything`: every host is to go. Raises
    `StoreError` and `StateFileError` when not even the installation's id is to be found.
    """
    stored = StoredRecords(store=config.store, state_file=config.state_file, peer_names=config.peer_names)
    records: KnownRecords = stored
    lost = None
    try:
        snapshot = await stored.read()
    except (StoreError, StateFileError) as error:
        waiting = waiting_state(config, datetime.now(UTC))
        found = in_force(config, stored=None, waiting=waiting)
        if not (named or found):
            raise
        lost = str(error)
        records = LostRecords(waiting.jobs if waiting else ())
        note(f"paas-runner orphans: {lost}")
        note(_LOST if delete and not named else "without the records nothing is known of any job")
    else:
        found = in_force(config, stored=snapshot.installation, waiting=None)
        config, _ = config.recognised(snapshot.runners)
    if named and named != found:
        note(f"hosts with the label of {named}, not of this installation ({found or 'unknown'})")
    return await search(
        config,
        edges,
        records,
        installation=named or found or "",
        delete=delete and (lost is None or named is not None),
        with_others=named is None,
        lost=lost,
        everything=everything,
    )


_LOST = (
    "without the records nothing is known of any job, so nothing is removed: "
    "--installation ID says that the hosts with that label may go"
)


async def search(
    config: Config,
    edges: Edges,
    records: KnownRecords,
    *,
    installation: str,
    delete: bool,
    with_others: bool = True,
    lost: str | None = None,
    everything: bool = False,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Found:
    """Search the hosts of all runners for orphans, a second time where the first raises a suspicion."""
    async with AsyncExitStack() as owned:
        searches: list[RunnerSearch] = []
        for runner in config.runners:
            executor = built_executor(runner, edges, installation)
            owned.push_async_callback(executor.aclose)
            searched = SearchedRunner(
                key=runner.short_token,
                name=runner.title,
                executor=executor,
                policy=config.policy_of(runner),
            )
            searches.append(RunnerSearch(searched, records=records, clock=clock, with_others=with_others))
        await asyncio.gather(*(each.compare() for each in searches))
        if suspects := sum(verdict.undecided for each in searches for _, verdict in each.verdicts):
            note(f"{suspects} of the hosts may be orphans: a second look in {SECONDS_BETWEEN_SEARCHES:g} s")
            await asyncio.sleep(SECONDS_BETWEEN_SEARCHES)
            await asyncio.gather(*(each.compare() for each in searches))
        return Found(
            installation=installation,
            rows=[
                row
                for each in searches
                for row in await _rows(each, installation, delete=delete, everything=everything)
            ],
            not_asked=[tenant for each in searches for tenant in each.not_asked],
            listed=any(each.listed for each in searches),
            lost=lost,
            condemned=everything,
        )


async def _rows(search: RunnerSearch, installation: str, *, delete: bool, everything: bool) -> Sequence[Row]:
    """What was found out about the hosts of a runner; with `delete` the orphans are removed."""
    return [
        Row(
            runner=search.runner.name,
            verdict=verdict,
            installation=verdict.host.installation or installation,
            removed=delete
            and _is_to_go(verdict, everything=everything)
            and await _removed(of_tenant, verdict.host, everything=everything),
        )
        for of_tenant, verdict in search.verdicts
    ]


async def _removed(search: Search, host: SeenHost, *, everything: bool) -> bool:
    note(f"removing {host.name} ({host.ref})")
    try:
        removed = await search.remove(host, whatever_is_known=everything)
    except RemoteError as error:
        note(f"{host.name} cannot be removed: {error}")
        return False
    if not removed:
        note(f"{host.name} is not removed: by now a record says that it is needed")
    return removed
