"""Both stores beside each other, in the same burst by turns; many jobs of two processes on one database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import attrs

from benchmarks.figures import Figure, Measured, Patience, Scenario, Value, median, not_done
from benchmarks.playing import Setting, World, playing
from benchmarks.programs import Program, Running, Settings, cpu_seconds_of_tree, running
from benchmarks.stage import Stage, on_stage
from paas_runner.demo.database import DatabaseServer, database_server

_TURNS = 3
_REMOVED_SECONDS = 60.0
_SECTIONS = 4
_FOR_EVER = 100_000.0
_TAKEN_SECONDS = 30.0
_SETTLE_SECONDS = 20.0
_WINDOW_SECONDS = 30.0
_STOP_SECONDS = 30.0
_LOOKED_SECONDS = 60.0
_TICK_SECONDS = 0.02


@attrs.frozen
class Burst:
    """So many jobs at once, by turns on both stores."""

    count: int

    async def __call__(self, program: Program, folder: Path, patience: Patience) -> Measured:
        seconds: dict[str, list[float]] = {"sqlite": [], "postgres": []}
        cpu: dict[str, list[float]] = {"sqlite": [], "postgres": []}
        servers: list[float] = []
        for turn in range(_TURNS):
            for store in ("sqlite", "postgres"):
                place = folder / f"{store}-{turn}"
                place.mkdir()
                async with AsyncExitStack() as stack:
                    settings = Settings(concurrent=self.count)
                    server = None
                    if store == "postgres":
                        server = await stack.enter_async_context(database_server())
                        settings = attrs.evolve(settings, store=_shared(server, "standby", "one"))
                    on = on_stage(program, place, Setting(), settings)
                    stage = await stack.enter_async_context(on)
                    before = cpu_seconds_of_tree(server.pid) if server else 0.0
                    took, used = await self._burst(stage, patience)
                    seconds[store].append(took)
                    cpu[store].append(used)
                    if server:
                        servers.append((cpu_seconds_of_tree(server.pid) - before) / self.count)
        figures = {f"{store}_seconds": median(values) for store, values in seconds.items()}
        figures |= {f"{store}_cpu_per_job": median(values) for store, values in cpu.items()}
        return {
            **figures,
            "seconds_ratio": _ratio(figures, "seconds"),
            "cpu_ratio": _ratio(figures, "cpu_per_job"),
            "server_cpu_per_job": median(servers),
        }

    async def _burst(self, stage: Stage, patience: Patience) -> tuple[float, float]:
        """Until all are launched; and processor time a job, until all hosts are gone."""
        before, submitted = stage.program.cpu_seconds, time.monotonic()
        await stage.world.submit(self.count)
        pushed = await stage.until("pushed", self.count, patience.seconds)
        if pushed < self.count:
            raise RuntimeError(not_done(pushed, self.count, patience))
        launched = max(job.pushed or 0.0 for job in await stage.world.jobs()) - submitted
        await stage.until("deleted", self.count, _REMOVED_SECONDS)
        return launched, (stage.program.cpu_seconds - before) / self.count


@attrs.frozen
class Pair:
    """So many jobs that run on and on, of two processes on one database, which divide them."""

    count: int

    async def __call__(self, program: Program, folder: Path, patience: Patience) -> Measured:
        setting = Setting(runners=_SECTIONS, run_seconds=_FOR_EVER)
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(database_server())
            world = await stack.enter_async_context(playing(setting, user_in_git_url=False))
            members = [
                await stack.enter_async_context(
                    _member(program, world, folder, server=server, name=name, count=self.count)
                )
                for name in ("one", "two")
            ]
            await _until(lambda: all(map(_held, members)), _TAKEN_SECONDS + 60)
            submitted = time.monotonic()
            for number in range(_SECTIONS):
                await world.submit(self.count // _SECTIONS, runner=number)
            if not await world.until(lambda all_: all_.done.get("pushed", 0) >= self.count, patience.seconds):
                done = (await world.summary()).done.get("pushed", 0)
                return {"launched_seconds": not_done(done, self.count, patience)}
            launched = time.monotonic() - submitted
            await asyncio.sleep(_SETTLE_SECONDS)
            window = await _window(members, server)
            handed_over = await self._handed_over(world, members[0], members[1])
            third = await stack.enter_async_context(
                _member(program, world, folder, server=server, name="three", count=self.count)
            )
            await _until(lambda: _says(third, "started"), _TAKEN_SECONDS)
            await asyncio.sleep(1)
            all_of_them = await self._handed_over(world, members[1], third)
            return {
                "launched_seconds": launched,
                **window,
                "half_taken_seconds": handed_over[0],
                "all_taken_seconds": all_of_them[0],
                "all_looked_at_seconds": all_of_them[1],
            }

    async def _handed_over(self, world: World, leaving: "Member", staying: "Member") -> tuple[Value, Value]:
        """From SIGTERM until all sections of one are the other's; and until each job was asked about."""
        begun, had = time.monotonic(), _held(staying)
        wanted = had + _held(leaving)
        stopping = asyncio.ensure_future(leaving.process.stopped(_STOP_SECONDS))
        await _until(lambda: _held(staying) >= wanted, _TAKEN_SECONDS)
        taken = time.monotonic() - begun
        await stopping
        await world.mark()
        if not await world.until(lambda summary: summary.unseen == 0, _LOOKED_SECONDS):
            unseen = (await world.summary()).unseen
            return taken, f"{unseen:,} not in {_LOOKED_SECONDS:.0f} s"
        return taken, time.monotonic() - begun


