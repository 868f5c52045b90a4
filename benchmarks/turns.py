"""The start, the stop, and a coordinator that hangs beside nine that do not."""

import asyncio
import shutil
import time
from pathlib import Path

from benchmarks.figures import Figure, Measured, Patience, Scenario, Value, not_done, worst
from benchmarks.playing import Setting
from benchmarks.programs import Program, Settings
from benchmarks.stage import Stage, between, on_stage

_STARTS = 3
_RUNNERS = 10
_JOBS_A_RUNNER = 2
_HANG_PATIENCE = Patience(seconds=20)
_STOP_SECONDS = 60.0
_BURST = 200


async def start(program: Program, folder: Path, _: Patience) -> Measured:
    """The quickest of some: what disturbs a start only makes it longer."""
    seconds = []
    for number in range(_STARTS):
        async with on_stage(program, _new(folder, f"start-{number}"), Setting(), Settings()) as stage:
            first = (await stage.world.summary()).first_request
            seconds.append((first or time.monotonic()) - stage.program.begun)
    return {"start_seconds": min(seconds)}


async def stop(program: Program, folder: Path, _: Patience) -> Measured:
    async with on_stage(program, _new(folder, "idle"), Setting(), Settings()) as stage:
        await asyncio.sleep(1.5)
        idle = await _stopped(stage)
    async with on_stage(program, _new(folder, "held"), Setting(long_poll=True), Settings()) as stage:
        await stage.world.until(lambda summary: "coordinator: of these held" in summary.requests, 5)
        await asyncio.sleep(1)
        held = await _stopped(stage)
    burst = Settings(concurrent=_BURST)
    async with on_stage(program, _new(folder, "burst"), Setting(), burst) as stage:
        await stage.world.submit(_BURST)
        await stage.until("pushed", _BURST // 4, 60)
        working = await _stopped(stage)
    return {"idle_seconds": idle, "held_seconds": held, "burst_seconds": working}


async def _stopped(stage: Stage) -> Value:
    try:
        return await stage.program.stopped(_STOP_SECONDS)
    except TimeoutError:
        return f"not within {_STOP_SECONDS:.0f} s"


async def hang(program: Program, folder: Path, _: Patience) -> Measured:
    setting, settings = Setting(runners=_RUNNERS), Settings(concurrent=50, hung_runners=1)
    async with on_stage(program, folder, setting, settings) as stage:
        await asyncio.sleep(2)
        count = 0
        begun = time.monotonic()
        for runner in range(_RUNNERS - 1):
            count += len(await stage.world.submit(_JOBS_A_RUNNER, runner=runner))
        pushed = await stage.until("pushed", count, _HANG_PATIENCE.seconds)
        jobs = await stage.world.jobs()
        done = pushed == count
        launched = max(job.pushed or 0.0 for job in jobs) - begun if done else None
        return {
            "launched_seconds": launched or not_done(pushed, count, _HANG_PATIENCE),
            "queued_to_acquired_worst_seconds": worst(between(jobs, "queued", "acquired")) if done else "-",
        }


def _new(folder: Path, name: str) -> Path:
    """An empty folder of its own for each run."""
    shutil.rmtree(folder / name, ignore_errors=True)
    (folder / name).mkdir()
    return folder / name


TURNS = (
    Scenario(
        name="start",
        about="from the start of the program to its first request for a job",
        measure=start,
        figures=(Figure(key="start_seconds", label="start → first request", wanted=0.25),),
    ),
    Scenario(
        name="stop",
        about="from SIGTERM to the end of the process",
        measure=stop,
        figures=(
            Figure(key="idle_seconds", label="SIGTERM without jobs", wanted=0.5),
            Figure(key="held_seconds", label="SIGTERM while a request is held", wanted=2),
            Figure(key="burst_seconds", label="SIGTERM in the middle of 200 launches"),
        ),
    ),
    Scenario(
        name="hang",
        about="ten runners, the coordinator of one takes requests and never answers; 18 jobs for the others",
        measure=hang,
        figures=(
            Figure(key="launched_seconds", label="until all are launched"),
            Figure(key="queued_to_acquired_worst_seconds", label="queued → acquired, worst"),
        ),
        peer_once=True,
    ),
)
