"""A world with several processes on one shared store: each dies, stops, sleeps and is cut off by itself."""

import asyncio
import contextvars
import random
from datetime import timedelta

import attrs
import httpx
import structlog

from paas_runner.errors import RunnerError
from paas_runner.job.capacity import Load
from paas_runner.job.known_runner import short_token
from paas_runner.job.limits import Limits
from paas_runner.job.tracked import Phase
from paas_runner.job.variables import Variable
from paas_runner.pipelines.spec import JobSpec
from tests.simulation.freezing import Freezable
from tests.simulation.lives import Life, Member, SplitTransport
from tests.simulation.operator import answered
from tests.simulation.shared_database import Weather
from tests.simulation.takeovers import Takeovers, WatchedTable
from tests.simulation.verbs import Verbs
from tests.simulation.world import HOUR, M_WEIGHT, SimulatedWorld, Violation, _is_use
from tests.support.live_records import added
from tests.support.shared_world import SECTION
from tests.support.virtual_world import CLOUD, CONFIG, COORDINATOR

log = structlog.stdlib.get_logger(__name__)

JOBS = 12
SHARED = """
state_store = "postgresql://paas-runner@db.test/paas-runner"
state_store_mode = "{mode}"
state_store_member = "{member}"
"""
FROZEN_SECONDS = (2, 10, 14, 16, 20, 60, 300, 900)
TROUBLE_SECONDS = (1, 4, 10, 16, 40, 200, 900)
LATE_SECONDS = 10.0
SIDES = ("database", "coordinator", "cloud")


@attrs.frozen(kw_only=True)
class Troubles:
    """How often something happens to the processes of one world: all by the hour, but for `freeze`."""

    freeze: float
    """Probability per point."""

    freezes: float
    stops: float
    kills: float
    rollings: float
    splits: float
    outages: float
    """Of the database."""

    @classmethod
    def drawn(cls, rng: random.Random) -> "Troubles":
        return cls(
            freeze=rng.choice([0.0, 0.0, 0.0002, 0.001]),
            freezes=rng.choice([0, 0, 3, 12]),
            stops=rng.choice([0, 6, 20]),
            kills=rng.choice([0, 6, 20]),
            rollings=rng.choice([0, 1, 4]),
            splits=rng.choice([0, 0, 2, 8]),
            outages=rng.choice([0, 0, 1, 4]),
        )


NONE = Troubles(freeze=0, freezes=0, stops=0, kills=0, rollings=0, splits=0, outages=0)


class OfHosts(httpx.AsyncBaseTransport):
    """The way from a job's host to the coordinator."""

    def __init__(self, inner, world) -> None:
        self._inner = inner
        self._world = world

    async def handle_async_request(self, request):
        if self._world.is_down("hosts"):
            raise httpx.ConnectError("split", request=request)
        return await self._inner.handle_async_request(request)