@attrs.frozen
class Member:
    """One of the processes, and where it says what it does."""

    process: Running
    folder: Path


@asynccontextmanager
async def _member(
    program: Program, world: World, folder: Path, *, server: DatabaseServer, name: str, count: int
) -> AsyncIterator[Member]:
    place = folder / name
    place.mkdir()
    settings = Settings(concurrent=count, store=_shared(server, "spread", name))
    async with running(program, settings, world, place) as process:
        yield Member(process, place)


def _shared(server: DatabaseServer, mode: str, name: str) -> Sequence[str]:
    return [
        f'state_store = "{server.url}"',
        f'state_store_mode = "{mode}"',
        f'state_store_member = "{name}"',
        'log_format = "json"',
    ]


async def _window(members: Sequence[Member], server: DatabaseServer) -> Measured:
    """What it takes to follow them, for a minute; of both processes together."""

    def used() -> float:
        return sum(member.process.cpu_seconds for member in members)

    before, server_before, begun = used(), cpu_seconds_of_tree(server.pid), time.monotonic()
    await asyncio.sleep(_WINDOW_SECONDS)
    minutes = (time.monotonic() - begun) / 60
    return {
        "cpu_seconds_per_minute": (used() - before) / minutes,
        "server_cpu_per_minute": (cpu_seconds_of_tree(server.pid) - server_before) / minutes,
        "resident_mib": max(member.process.resident_mib for member in members),
    }


def _held(member: Member) -> int:
    """How many sections it has by its own log."""
    log = _log(member)
    taken, gone = (
        log.count('"section_taken"'),
        log.count('"section_handed_over"') + log.count('"section_lost"'),
    )
    return taken - gone


def _says(member: Member, event: str) -> bool:
    return f'"event": "{event}"' in _log(member)


def _log(member: Member) -> str:
    with suppress(OSError):
        return (member.folder / "service.log").read_text(errors="replace")
    return ""


async def _until(met: Callable[[], bool], within: float) -> None:
    ends = time.monotonic() + within
    while not met():
        if time.monotonic() > ends:
            raise TimeoutError
        await asyncio.sleep(_TICK_SECONDS)


def _ratio(figures: Mapping[str, Value], what: str) -> Value:
    sqlite, postgres = figures[f"sqlite_{what}"], figures[f"postgres_{what}"]
    if isinstance(sqlite, str) or isinstance(postgres, str) or not sqlite:
        return "none"
    return postgres / sqlite


STORES = (
    Scenario(
        name="stores-200",
        about="200 jobs at once, near services, by turns on SQLite and on PostgreSQL",
        measure=Burst(200),
        figures=(
            Figure(key="sqlite_seconds", label="until all are launched, on SQLite", digits=1),
            Figure(key="postgres_seconds", label="… on PostgreSQL", digits=1),
            Figure(key="seconds_ratio", label="… as many times as long", unit="", wanted=1.5),
            Figure(key="sqlite_cpu_per_job", label="processor time a job, on SQLite", digits=4),
            Figure(key="postgres_cpu_per_job", label="… on PostgreSQL", digits=4),
            Figure(key="cpu_ratio", label="… as many times as much", unit="", wanted=1.3),
            Figure(key="server_cpu_per_job", label="… of the database itself", digits=4),
        ),
        peer=False,
        once=True,
    ),
    Scenario(
        name="pair-5000",
        about="5,000 jobs that run on and on, near services, divided by two processes on one PostgreSQL",
        measure=Pair(5000),
        figures=(
            Figure(key="launched_seconds", label="until all are launched", digits=1),
            Figure(key="cpu_seconds_per_minute", label="processor time a minute, of both", digits=1),
            Figure(key="server_cpu_per_minute", label="… of the database itself", digits=1),
            Figure(key="resident_mib", label="memory, of the larger one", unit="MiB", digits=0),
            Figure(key="half_taken_seconds", label="SIGTERM → the other has all 5,000", wanted=5),
            Figure(key="all_taken_seconds", label="SIGTERM of that one → a third has all 5,000", wanted=5),
            Figure(key="all_looked_at_seconds", label="… and has looked at each", digits=1),
        ),
        peer=False,
        once=True,
    ),
)
