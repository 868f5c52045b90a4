"""What takes time but hardly any work: a minute without jobs, and one job at a time."""

import asyncio
import random
import time
from pathlib import Path

import attrs

from benchmarks.figures import Figure, Measured, Patience, Scenario, median, worst
from benchmarks.playing import Setting
from benchmarks.programs import Program, Settings
from benchmarks.stage import between, on_stage

_IDLE_SECONDS = 60.0
_SETTLE_SECONDS = 3.0
_JOBS = 8
_CHECK_INTERVAL_SECONDS = 3.0
_REPOSITORY_SECONDS = 1.0


async def idle(program: Program, folder: Path, _: Patience) -> Measured:
    async with on_stage(program, folder, Setting(long_poll=True), Settings(near=False)) as stage:
        await asyncio.sleep(_SETTLE_SECONDS)
        run = stage.program
        before, cpu, wake_ups = await stage.world.summary(), run.cpu_seconds, run.wake_ups
        await asyncio.sleep(_IDLE_SECONDS)
        after = await stage.world.summary()
        return {
            "requests": sum(after.at(door) - before.at(door) for door in ("coordinator", "cloud")),
            "cpu_seconds": run.cpu_seconds - cpu,
            "wake_ups": run.wake_ups - wake_ups,
            "resident_mib": run.resident_mib,
        }


@attrs.frozen
class Single:
    """One job after another, each at a moment that has nothing to do with the program's own."""

    long_poll: bool

    async def __call__(self, program: Program, folder: Path, patience: Patience) -> Measured:
        setting = Setting(long_poll=self.long_poll, distance={"repository": _REPOSITORY_SECONDS})
        async with on_stage(program, folder, setting, Settings(near=False)) as stage:
            begun = time.monotonic()
            for number in range(1, _JOBS + 1):
                await asyncio.sleep(random.random() * _CHECK_INTERVAL_SECONDS)
                if time.monotonic() - begun > patience.seconds:
                    break
                await stage.world.submit(1)
                await stage.until("deleted", number, patience.seconds)
            jobs = await stage.world.jobs()
            acquired, pushed, deleted = (
                between(jobs, *moments)
                for moments in (("queued", "acquired"), ("acquired", "pushed"), ("ends", "deleted"))
            )
            return {
                "queued_to_acquired_seconds": median(acquired),
                "queued_to_acquired_worst_seconds": worst(acquired),
                "acquired_to_pushed_seconds": median(pushed),
                "ended_to_deleted_seconds": median(deleted),
            }


def _single(name: str, about: str, *, long_poll: bool, acquired: float) -> Scenario:
    return Scenario(
        name=name,
        about=about,
        measure=Single(long_poll),
        figures=(
            Figure(key="queued_to_acquired_seconds", label="queued → acquired, median", wanted=acquired),
            Figure(key="queued_to_acquired_worst_seconds", label="queued → acquired, worst"),
            Figure(
                key="acquired_to_pushed_seconds",
                label="acquired → pushed, median (the cloud needs 1 s)",
                wanted=_REPOSITORY_SECONDS + 0.15,
            ),
            Figure(key="ended_to_deleted_seconds", label="ended → host deleted, median", wanted=1.5),
        ),
        quiet=True,
        peer_once=True,
        floor=True,
    )


WAITING = (
    _single(
        "single",
        "one job of 2 s at a time, every setting at its default, a coordinator that holds no requests",
        long_poll=False,
        acquired=0.5,
    ),
    _single(
        "single-held",
        "one job of 2 s at a time, every setting at its default, a coordinator that holds requests",
        long_poll=True,
        acquired=0.1,
    ),
    Scenario(
        name="idle",
        about="a minute without jobs, every setting at its default, a coordinator that holds requests",
        measure=idle,
        figures=(
            Figure(key="requests", label="requests", unit="", digits=0),
            Figure(key="cpu_seconds", label="processor time"),
            Figure(key="wake_ups", label="wake-ups", unit="", digits=0),
            Figure(key="resident_mib", label="memory", unit="MiB", wanted=40, digits=0),
        ),
        quiet=True,
        once=True,
    ),
)
