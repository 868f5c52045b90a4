"""Many jobs that run for long."""

import asyncio
import random
import time
from pathlib import Path

import attrs

from benchmarks.figures import Figure, Measured, Patience, Scenario, Value, median, not_done, worst
from benchmarks.playing import Setting
from benchmarks.programs import Program, Settings, running
from benchmarks.stage import Stage, between, on_stage

_FOR_EVER = 100_000.0
_SETTLE_SECONDS = 20.0
_WINDOW_SECONDS = 30.0
_ENDING_SECONDS = 5.0
_FOUND_SECONDS = 75.0
_STOP_SECONDS = 60.0
_AGAIN_SECONDS = 30.0


@attrs.frozen
class Tracked:
    """So many at the same time."""

    count: int

    async def __call__(self, program: Program, folder: Path, patience: Patience) -> Measured:
        setting = Setting(run_seconds=_FOR_EVER)
        settings = Settings(concurrent=self.count)
        async with on_stage(program, folder, setting, settings) as stage:
            submitted = time.monotonic()
            job_ids = await stage.world.submit(self.count)
            pushed = await stage.until("pushed", self.count, patience.seconds)
            if pushed < self.count:
                return {"launched_seconds": not_done(pushed, self.count, patience)}
            launched = time.monotonic() - submitted
            await asyncio.sleep(_SETTLE_SECONDS)
            return {
                "launched_seconds": launched,
                **await self._window(stage),
                **await self._ends(stage, job_ids),
                "restart_seconds": await self._restart(stage, program, settings),
            }

    async def _window(self, stage: Stage) -> Measured:
        """What it takes to follow them, for a minute."""
        before, cpu, begun = await stage.world.summary(), stage.program.cpu_seconds, time.monotonic()
        await asyncio.sleep(_WINDOW_SECONDS)
        after = await stage.world.summary()
        minutes = (time.monotonic() - begun) / 60
        doors = ("coordinator", "cloud", "git")
        return {
            "cpu_seconds_per_minute": (stage.program.cpu_seconds - cpu) / minutes,
            "requests_per_minute": sum(after.at(door) - before.at(door) for door in doors) / minutes,
            "resident_mib": stage.program.resident_mib,
        }

    async def _ends(self, stage: Stage, job_ids: list[int]) -> Measured:
        """A tenth of them ends, each at a moment of its own."""
        ending = random.sample(job_ids, max(len(job_ids) // 10, 30))
        now = time.monotonic()
        for job_id in ending:
            await stage.world.end([job_id], now + 0.5 + random.random() * _ENDING_SECONDS)
        await stage.until("found", len(ending), _ENDING_SECONDS + _FOUND_SECONDS)
        chosen = set(ending)
        jobs = [job for job in await stage.world.jobs() if job.job_id in chosen]
        delays = between(jobs, "ends", "found")
        missed = len(ending) - len(delays)
        unfound = f"{missed} of {len(ending)} not in {_FOUND_SECONDS:.0f} s"
        return {
            "found_median_seconds": median([*delays, *[_FOUND_SECONDS] * missed]),
            "found_worst_seconds": unfound if missed else worst(delays),
        }

    async def _restart(self, stage: Stage, program: Program, settings: Settings) -> Value:
        """From the start after a stop until each job was asked about."""
        await stage.program.stopped(_STOP_SECONDS)
        await stage.world.mark()
        async with running(program, settings, stage.world, stage.folder) as again:
            if not await stage.world.until(lambda summary: summary.unseen == 0, _AGAIN_SECONDS):
                unseen = (await stage.world.summary()).unseen
                return f"{unseen:,} not in {_AGAIN_SECONDS:.0f} s"
            return time.monotonic() - again.begun


def _scenario(
    count: int,
    *,
    launched: float | None = None,
    cpu: float | None = None,
    requests: float | None = None,
    memory: float | None = None,
    found: tuple[float, float] | None = None,
    restart: float | None = None,
    peer: bool = True,
) -> Scenario:
    return Scenario(
        name=f"tracked-{count}",
        about=f"{count:,} jobs that run on and on, near services",
        measure=Tracked(count),
        figures=(
            Figure(key="launched_seconds", label="until all are launched", wanted=launched, digits=1),
            Figure(key="cpu_seconds_per_minute", label="processor time a minute", wanted=cpu, digits=1),
            Figure(key="requests_per_minute", label="requests a minute", unit="", wanted=requests, digits=0),
            Figure(key="resident_mib", label="memory", unit="MiB", wanted=memory, digits=0),
            Figure(
                key="found_median_seconds",
                label="ended → found, median",
                wanted=found[0] if found else None,
                digits=1,
            ),
            Figure(
                key="found_worst_seconds",
                label="ended → found, worst",
                wanted=found[1] if found else None,
                digits=1,
            ),
            Figure(key="restart_seconds", label="restart → each job looked at", wanted=restart, digits=1),
        ),
        peer=peer,
        once=True,
    )


TRACKED = (
    _scenario(300),
    _scenario(1000, launched=25, cpu=2.5, requests=2000, memory=60, restart=2),
    _scenario(5000, cpu=12, memory=150, found=(2, 10), peer=False),
)
