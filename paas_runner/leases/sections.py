"""The sections that this process holds, each from its lease to the end of its loops.

A section that was lost, or handed over, is wanted again only after nothing of its earlier tenure goes on: an
old loop would write under the new epoch.
"""

import asyncio
import enum
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import attrs
import structlog

from paas_runner.dispatch.served import ServedConfig
from paas_runner.dispatch.view import DispatchView
from paas_runner.job.lease import Allotment, Lease, Tenancy
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.leases.validity import Validity

log = structlog.stdlib.get_logger(__name__)

HAND_OVER_WITHIN = timedelta(seconds=3.5)
"""After that what is in flight is cut off: its intent is recorded."""


class Dispatched(Protocol):
    """What serves the sections."""

    @property
    def running(self) -> asyncio.Event:
        """Set once every loop has been started, until they are to end."""

    @property
    def config(self) -> ServedConfig: ...

    @property
    def view(self) -> DispatchView: ...

    @property
    def total(self) -> Allotment:
        """The bounds of all processes together."""

    @property
    def in_use(self) -> Allotment:
        """What tracked jobs and requests in flight take."""

    def take_over(self, runner: str, jobs: Sequence[TrackedJob]) -> None:
        """Serve the section from now on, beginning with these records."""

    @property
    def known(self) -> Collection[JobKey]:
        """Jobs that are cared for already, or are over: their records may be read a moment longer."""

    def take_in(self, job: TrackedJob) -> None:
        """Go on with a job that arrived, unless it is known, or its section is not held."""

    async def hand_over(self, runner: str, *, patience: timedelta) -> None:
        """Bring what is in flight to an end, for so long; after it nothing is done for the section."""

    async def give_up(self, runner: str) -> None:
        """Cut everything off; after it nothing is done for the section."""

    def suspend(self, why: str) -> None:
        """Ask for no jobs."""

    def resume(self) -> None: ...

    @property
    def allotted(self) -> Allotment:
        """How much of the common bounds is used at most; a section that leaves takes its part along."""

    def allot(self, allotted: Allotment) -> None:
        """Use so much from now on."""


class Stage(enum.StrEnum):
    """Where a section stands, in this order."""

    TAKEN = "taken"  # its jobs are yet to be loaded
    SERVED = "served"
    LEAVING = "leaving"  # it is being handed over
    LEFT = "left"  # nothing is done for it: the store is yet to hear of that
    LOST = "lost"  # another has it: what goes on is being cut off


ALIVE = frozenset({Stage.TAKEN, Stage.SERVED, Stage.LEAVING})
"""Something may be done for a section then."""


@attrs.define(eq=False)
class Section:
    """One section from one change of hands to the next."""

    runner: str
    epoch: int
    stage: Stage = Stage.TAKEN
    loaded: tuple[int, int] = (-1, 0)
    """What had been `recorded` when its jobs were last loaded; less is known to a store of before."""

    arrivals: int = 0
    late: int = 0
    """How many more were recorded here by requests of an earlier tenure, before the section was served."""

    ending: asyncio.Task[None] | None = None

    @property
    def recorded(self) -> tuple[int, int]:
        """How many jobs came that the store alone knew: by others, and here."""
        return self.arrivals, self.late

    @property
    def is_to_be_loaded(self) -> bool:
        return self.stage is Stage.TAKEN or (self.stage is Stage.SERVED and self.loaded != self.recorded)


@attrs.define
class Churn:
    """What became of sections since the start."""

    taken: int = 0
    """Free ones, released by others or never held."""

    taken_over: int = 0
    """From others whose lease had run out."""

    handed_over: int = 0
    lost: int = 0
    stale_writes: int = 0
    renewals_failed: int = 0


