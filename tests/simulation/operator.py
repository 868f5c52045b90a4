"""Somebody who reloads, rotates tokens, pauses and drains, in the worst of moments."""

import asyncio
import random

from paas_runner.errors import RunnerError

DEEDS = ("reload", "rotate", "break", "pause", "drain")


class Operator:
    """Has dice of its own, so that old seeds keep their stories; most installations are left alone."""

    def __init__(self, world, seed: int) -> None:
        self._world = world
        self._rng = random.Random(f"operator {seed}")
        self._deeds_an_hour = self._rng.choice([0, 0, 0, 10, 40])

    async def work(self) -> None:
        """For as long as the storm lasts; a runner that is paused is resumed in the end."""
        try:
            while self._deeds_an_hour:
                await asyncio.sleep(self._rng.expovariate(self._deeds_an_hour / 3600))
                await self._do(self._rng.choice(DEEDS))
        finally:
            self._world.detached(self._resume())

    async def _do(self, deed: str) -> None:
        self._world.chaos.counts[f"operator: {deed}"] += 1
        match deed:
            case "rotate":
                self._world.gitlab.runners.reset_token(self._world.runner.runner_id)
                await self._ask("reload")
            case "break":
                self._world.broken = True
                await self._ask("reload")
                self._world.broken = False
            case "pause":
                if await self._ask("pause", runner="virtual"):
                    await asyncio.sleep(self._rng.choice([1, 60, 600]))
                    await self._resume()
            case _:
                await self._ask(deed)

    async def _resume(self) -> None:
        """Whoever wants a runner back tries until it is."""
        while not await self._ask("resume", runner="virtual"):
            await asyncio.sleep(10)

    async def _ask(self, question: str, **more) -> bool:
        """Whether it was done, as far as one can know: the service may be dead, or die of it."""
        asking = self._world.detached(self._world.asked(question, **more))
        done, _ = await asyncio.wait([asking], timeout=120)
        return bool(done) and asking.exception() is None and asking.result()


async def answered(answers, question: str, **more) -> bool:
    """Whether the service did what it was asked."""
    if question not in answers:
        return False
    try:
        async for _ in answers[question]({"ask": question, **more}):
            pass
    except RunnerError:
        return False
    return True
