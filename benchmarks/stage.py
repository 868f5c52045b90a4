"""A program at work in a world of its own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from benchmarks.playing import Job, Setting, Summary, World, playing
from benchmarks.programs import Program, Running, Settings, running

START_SECONDS = 20.0


@attrs.frozen(kw_only=True)
class Stage:
    """What takes part."""

    world: World
    program: Running
    folder: Path

    async def until(self, moment: str, count: int, within: float) -> int:
        """How many jobs have had that moment, at the latest after so many seconds.

        Raises RuntimeError with the end of the log of a program that has ended by itself.
        """

        def met(summary: Summary) -> bool:
            return self.program.ended or summary.done.get(moment, 0) >= count

        await self.world.until(met, within)
        if self.program.ended:
            raise RuntimeError(f"it has ended by itself:\n{_end_of_log(self.folder)}")
        return (await self.world.summary()).done.get(moment, 0)


@asynccontextmanager
async def on_stage(
    program: Program,
    folder: Path,
    setting: Setting,
    settings: Settings,
    *,
    before: Sequence[str | Path] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Stage]:
    """A program that has asked for a job; raises RuntimeError with the end of its log when it does not."""
    async with playing(setting, user_in_git_url=program.is_peer) as world:
        run = running(program, settings, world, folder, before=before, environment=environment or {})
        async with run as process:
            if not await world.until(lambda summary: summary.first_request is not None, START_SECONDS):
                raise RuntimeError(f"no request for a job in {START_SECONDS:.0f} s:\n{_end_of_log(folder)}")
            yield Stage(world=world, program=process, folder=folder)


def _end_of_log(folder: Path) -> str:
    return (folder / "service.log").read_text(errors="replace")[-2000:]


def requests_a_job(before: Summary, after: Summary, count: int) -> Mapping[str, float]:
    """By door, in sum, and by operation."""
    doors = {door: (after.at(door) - before.at(door)) / count for door in ("coordinator", "cloud", "git")}
    operations = {
        name: (number - before.requests.get(name, 0)) / count for name, number in after.requests.items()
    }
    return {
        "requests_per_job": sum(doors.values()),
        **{f"{door}_requests_per_job": number for door, number in doors.items()},
        **{name: number for name, number in operations.items() if number},
    }


def between(jobs: Sequence[Job], first: str, then: str) -> Sequence[float]:
    """The seconds from one moment to another, of the jobs that have had both."""
    pairs = ((getattr(job, first), getattr(job, then)) for job in jobs)
    return [end - begin for begin, end in pairs if begin is not None and end is not None]
