"""A seeded course of blows to services that share a database, while jobs flow; each takeover is measured.

A takeover is counted from the signal until another process has taken every section that the one who was hit
held. The database is killed in between, too; that by itself changes no hands.
"""

import asyncio
import enum
import random
import signal
import time

import attrs

from paas_runner.job.lease import LEASE_SECONDS
from tests.together.world import until

STANDING_STILL_SECONDS = LEASE_SECONDS + 8
LONGEST_SECONDS = {"SIGTERM": 5.0, "SIGKILL": 20.0, "SIGSTOP": 20.0}
"""What is promised, but for SIGSTOP: nobody can promise it there, it is the same lease that runs out."""

PATIENCE_SECONDS = 60


class Blow(enum.StrEnum):
    TERM = "SIGTERM"
    KILL = "SIGKILL"
    STOP = "SIGSTOP"


@attrs.frozen(kw_only=True)
class Takeover:
    blow: Blow
    seconds: float
    """Until every section was another's."""

    first_deed_seconds: float
    """Until the first step of a job in another process."""


@attrs.define
class Course:
    """All that was done and measured."""

    world: object
    rng: random.Random
    takeovers: list = attrs.field(factory=list)
    databases_killed: int = 0

    async def run(self, count, *, database_every=5, tell=lambda _text: None):
        """So many takeovers, the kinds evenly, in an order of the seed."""
        blows = [list(Blow)[number % len(Blow)] for number in range(count)]
        self.rng.shuffle(blows)
        for number, blow in enumerate(blows, 1):
            await self.world.until_all_held(PATIENCE_SECONDS)
            await asyncio.sleep(self.rng.uniform(0, 1.5))
            if self.rng.random() < 1 / database_every:
                await self._kill_database(self.rng.uniform(0, 2))
                tell("    SIGKILL of the database")
            await self.world.until_all_held(PATIENCE_SECONDS)
            victim = self.rng.choice([member for member in self.world.running if member.held])
            takeover = await self._hit(victim, blow)
            self.takeovers.append(takeover)
            deed = f"first deed {takeover.first_deed_seconds:5.1f} s"
            tell(f"{number:3} {blow:8} {takeover.seconds:5.1f} s, {deed}")

    async def _hit(self, victim, blow):
        held, begun = set(victim.held), time.monotonic()
        others = [member for member in self.world.running if member is not victim]
        victim.signal(getattr(signal, blow))
        await until(
            lambda: (
                held
                <= {said.event["runner"] for other in others for said in other.lines("section_taken", begun)}
            ),
            PATIENCE_SECONDS,
            f"{blow} to {victim.name}: others have {held}",
            lambda: {member.name: member.end_of_log for member in self.world.members.values()},
        )
        taken = max(said.at for other in others for said in other.lines("section_taken", begun))
        await self._back(victim, blow, begun)
        deeds = [
            said.at
            for other in others
            for said in other.said
            if said.at >= begun and "phase" in said.event and said.event.get("runner") in held
        ]
        return Takeover(
            blow=blow,
            seconds=taken - begun,
            first_deed_seconds=min(deeds, default=time.monotonic()) - begun,
        )

    async def _back(self, victim, blow, begun):
        """The one who was hit is there again, as one of those who wait."""
        match blow:
            case Blow.STOP:
                await asyncio.sleep(begun + STANDING_STILL_SECONDS - time.monotonic())
                victim.signal(signal.SIGCONT)
                lost = lambda: not (victim.held & set(self.world.tokens)) or self.world.all_held  # noqa: E731
                await until(
                    lost, PATIENCE_SECONDS, f"{victim.name} gives up what it had", lambda: victim.end_of_log
                )
                return
            case Blow.TERM:
                assert await victim.ended() == 0, victim.end_of_log
            case Blow.KILL:
                assert await victim.ended() == -signal.SIGKILL
        await victim.start()
        await victim.until_said("started", begun)

    async def _kill_database(self, down_seconds):
        await asyncio.to_thread(self.world.server.send, signal.SIGKILL)
        await asyncio.sleep(down_seconds)
        await asyncio.to_thread(self.world.server.start)
        self.databases_killed += 1
