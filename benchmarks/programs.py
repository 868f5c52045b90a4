"""The programs that are compared: their configuration, started as processes, read from /proc."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs

from benchmarks.playing import ADMIN_TOKEN, CLOUD_TOKEN, ORGANISATION, World

_SAMPLE_SECONDS = 0.25
_TICKS = os.sysconf("SC_CLK_TCK")
_GITS_OWN_GIT = Path("/usr/lib/git-core/git")


@attrs.frozen(kw_only=True)
class Program:
    """One of those that are compared."""

    name: str
    command: Sequence[str | Path]
    """What the path of a configuration is written behind."""

    is_peer: bool = False
    """1.1.1: it puts credentials into git URLs, and may be given up sooner."""


@attrs.frozen(kw_only=True)
class Settings:
    """What both programs are configured with; None leaves a key out."""

    concurrent: int | None = None
    near: bool = True
    """Whether intervals are 1 s, as for services nearby; else they are the defaults."""

    hung_runners: int = 0
    store: Sequence[str] = ()
    """Lines about another store than a file."""

    def text(self, world: World, folder: Path) -> str:
        """A `config.toml`."""
        lines = [f'state_file = "{folder / "state.json"}"', *self.store]
        if self.near:
            lines += ["check_interval = 1", "job_progress_poll_interval = 1"]
            lines += ["paas_repoll_same_runner_immediately = true"]
        if self.concurrent:
            lines += [f"concurrent = {self.concurrent}"]
            lines += [f"paas_max_concurrent_provisioning = {self.concurrent}"]
        lines += [
            "[quota_computation]",
            'reference_runner = "runner 0"',
            'reference_flavor = "3XL"',
            "reference_jobs_count = 100000",
        ]
        for number, token in enumerate(world.setting.tokens):
            hung = number >= len(world.setting.tokens) - self.hung_runners
            lines += self._runner(number, token, world.urls["hung" if hung else "coordinator"], world)
        return "\n".join(lines) + "\n"

    def _runner(self, number: int, token: str, url: str, world: World) -> Sequence[str]:
        lines = [
            "[[runners]]",
            f'name = "runner {number}"',
            f'url = "{url}"',
            f'token = "{token}"',
            'executor = "clever-docker"',
            f'cc_api_url = "{world.urls["cloud"]}/v2"',
            f'cc_orga_id = "{ORGANISATION}"',
            f'cc_token = "{CLOUD_TOKEN}"',
            *(["cc_deployment_repo_wait_step = 0.2"] if self.near else []),
            "[runners.paas_job_trace_watch]",
            f'token = "{ADMIN_TOKEN}"',
        ]
        return [*lines, *(["poll_step = 0.5"] if self.near else [])]


def cpu_seconds_of_tree(pid: int) -> float:
    """Of a process and all below it, and of what has ended there."""
    seconds = 0.0
    for each in _tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            seconds += sum(map(int, fields[11:15])) / _TICKS
    return seconds


class Running:
    """One run of a program, and all processes that come of it, as /proc tells it."""

    def __init__(self, process: asyncio.subprocess.Process, begun: float) -> None:
        self._process = process
        self.pid = process.pid
        self.begun = begun
        self.peak_memory_mib = 0.0

    @property
    def cpu_seconds(self) -> float:
        """In user and system mode, with children that have ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS

    @property
    def wake_ups(self) -> int:
        """Of all its threads, which leave the processor by themselves each time before they wake up."""
        return sum(
            _status(task, "voluntary_ctxt_switches") for task in Path(f"/proc/{self.pid}/task").iterdir()
        )

    @property
    def resident_mib(self) -> float:
        return _status(Path(f"/proc/{self.pid}"), "VmRSS") / 1024

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def stopped(self, within: float) -> float:
        """Send SIGTERM; returns after how many seconds it has ended. Raises `TimeoutError`."""
        begun = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(within):
            await self._process.wait()
        return time.monotonic() - begun

    async def sample_memory(self) -> None:
        """Keep the peak of what it and its children have in memory, each shared page counted once."""
        while True:
            with suppress(OSError):
                self.peak_memory_mib = max(self.peak_memory_mib, sum(map(_pss_mib, _tree(self.pid))))
            await asyncio.sleep(_SAMPLE_SECONDS)


@asynccontextmanager
async def running(
    program: Program,
    settings: Settings,
    world: World,
    folder: Path,
    *,
    before: Sequence[str | Path] = (),
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Running]:
    """Start it with a folder for its configuration, state and log; killed when the block is left."""
    config = folder / "config.toml"
    config.touch(mode=0o600)
    config.write_text(settings.text(world, folder))
    begun = time.monotonic()
    with (folder / "service.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *before,
            *program.command,
            config,
            stdout=log,
            stderr=log,
            cwd=folder,
            env={
                **os.environ,
                "BENCHMARK_SETTING": json.dumps(attrs.asdict(world.setting)),
                **(environment or {}),
            },
        )
    run = Running(process, begun)
    sampling = asyncio.create_task(run.sample_memory())
    try:
        yield run
    finally:
        sampling.cancel()
        if process.returncode is None:
            process.kill()
            await process.wait()


def _tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _pss_mib(pid: int) -> float:
    with suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0


def _status(folder: Path, name: str) -> int:
    lines = (folder / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


class CountedGit:
    """How often a program starts git, and git itself, which are replaced for it in a mount namespace."""

    def __init__(self, folder: Path) -> None:
        found = Path(shutil.which("git") or "/usr/bin/git").resolve()
        places = [place for place in (found, _GITS_OWN_GIT) if place.exists()]
        copied, counting = folder / "git", folder / "counting-git"
        self._log = folder / "git.log"
        self._log.touch()
        counting.write_text(f'#!/bin/sh\necho >> "{self._log}"\nexec "{copied}" "$@"\n')
        counting.chmod(0o755)
        mounts = [f'mount --bind "{counting}" "{place}"' for place in places]
        self._before = ["unshare", "--mount", "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]
        self._possible = bool(places) and self._works()
        if self._possible:
            shutil.copy(places[0], copied)

    def _works(self) -> bool:
        """Whether we may do so."""
        try:
            tried = subprocess.run([*self._before, "true"], capture_output=True, check=False)
        except OSError:
            return False
        return tried.returncode == 0

    @property
    def before(self) -> Sequence[str]:
        """What to write before the command to run."""
        return self._before if self._possible else ()

    @property
    def count(self) -> int | None:
        """So far; None where it cannot be known."""
        return self._log.read_text().count("\n") if self._possible else None
