"""Whether other processes share the store, and what is different then: sections come and go, words, the end.

Alone, all sections are ours from the start to the end. The room `leases` is imported only where the store can
be shared.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from paas_runner import __version__
from paas_runner.config import Config
from paas_runner.dispatch import Dispatcher
from paas_runner.dispatch.tenure import SOLE, Tenure
from paas_runner.job.lease import Mode, Word
from paas_runner.job.lifecycle import resumed
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import Clock
from paas_runner.service.assembly import Edges
from paas_runner.store import LeaseStore, Store

if TYPE_CHECKING:
    from paas_runner.leases.keeper import Keeper, Renewed, Standing
    from paas_runner.leases.words import Deed


class Alone:
    """The only process with its store."""

    tenure: Tenure = SOLE
    held: Collection[str] | None = None
    """The sections with which dispatch begins; None is all."""

    def __init__(self, store: Store, stopping: asyncio.Event) -> None:
        self.ending = stopping
        """Set when dispatch is to end."""

        self._store = store

    async def system_id(self, own: str) -> str:
        """By which coordinators know us; `own` is this machine's."""
        return own

    async def jobs(self, clock: Clock) -> Sequence[TrackedJob]:
        """With which dispatch begins; raises `StoreError`."""
        return [resumed(job, clock()) for job in await self._store.jobs()]

    def join(self, dispatcher: Dispatcher, *, name: str, mode: Callable[[], Mode], clock: Clock) -> None:
        """Before anything else: this dispatcher is to serve what is ours; `name` is told to people."""

    def heed(self, deeds: Mapping[Word, "Deed"]) -> None:
        """Do this when another process says so."""

    async def run(self) -> None:
        """Until there is nothing left to be handed over; `ending` is set then."""

    async def tell(self, word: Word) -> None:
        """Tell all other processes."""

    @asynccontextmanager
    async def following(self, _config: Config) -> AsyncIterator[None]:
        """As `reload.Follower`."""
        yield

    def hung(self) -> Sequence[str]:
        """The loops of it that do not come back."""
        return ()

    @property
    def standing(self) -> "Standing | None":
        """Among all that share the store; None of one that is alone."""
        return None

    def on_renewal(self, listener: "Renewed") -> None:
        """Tell this one from now on of each renewal of leases."""

    async def jobs_elsewhere(self) -> bool:
        """Whether there are jobs that others care for, and that may become ours; raises `StoreError`."""
        return False

    def left(self, dispatcher: Dispatcher) -> Sequence[TrackedJob] | None:
        """The jobs for the state file at the end; None where none has to be written."""
        return dispatcher.view.jobs


class Member(Alone):
    """One of several."""

    held = frozenset()

    def __init__(self, store: Store, leases: LeaseStore, stopping: asyncio.Event, edges: Edges) -> None:
        from paas_runner.leases.validity import Validity

        super().__init__(store, asyncio.Event())
        self._leases = leases
        self._stopping = stopping
        self._validity = self.tenure = Validity(leases, edges.elapsed)
        self._dispatcher: Dispatcher
        self._keeper: Keeper

    async def system_id(self, own: str) -> str:
        return await self._leases.system_id(own)

    async def jobs(self, _clock: Clock) -> Sequence[TrackedJob]:
        return ()

    def join(self, dispatcher: Dispatcher, *, name: str, mode: Callable[[], Mode], clock: Clock) -> None:
        from paas_runner.leases.keeper import Keeper

        self._dispatcher = dispatcher
        self._keeper = Keeper(
            self._leases,
            dispatcher,
            self._validity,
            name=name,
            version=__version__,
            mode=mode,
            clock=clock,
        )

    def heed(self, deeds: Mapping[Word, "Deed"]) -> None:
        self._keeper.words.heed(deeds)

    async def run(self) -> None:
        try:
            await self._keeper.run(self._stopping)
        finally:
            self.ending.set()

    async def tell(self, word: Word) -> None:
        await self._keeper.words.tell(word)

    @asynccontextmanager
    async def following(self, _config: Config) -> AsyncIterator[None]:
        yield
        self._keeper.look()

    def hung(self) -> Sequence[str]:
        return self._keeper.hung()

    @property
    def standing(self) -> "Standing | None":
        return self._keeper.standing

    def on_renewal(self, listener: "Renewed") -> None:
        self._keeper.renewed = listener

    async def jobs_elsewhere(self) -> bool:
        known = {job.key for job in self._dispatcher.view.jobs}  # what comes from now on is to be waited for
        members = self._keeper.standing.tenancy.members.values()
        served = frozenset().union(*(member.serves for member in members if member.is_alive))
        return any(job.key.runner in served and job.key not in known for job in await self._store.jobs())

    def left(self, dispatcher: Dispatcher) -> Sequence[TrackedJob] | None:
        """The database has all others."""
        return dispatcher.unrecorded or None


def membership(store: Store, stopping: asyncio.Event, edges: Edges) -> Alone:
    """What the store makes of this process."""
    return Alone(store, stopping) if store.leases is None else Member(store, store.leases, stopping, edges)
