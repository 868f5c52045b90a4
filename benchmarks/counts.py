"""What can be counted exactly, and is the same on each machine: the part of all this that CI looks at."""

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import Figure, Measured, Patience, Scenario
from benchmarks.playing import Setting
from benchmarks.programs import CountedGit, Program, Settings
from benchmarks.stage import on_stage, requests_a_job

JOBS = 20
_HOOKS = Path(__file__).parent / "hooks"


async def count(program: Program, folder: Path, patience: Patience) -> Measured:
    """20 jobs of 2 s at once; raises RuntimeError when one of them is not done."""
    git, writes = CountedGit(folder), folder / "writes.json"
    environment = {} if program.is_peer else {"PYTHONPATH": str(_HOOKS), "BENCHMARK_WRITES": str(writes)}
    settings = Settings(concurrent=JOBS)
    async with on_stage(
        program, folder, Setting(), settings, before=git.before, environment=environment
    ) as stage:
        before = await stage.world.summary()
        await stage.world.submit(JOBS)
        if (done := await stage.until("deleted", JOBS, patience.seconds)) < JOBS:
            said = (folder / "service.log").read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{done} of {JOBS} jobs done:\n{said}")
        after = await stage.world.summary()
        await stage.program.stopped(patience.seconds)
    return {
        **requests_a_job(before, after, JOBS),
        "git_processes_per_job": "not counted" if git.count is None else git.count / JOBS,
        **_writes(json.loads(writes.read_text()) if writes.exists() else {}),
    }


def _writes(counted: Mapping[str, int]) -> Measured:
    """Each write of a record, and the transactions that they share."""
    if not counted:
        return {"store_writes_per_job": "-", "store_commits_per_job": "-"}
    records = sum(number for what, number in counted.items() if what.endswith(" job"))
    return {"store_writes_per_job": records / JOBS, "store_commits_per_job": counted["commit"] / JOBS}


COUNTS = Scenario(
    name="counts",
    about=f"{JOBS} jobs of 2 s at once, near services: what is the same on each machine",
    measure=count,
    figures=(
        Figure(key="requests_per_job", label="requests a job, in sum", unit="", wanted=10),
        Figure(key="coordinator_requests_per_job", label="… to the coordinator", unit="", wanted=5),
        Figure(key="cloud_requests_per_job", label="… to the cloud's API", unit=""),
        Figure(key="git_requests_per_job", label="… of the push", unit=""),
        Figure(key="git_processes_per_job", label="git processes a job", unit="", wanted=0),
        Figure(key="store_writes_per_job", label="writes of a job's record", unit="", wanted=8),
        Figure(key="store_commits_per_job", label="transactions a job", unit=""),
    ),
)
