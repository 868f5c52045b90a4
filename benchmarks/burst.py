"""Many jobs queued at once."""

import time
from pathlib import Path

import attrs

from benchmarks.figures import Figure, Measured, Patience, Scenario, Value, median, not_done
from benchmarks.playing import FAR, Setting
from benchmarks.programs import Program, Settings
from benchmarks.stage import between, on_stage, requests_a_job

_REMOVED_SECONDS = 60.0


@attrs.frozen(kw_only=True)
class Burst:
    """So many jobs, which all fit."""

    count: int
    setting: Setting
    settings: Settings

    async def __call__(self, program: Program, folder: Path, patience: Patience) -> Measured:
        async with on_stage(program, folder, self.setting, self.settings) as stage:
            before, cpu_before = await stage.world.summary(), stage.program.cpu_seconds
            submitted = time.monotonic()
            await stage.world.submit(self.count)
            pushed = await stage.until("pushed", self.count, patience.seconds)
            launched: Value = not_done(pushed, self.count, patience)
            jobs = await stage.world.jobs()
            if pushed == self.count:
                launched = max(job.pushed or 0.0 for job in jobs) - submitted
                await stage.until("deleted", self.count, _REMOVED_SECONDS)
            after, cpu = await stage.world.summary(), stage.program.cpu_seconds - cpu_before
            jobs = await stage.world.jobs()
            return {
                "launched_seconds": launched,
                "acquired_to_pushed_seconds": median(between(jobs, "acquired", "pushed")),
                "ended_to_deleted_seconds": median(between(jobs, "ends", "deleted")),
                "cpu_seconds_per_job": cpu / max(pushed, 1),
                "peak_memory_mib": stage.program.peak_memory_mib,
                **requests_a_job(before, after, max(pushed, 1)),
            }


def _scenario(
    name: str,
    about: str,
    measure: Burst,
    *,
    seconds: float,
    push: float | None = None,
    cpu: float | None = None,
    memory: float | None = None,
    requests: bool = False,
    peer_once: bool = False,
) -> Scenario:
    return Scenario(
        name=name,
        about=about,
        measure=measure,
        figures=(
            Figure(key="launched_seconds", label="until all are launched", wanted=seconds, digits=1),
            Figure(key="acquired_to_pushed_seconds", label="acquired → pushed, median", wanted=push),
            Figure(key="ended_to_deleted_seconds", label="ended → host deleted, median"),
            Figure(
                key="cpu_seconds_per_job",
                label="processor time a job, children included",
                wanted=cpu,
                digits=3,
            ),
            Figure(
                key="peak_memory_mib",
                label="memory of the process tree, peak",
                unit="MiB",
                wanted=memory,
                digits=0,
            ),
            Figure(
                key="requests_per_job",
                label="requests a job, in sum",
                unit="",
                wanted=10 if requests else None,
                digits=1,
            ),
            Figure(
                key="coordinator_requests_per_job",
                label="… to the coordinator",
                unit="",
                wanted=5 if requests else None,
                digits=1,
            ),
            Figure(key="cloud_requests_per_job", label="… to the cloud's API", unit="", digits=1),
            Figure(key="git_requests_per_job", label="… of the push", unit="", digits=1),
        ),
        peer_once=peer_once,
        floor=True,
    )


BURSTS = (
    _scenario(
        "burst-50",
        "50 jobs at once, every setting at its default",
        Burst(count=50, setting=Setting(), settings=Settings(near=False)),
        seconds=8,
        peer_once=True,
    ),
    _scenario(
        "burst-200",
        "200 jobs at once, near services",
        Burst(count=200, setting=Setting(), settings=Settings(concurrent=200)),
        seconds=6,
        push=0.5,
        cpu=0.03,
        memory=80,
        requests=True,
    ),
    _scenario(
        "burst-500",
        "500 jobs at once, near services",
        Burst(count=500, setting=Setting(), settings=Settings(concurrent=500)),
        seconds=12,
        peer_once=True,
    ),
    _scenario(
        "far-200",
        "200 jobs at once, far services: a call to the cloud 0.12 s, a creation 0.8 s more, a repository 2 s",
        Burst(count=200, setting=FAR, settings=Settings(concurrent=200)),
        seconds=15,
        peer_once=True,
    ),
)