class Sections:
    """All of them; knows how each of them ends."""

    def __init__(
        self,
        dispatcher: Dispatched,
        validity: Validity,
        *,
        tasks: asyncio.TaskGroup,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called when one has come to its end."""
        self._dispatcher = dispatcher
        self._validity = validity
        self._tasks = tasks
        self._changed = changed
        self.churn = Churn()
        self._sections: dict[str, Section] = {}
        self._tenancy = Tenancy()

    @property
    def stages(self) -> Mapping[str, Stage]:
        """Of all that this process has something to do with."""
        return {runner: section.stage for runner, section in self._sections.items()}

    @property
    def to_be_loaded(self) -> Sequence[Section]:
        return [section for section in self._sections.values() if section.is_to_be_loaded]

    @property
    def are_settled(self) -> bool:
        """Whether none of them is on its way to us, or from us."""
        return all(section.stage is Stage.SERVED for section in self._sections.values())

    @property
    def are_being_taken(self) -> bool:
        """Whether the jobs of one are not known yet."""
        return any(section.stage is Stage.TAKEN for section in self._sections.values())

    def has(self, section: Section) -> bool:
        """Whether it is still the same tenure."""
        return self._sections.get(section.runner) is section

    def learn(self, tenancy: Tenancy, holder: str, sent_at: float) -> None:
        """What the store has said to a request that was sent at that moment of the own clock."""
        before, self._tenancy = self._tenancy, tenancy
        held = {runner: lease for runner, lease in tenancy.leases.items() if lease.holder == holder}
        for runner, lease in held.items():
            section = self._sections.get(runner)
            if section is None:
                section = self._sections[runner] = Section(runner, lease.epoch)
                self._log_taken(lease, before)
            elif section.epoch != lease.epoch:  # another has had it meanwhile
                self.lose(section)
                continue
            section.arrivals = lease.arrivals
            if section.stage in ALIVE:
                self._validity.renew(runner, sent_at)
        for section in [each for each in self._sections.values() if each.runner not in held]:
            self.lose(section)

    def doubt(self, runner: str) -> None:
        """A write was refused as another's."""
        section = self._sections.get(runner)
        if section and section.stage in (Stage.SERVED, Stage.LEAVING):
            self.churn.stale_writes += 1
            log.warning("stale_write", runner=self._name(runner), epoch=section.epoch)
            self.lose(section)

    def expect(self, runner: str) -> None:
        """A job was recorded for a section that is not served: if it is ours it is to be loaded once more."""
        if section := self._sections.get(runner):
            section.late += 1

    def expect_everywhere(self) -> None:
        """The store may be another, with records of before: of jobs that were over here, too."""
        for section in self._sections.values():
            section.late += section.stage is Stage.SERVED

    def lose(self, section: Section) -> None:
        """Nothing more is done for it; what goes on is cut off."""
        self._validity.withdraw(section.runner)
        match section.stage:
            case Stage.LOST:
                return
            case Stage.LEFT:
                del self._sections[section.runner]
                self.churn.handed_over += 1
                return
            case Stage.TAKEN:
                del self._sections[section.runner]
            case Stage.SERVED | Stage.LEAVING:
                section.stage = Stage.LOST
                section.ending = self._tasks.create_task(self._given_up(section, section.ending))
        self.churn.lost += 1
        self._log_lost(section)

    def hand_over(self, runners: Collection[str]) -> Sequence[asyncio.Task[None]]:
        """Begin to, with those that are served; what has begun with others."""
        for runner in sorted(runners):
            section = self._sections[runner]
            if section.stage is Stage.SERVED:
                section.stage = Stage.LEAVING
                section.ending = self._tasks.create_task(self._handed_over(section))
        return [
            ending
            for runner in runners
            if (ending := self._sections[runner].ending) is not None and not ending.done()
        ]

    @property
    def left(self) -> frozenset[str]:
        """Those of which the store is to hear that nothing is done for them."""
        return frozenset(each.runner for each in self._sections.values() if each.stage is Stage.LEFT)

    # --- how they end --------------------------------------------------------------------------------------

    async def _handed_over(self, section: Section) -> None:
        handing_over = self._dispatcher.hand_over(section.runner, patience=HAND_OVER_WITHIN)
        if not await self._done(handing_over, section):
            await self._done(self._dispatcher.give_up(section.runner), section)
        if section.stage is not Stage.LEAVING:  # lost meanwhile
            return
        section.stage = Stage.LEFT
        self._validity.withdraw(section.runner)
        log.info("section_handed_over", runner=self._name(section.runner), epoch=section.epoch)
        self._changed()

    async def _given_up(self, section: Section, before: asyncio.Task[None] | None) -> None:
        if before:
            before.cancel()
            await asyncio.wait([before])
        await self._done(self._dispatcher.give_up(section.runner), section)
        del self._sections[section.runner]
        self._changed()

    async def _done(self, ending: Coroutine[Any, Any, None], section: Section) -> bool:
        """A bug in the end of one section must not end the service: the store refuses what still goes on."""
        try:
            await ending
        except Exception:
            log.exception("section_error", runner=self._name(section.runner))
            return False
        return True

    # --- what is told ---------------------------------------------------------------------------------------

    def _name(self, runner: str) -> str:
        return self._dispatcher.config.names.get(runner, runner)

    def _log_taken(self, lease: Lease, before: Tenancy) -> None:
        facts: dict[str, object] = {"runner": self._name(lease.runner), "epoch": lease.epoch}
        former = before.leases.get(lease.runner)
        if former and former.holder:
            self.churn.taken_over += 1
            facts |= {"taken_from": _member(former.holder, before)}
            facts |= {"free_seconds": round(max(0.0, -former.seconds_left), 1)}
        else:
            self.churn.taken += 1
        log.info("section_taken", **facts)

    def _log_lost(self, section: Section) -> None:
        present = self._tenancy.leases.get(section.runner)
        log.warning(
            "section_lost",
            runner=self._name(section.runner),
            epoch=section.epoch,
            held_by=_member(present.holder, self._tenancy) if present else "",
        )


def _member(holder: str, tenancy: Tenancy) -> str:
    """For people."""
    member = tenancy.members.get(holder)
    return member.name if member else holder
