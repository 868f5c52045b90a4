"""The loop that renews what this process holds, takes what is free and its own, and hands over what is not.

While the store does not answer, everything goes on for as long as the leases are good. After that no job is
asked for, and nothing is done that another might be doing; the loops stay, and look after their jobs. When it
answers again it says what has become another's, and that alone is cut off.
"""

import asyncio
from collections.abc import Callable, Container, Mapping, Sequence
from typing import TypeAlias

import attrs
import structlog

from paas_runner.job.lease import LEASE_SECONDS, UNBOUNDED, Allotment, Mode, Tenancy, Tending
from paas_runner.job.lifecycle import resumed
from paas_runner.job.tracked import JobKey, TrackedJob
from paas_runner.leases import allotting, dividing
from paas_runner.leases.sections import HAND_OVER_WITHIN, Churn, Dispatched, Section, Sections, Stage
from paas_runner.leases.validity import ANSWER_SECONDS, Validity, answered
from paas_runner.leases.words import Words
from paas_runner.loop.heartbeat import Heartbeats, beat
from paas_runner.loop.timing import Clock, sleep_until_any
from paas_runner.store import LeaseStore, StoreError

log = structlog.stdlib.get_logger(__name__)

LOAD_SECONDS = 60.0
LEAVE_SECONDS = 2.0
AGAIN_SECONDS = 1.0
"""How soon it is tried again when the store has not answered."""

WANT_SECONDS = 0.25
"""How often it is looked whether more of the bounds is wanted: a burst doubles its part each time."""

LONGEST_ROUND_SECONDS = 60.0


Renewed: TypeAlias = Callable[[float, bool], None]
"""Hears how many seconds the store took for a renewal, and whether it failed."""


@attrs.frozen(kw_only=True)
class Standing:
    """How this process stands among all that share the store."""

    holder: str
    tenancy: Tenancy
    """As the store had it last."""

    answered_ago: float
    """That was so many seconds ago."""

    stages: Mapping[str, Stage]
    """Of the sections that this process has to do with."""

    allotment: Allotment
    churn: Churn
    unreachable: str
    """Why the store does not answer; empty while it does."""

    silent_for: float | None
    """For so many seconds it has not; None while it does."""

    suspended: bool
    """Whether no jobs are asked for because of that."""