class PairWorld(SimulatedWorld):
    """Two processes, sometimes three; one section or several, of which one may come later."""

    def __init__(self, folder, seed: int) -> None:
        super().__init__(folder, seed)
        self.dice = random.Random(f"pair {seed}")
        self.chaos.mood = attrs.evolve(
            self.chaos.mood, refuse=0.0, crash=self.dice.choice([0.0, 0.0005, 0.002, 0.01])
        )
        self.weather = Weather.drawn(self.dice)
        self.troubles = Troubles.drawn(self.dice)
        self.takeovers = Takeovers(self)
        self.table = WatchedTable(self.seconds, self.takeovers)
        self._outside = contextvars.copy_context()
        self.holders: dict[str, Life] = {}
        self._until: dict[object, float] = {}
        self._trouble: dict[Member, float] = {}
        self._late: set[object] = set()
        self._accusations: list[str] = []
        self._in_bounds_at = 0.0
        self._mode = self.dice.choice(["standby", "spread"])
        self._concurrent = self._config["concurrent"]
        self._sections = [self._section(number) for number in range(self.dice.choice([0, 1, 2, 4]))]
        self.members = [Member(self, number) for number in range(self.dice.choice([2, 2, 3]))]
        self.chaos.counts[f"world: {self._mode}"] += 1

    # --- what is configured ------------------------------------------------------------------------------

    def _section(self, number: int) -> str:
        runner = added(self.gitlab, description=f"more {number}")
        self.keys = (*self.keys, short_token(runner.token.reveal()))
        return SECTION.format(
            name=f"more {number}",
            url=COORDINATOR,
            token=runner.token.reveal(),
            cloud=CLOUD,
            organisation=self.organisation,
        )

    def configuration_of(self, member: Member):
        return self.configurations.of(member.folder / "config.toml", self.configuration_text_of(member))

    def configuration_text_of(self, member: Member) -> str:
        more = SHARED.format(mode=self._mode, member=member.name)
        text = CONFIG.format(
            url=COORDINATOR,
            cloud=CLOUD,
            token=self.runner.token.reveal(),
            organisation=self.organisation,
            concurrent=self._concurrent,
            check_interval=self._config["check_interval"],
            more=more + self._config["more"],
            runner=self._config["runner"],
        )
        return text + "".join(self._sections)

    def reread_by(self, member: Member):
        if self.broken:
            raise RunnerError("the file is broken")
        return self.configuration_of(member)

    @property
    def wall(self) -> timedelta:
        return self._wall

    @property
    def life(self) -> Life | None:
        """Any that is up, to be asked by whoever asks the service."""
        up = [member.life for member in self.members if member.is_up]
        return self.dice.choice(up) if up else None

    @life.setter
    def life(self, _life) -> None:
        """Each process has its own."""

    @property
    def lives(self) -> int:
        return sum(member.lives for member in self.members)

    @lives.setter
    def lives(self, _lives) -> None:
        """Counted by each process's own service manager."""

    async def asked(self, question: str, **more) -> bool:
        """A command asks one process, which does what it is asked in tasks of its own."""
        if not (life := self.life):
            return False
        return await life.begin(answered(life.answers, question, **more))

    # --- what the edges ask and tell ---------------------------------------------------------------------

    def transport_of(self, life: Life, url: str):
        return SplitTransport.of(self, life, url)

    def _transport(self, base_url):
        """Of a process, whose network is its own, or of a host."""
        transport = super()._transport(base_url)
        return transport if Freezable.running() else OfHosts(transport, self)

    def detached(self, coroutine) -> asyncio.Task:
        """Nothing of any process, whoever has begun it."""
        task = asyncio.get_running_loop().create_task(coroutine, context=self._outside.copy())
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def is_down(self, side) -> bool:
        """Whether a side answers nobody, or not this process."""
        if isinstance(side, tuple) and self.is_down(side[1]):
            return True
        return self.seconds() < max(self._until.get(side, 0.0), self._down.get(side, 0.0))

    def is_deaf(self, way) -> bool:
        """Whether what is answered on that way gets lost."""
        return self.seconds() < self._until.get(("answers", way), 0.0)

    def troubled(self, life: Life) -> None:
        """It cannot be expected to be as fast as usual."""
        self._trouble[life.member] = self.seconds()

    def trouble_of(self, life: Life) -> float:
        """When something was in the way of that process last."""
        way = life.way_to("database")
        lasting = max(self._until.get(each, 0.0) for each in ("database", way, ("answers", way)))
        now = self.seconds() if life.frozen else 0.0
        return max(self._trouble.get(life.member, -HOUR), min(lasting, self.seconds()), now)

    def life_of(self, holder: str) -> Life | None:
        return self.holders.get(holder)

    def served_by(self, life: Life | None):
        """The sections that it has told the others to serve."""
        present = [self.table.present.get(holder) for holder in (life.holders if life else ())]
        return frozenset().union(*(each.said.serves for each in present if each))

    def freezes(self) -> bool:
        return self.dice.random() < self.troubles.freeze

    def freeze(self, life: Life) -> None:
        """Stop it in whatever instruction it is, and let it go on later."""
        self.chaos.counts["freeze"] += 1
        log.info("FROZEN", member=life.member.name)
        self.troubled(life)
        self.takeovers.vacate(life, "freeze")
        life.freeze()
        self.detached(self._thaw_later(life))

    async def _thaw_later(self, life: Life) -> None:
        await asyncio.sleep(self.dice.choice(FROZEN_SECONDS) + self.dice.random())
        self.troubled(life)
        if life.frozen:
            life.thaw(timers_first=self.dice.random() < 0.5)

    def note_late(self, job) -> None:
        """Recorded by one who had lost its section: nobody could have foreseen it."""
        self.chaos.counts["job recorded for another holder"] += 1
        self._late.add(job.key)

    def note_refusal(self) -> None:
        self.chaos.counts["store refusal"] += 1

    def accuse(self, what: str) -> None:
        """The promise was broken; the world goes on, so that it ends in an orderly way."""
        log.info("ACCUSED", what=what)
        self._accusations.append(f"at {self.seconds():.1f}: {what}")

    # --- the course --------------------------------------------------------------------------------------

    async def run(self) -> None:
        with Verbs(self).observed():
            await super().run()
        if self._accusations:
            raise Violation("; ".join(self._accusations[:3]))

    async def _keep_it_running(self) -> None:
        async with asyncio.TaskGroup() as managers:
            for member in self.members:
                managers.create_task(member.keep_it_running())

    async def _users(self) -> None:
        rng = self.dice
        for number in range(JOBS):
            await asyncio.sleep(rng.uniform(0, 1.8 * HOUR / JOBS))
            flavor = rng.choice(["M", "M", "XL", ""])
            variables = (Variable(key="CI_CLEVER_CLOUD_FLAVOR", value=flavor),) if flavor else ()
            script = (f"sleep {rng.choice([1, 30, 600])}", rng.choice(["echo done", "echo done", "exit 3"]))
            job = self.submitted_job(JobSpec(name=f"job {number}", script=script, variables=variables))
            self.submitted.append(job)
            if rng.random() < self.chaos.mood.cancels:
                self.detached(self._cancel_later(job.job_id, rng.expovariate(1 / 300)))

    async def misfortunes(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._to_sides())
            for deed, by_the_hour in {
                self._stop: self.troubles.stops,
                self._kill: self.troubles.kills,
                self._freeze: self.troubles.freezes,
                self._roll: self.troubles.rollings,
                self._split: self.troubles.splits,
                self._outage: self.troubles.outages,
                self._add_section: self.dice.choice([0, 0, 1]),
            }.items():
                if by_the_hour:
                    tasks.create_task(self._now_and_then(deed, by_the_hour))

    async def _now_and_then(self, deed, by_the_hour: float) -> None:
        while True:
            await asyncio.sleep(self.dice.expovariate(by_the_hour / HOUR))
            await deed()

    async def _to_sides(self) -> None:
        """What happens in every world."""
        rng, mood = self.dice, self.chaos.mood
        while True:
            await asyncio.sleep(60)
            if rng.random() < mood.outages / 60:
                side = rng.choice(["coordinator", "cloud"])
                self.chaos.counts[f"{side} outage"] += 1
                self._down[side] = self.seconds() + rng.choice([10, 120, 1200])
            if rng.random() < mood.vandalism / 60:
                await self._vandalise(rng)
            if rng.random() < 0.02:
                self.chaos.counts["clock jump"] += 1
                self._wall += timedelta(seconds=rng.choice([-7200, -60, 60, 7200]))

    async def _stop(self) -> None:
        if life := self.life:
            self.chaos.counts["orderly stop"] += 1
            life.stop()

    def kill_all(self) -> None:
        for member in self.members:
            if member.life:
                member.life.kill()

    async def _kill(self) -> None:
        if life := self.life:
            self.chaos.counts["crash"] += 1
            life.kill()

    async def _freeze(self) -> None:
        life = self.life
        if life and not life.frozen:
            self.freeze(life)

    async def _roll(self) -> None:
        """One after the other is stopped and started again."""
        self.chaos.counts["rolling restart"] += 1
        for member in self.members:
            if member.is_up:
                member.life.stop()
            await asyncio.sleep(self.dice.choice([1, 5, 10, 60]))

    async def _split(self) -> None:
        if self.dice.random() < 0.1:
            self.chaos.counts["split: hosts from the coordinator"] += 1
            self._until["hosts"] = self.seconds() + self.dice.choice(TROUBLE_SECONDS)
            return
        member, side = self.dice.choice(self.members), self.dice.choice(SIDES)
        way = member.name, side
        one_way = self.dice.random() < 0.4
        self.chaos.counts[f"split: {side}{', answers alone' if one_way else ''}"] += 1
        self._until[("answers", way) if one_way else way] = self.seconds() + self.dice.choice(TROUBLE_SECONDS)

    async def _outage(self) -> None:
        self.chaos.counts["database outage"] += 1
        self._until["database"] = self.seconds() + self.dice.choice(TROUBLE_SECONDS)

    async def _add_section(self) -> None:
        self.chaos.counts["section added"] += 1
        self._sections.append(self._section(len(self._sections)))
        self.detached(self.asked("reload"))

    async def _quiet(self) -> None:
        self.troubles, self.weather.mishap = NONE, 0.0
        await super()._quiet()

    async def _nothing_is_held(self) -> None:
        """After calm weather no process needs anything: so nothing is taken of any bound."""
        for member in self.members:
            while not member.is_up or not member.life.answers or member.life.frozen:
                await asyncio.sleep(10)
            status = await member.life.begin(_status(member.life))
            if status["jobs"] or any(use["used"] for use in status["capacity"].values() if _is_use(use)):
                raise Violation(
                    f"{member.name} holds something for no job: {status['capacity']}, {status['jobs']}"
                )

    async def _end_of_service(self) -> None:
        self.takeovers.end()
        for member in self.members:
            if member.life:
                member.life.kill()
                member.life.serving.cancel()
        await asyncio.gather(
            *(each.life.serving for each in self.members if each.life), return_exceptions=True
        )
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the judgement -----------------------------------------------------------------------------------

    def note_records(self) -> None:
        """At every request to the database.

        That a job needs nothing any more is known before it is recorded, so the disk may be late a little.
        What a stale process has recorded for another comes on top of the bounds.
        """
        tracked = [job for job in self.store._jobs.values() if job.phase is not Phase.GONE]
        self.recorded |= {job.key.job_id for job in tracked}
        foreseen = [job for job in tracked if job.key not in self._late]
        taking = sum(job.takes_place for job in foreseen)
        limits = Limits(concurrent=self._concurrent, provisioning=self._concurrent)
        weight, quota = Load.of(foreseen, limits).weight, M_WEIGHT * self.reference_jobs * self.share
        if self.chaos.counts["store refusal"] or (taking <= self._concurrent and weight <= quota + 1e-6):
            self._in_bounds_at = self.seconds()  # after a refusal stale records stay
        elif self.seconds() > self._in_bounds_at + LATE_SECONDS:
            self.accuse(
                f"{taking} jobs of {self._concurrent}, weight {weight} of {quota} "
                f"since {self._in_bounds_at:.1f}"
            )


async def _status(life: Life):
    [status] = [part async for part in life.answers["status"]({"ask": "status"})]
    return status
