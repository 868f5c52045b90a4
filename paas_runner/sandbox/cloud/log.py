"""The log of one application: kept lines, and waiting for more of them."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime

import attrs


@attrs.frozen(kw_only=True)
class LogLine:
    """One line; `id` grows with time and is what a reader resumes from."""

    id: str
    at: datetime
    message: str
    deployment: str
    commit: str
    instance: str


class Log:
    """Lines in the order in which they were written."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lines: list[LogLine] = []
        self._more = asyncio.Event()

    def write(self, message: str, *, deployment: str, commit: str, instance: str) -> None:
        """Append one line and wake the readers."""
        line = LogLine(
            id=f"{len(self._lines):012d}",
            at=self._clock(),
            message=message,
            deployment=deployment,
            commit=commit,
            instance=instance,
        )
        self._lines.append(line)
        self._more.set()
        self._more = asyncio.Event()

    def after(self, last_id: str) -> Iterator[LogLine]:
        """The lines written after the one with that id; all of them for an empty id."""
        return (line for line in tuple(self._lines) if line.id > last_id)

    async def more(self, within: float) -> None:
        """Return when a line is written, or after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._more.wait()
        except TimeoutError:
            return