class Keeper:
    """Holds sections for one dispatcher."""

    def __init__(
        self,
        leases: LeaseStore,
        dispatcher: Dispatched,
        validity: Validity,
        *,
        name: str,
        version: str,
        mode: Callable[[], Mode],
        clock: Clock,
    ) -> None:
        """`name` is the machine's, for people."""
        self.renewed: Renewed = lambda _seconds, _failed: None
        """Told of each renewal."""

        self._leases = leases
        self._dispatcher = dispatcher
        self._validity = validity
        self._name = name
        self._version = version
        self._mode = mode
        self._clock = clock
        self._heartbeats = Heartbeats()
        self._woken = asyncio.Event()
        self._tasks = asyncio.TaskGroup()
        self._sections = Sections(dispatcher, validity, tasks=self._tasks, changed=self.look)
        self.words = Words(leases, wake=self.look, doubt=self._sections.expect_everywhere)
        self._loading: asyncio.Task[None] | None = None
        self._tenancy = Tenancy()
        self._asked = Allotment()
        self._free_since: dict[str, float] = {}
        self._answered_at = validity.elapsed()
        self._silent_since: float | None = None
        self._unreachable = ""
        self._suspended = False

    @property
    def standing(self) -> Standing:
        return Standing(
            holder=self._leases.holder,
            tenancy=self._tenancy,
            answered_ago=self._validity.elapsed() - self._answered_at,
            stages=self._sections.stages,
            allotment=self._dispatcher.allotted,
            churn=attrs.evolve(self._sections.churn),
            unreachable=self._unreachable,
            silent_for=None if self._silent_since is None else self._validity.elapsed() - self._silent_since,
            suspended=self._suspended,
        )

    def hung(self) -> Sequence[str]:
        """The loop, if it has not come back when it should have."""
        return self._heartbeats.overdue()

    def look(self) -> None:
        """Renew at once: something has changed."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Hold what is to be held until `stopping`; then hand everything over and be a member no longer."""
        await self._dispatcher.running.wait()
        async with self._tasks as tasks:
            self._validity.refused, self._validity.expected = self._refused, self._expected
            listening = tasks.create_task(self.words.listen(), name="words of other processes")
            keeping = self._heartbeats.watched("leases", self._keep, round_seconds=LONGEST_ROUND_SECONDS)
            renewing = tasks.create_task(keeping, name="leases")
            await stopping.wait()
            for task in (listening, renewing, self._loading):
                if task:
                    task.cancel()
            await asyncio.wait([renewing])
            await self._leave()
            self._validity.refused = self._validity.expected = lambda _runner: None

    def _refused(self, runner: str) -> None:
        self._sections.doubt(runner)
        self.look()

    def _expected(self, runner: str) -> None:
        self._sections.expect(runner)
        self.look()

    async def _leave(self) -> None:
        """Others take over at once, or, if the store does not hear of it, when the leases have run out."""
        stages = self._sections.stages
        ending = self._sections.hand_over(stages)
        if ending:  # whoever does not come to an end is refused by the store
            await asyncio.wait(ending, timeout=1.5 * HAND_OVER_WITHIN.total_seconds())
        for runner in stages:
            self._validity.withdraw(runner)
        try:
            await answered(self._leases.leave(), within=LEAVE_SECONDS)
        except StoreError as error:
            log.warning("not_left", reason=str(error))

    # --- one turn ------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        while True:
            self._woken.clear()
            beat()
            try:
                await self._turn()
                self._answers()
                await self._sleep(dividing.next_look(self._tenancy, self._leases.holder))
                continue
            except StoreError as error:
                self._answers_not(error)
            except Exception:
                # what nobody foresaw ends this turn: the leases are renewed at the next
                log.exception("leases_error")
            self._suspend_in_doubt()
            await sleep_until_any(AGAIN_SECONDS, self._woken)

    async def _sleep(self, pause: float) -> None:
        """Less long where more of the bounds is wanted than was asked for: jobs wait for it."""
        while pause > 0 and not (self._woken.is_set() or self._wants_more()):
            await sleep_until_any(min(pause, WANT_SECONDS), self._woken)
            pause -= WANT_SECONDS

    def _wants_more(self) -> bool:
        """A quota came to be known, or what was granted is in use."""
        if self._unreachable or not self._sections.stages or self._asked == self._dispatcher.total:
            return False
        wanted = self._wanted(holds=True)
        return Allotment() not in (wanted.without(self._asked), wanted.without(self._dispatcher.allotted))

    async def _turn(self) -> None:
        await self._tend()
        moves = dividing.moves(self._tenancy, self._leases.holder, self._free_for())
        if take := moves.take - self._sections.stages.keys():
            await self._tend(take)
        self._sections.hand_over((moves.hand_over | self._finished) & self._sections.stages.keys())
        if self._sections.to_be_loaded and (self._loading is None or self._loading.done()):
            self._loading = self._tasks.create_task(self._load(), name="jobs of sections")

    @property
    def _finished(self) -> frozenset[str]:
        """Sections that are in no configuration any more, and whose last job is gone."""
        view = self._dispatcher.view
        needed = {job.key.runner for job in view.jobs} | view.leaving.keys() | view.runners.keys()
        return frozenset(self._sections.stages.keys() - needed)

    async def _tend(self, take: frozenset[str] = frozenset()) -> None:
        asked = self._tending(take)
        sent_at = self._validity.elapsed()
        left = self._answered_at + LEASE_SECONDS - sent_at
        patience = min(ANSWER_SECONDS, left) if left > 0 else ANSWER_SECONDS
        try:
            tenancy = await answered(self._leases.tend(asked), within=patience)
        except StoreError:
            self._sections.churn.renewals_failed += 1
            self.renewed(self._validity.elapsed() - sent_at, True)
            raise
        self.renewed(self._validity.elapsed() - sent_at, False)
        self._tenancy, self._answered_at, holder = tenancy, sent_at, self._leases.holder
        self._sections.learn(tenancy, holder, sent_at)
        granted = tenancy.members[holder].allotment
        self._dispatcher.allot(granted.at_most(self._most))

    @property
    def _most(self) -> Allotment:
        """While a section changes hands, what its jobs use may be counted by nobody: no more than before."""
        known = self._sections.are_settled and not allotting.has_gaps(self._tenancy)
        return UNBOUNDED if known else self._dispatcher.allotted

    def _tending(self, take: frozenset[str]) -> Tending:
        """The own use is lowered before it is told so, and raised after more was given.

        Whoever takes a section claims everything until he knows what its jobs use.
        """
        total = self._dispatcher.total
        load = self._dispatcher.view.load
        claims = bool(take) or self._sections.are_being_taken
        wanted = self._asked = self._wanted(holds=bool(self._sections.stages or take))
        self._dispatcher.allot(self._dispatcher.allotted.at_most(wanted))
        return Tending(
            name=self._name,
            version=self._version,
            mode=self._mode(),
            serves=frozenset(self._dispatcher.config.runners),
            take=take,
            release=self._sections.left,
            total=total,
            wanted=wanted,
            least=allotting.claim(load) if claims else self._dispatcher.in_use,
        )

    def _wanted(self, *, holds: bool) -> Allotment:
        serves = self._dispatcher.config.runners
        wanted = allotting.wanted(
            self._tenancy,
            self._leases.holder,
            holds=holds,
            total=self._dispatcher.total,
            in_use=self._dispatcher.in_use,
            heaviest=max(map(self._dispatcher.view.load.heaviest, serves), default=0.0),
        )
        return wanted.at_most(self._most)

    def _free_for(self) -> Mapping[str, float]:
        """How long this process has seen the free sections free."""
        now = self._validity.elapsed()
        free = [runner for runner, lease in self._tenancy.leases.items() if lease.is_free]
        self._free_since = {runner: self._free_since.get(runner, now) for runner in free}
        return {runner: now - since for runner, since in self._free_since.items()}

    # --- jobs ----------------------------------------------------------------------------------------------

    async def _load(self) -> None:
        """Records of sections that were taken, and of jobs that others have recorded for ours."""
        sections = self._sections.to_be_loaded
        recorded = {section.runner: section.recorded for section in sections}
        known = self._dispatcher.known
        try:
            jobs = await answered(self._leases.jobs_of(recorded), within=LOAD_SECONDS)
            for section in sections:
                own = [resumed(job, self._clock()) for job in jobs if job.key.runner == section.runner]
                if self._sections.has(section):
                    self._serve(section, own, known)
                    section.loaded = recorded[section.runner]
                await asyncio.sleep(0)
        except StoreError as error:
            log.error("jobs_not_loaded", reason=str(error))
        except Exception:
            log.exception("leases_error")
        else:
            self.look()

    def _serve(self, section: Section, jobs: Sequence[TrackedJob], known: Container[JobKey]) -> None:
        """Begin with all jobs, or with those that were not `known` when they were asked for.

        What was known then may have ended meanwhile. Of a section that is not served nothing is cared for.
        """
        if section.stage is Stage.TAKEN and section.runner not in self._dispatcher.config.runners:
            section.stage = Stage.LEFT
        elif section.stage is Stage.TAKEN:
            section.stage = Stage.SERVED
            self._dispatcher.take_over(section.runner, jobs)
        elif section.stage is Stage.SERVED:
            for job in jobs:
                if job.key not in known:
                    self._dispatcher.take_in(job)

    # --- an outage -----------------------------------------------------------------------------------------

    def _answers(self) -> None:
        if self._unreachable and self._silent_since is not None:
            seconds = self._validity.elapsed() - self._silent_since
            log.info("store_reachable", seconds=round(seconds, 1))
        self._unreachable, self._silent_since = "", None
        if self._suspended:
            self._suspended = False
            self._dispatcher.resume()

    def _answers_not(self, error: StoreError) -> None:
        if not self._unreachable:
            self._silent_since = self._validity.elapsed()
            log.error("store_unreachable", reason=str(error))
        self._unreachable = str(error)

    def _suspend_in_doubt(self) -> None:
        """From the moment on in which another may have what is ours."""
        if not self._suspended and self._validity.elapsed() >= self._answered_at + LEASE_SECONDS:
            self._suspended = True
            log.error("leases_run_out", reason=self._unreachable)
            self._dispatcher.suspend(f"whose the sections are is not known: {self._unreachable}")
