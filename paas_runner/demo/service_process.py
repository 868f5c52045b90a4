"""The service as the demo starts it: the real program, its own process, its log read line by line."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

LogEvent = Mapping[str, Any]

STOP_SECONDS = 30.0


class ServiceProcess:
    """One run of `heptapod-paas-runner CONFIG`; `on_event` gets each line of its log, decoded."""

    def __init__(
        self, config: Path, on_event: Callable[[LogEvent], None], *, command: Sequence[str] | None = None
    ) -> None:
        """`command` is what stands before the configuration, if not the installed program."""
        self._command = command or _installed()
        self._config = config
        self._on_event = on_event
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self.last_words: list[str] = []
        """Lines that are no log events: what the program prints when it cannot even start."""

    @property
    def pid(self) -> int:
        """Of the program, which was started."""
        return self._started().pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._started().send_signal(number)

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            str(self._config),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        self._reading = asyncio.create_task(self._read(self._process))

    async def wait(self) -> int:
        """The exit code, once the program has ended."""
        process = self._started()
        if self._reading is not None:
            await self._reading
        return await process.wait()

    async def terminate(self) -> int:
        """SIGTERM, as a service manager does it; SIGKILL when it does not end; the exit code."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    return await self.wait()
            except TimeoutError:
                self._process.kill()
        return await self.wait()

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stderr is None:
            return
        async for line in process.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                self.last_words.append(line.decode(errors="replace").rstrip())
                continue
            self._on_event(event)


def _installed() -> Sequence[str]:
    """The installed program that belongs to this interpreter."""
    installed = shutil.which("heptapod-paas-runner", path=str(Path(sys.executable).parent))
    return [installed] if installed else [sys.executable, "-m", "paas_runner", "run"]
