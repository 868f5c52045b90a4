"""Notices by a program of the operator's: the document on its standard input, and a deadline.

No shell, next to no environment, a process group of its own, of which nothing is left when its time is
over. Whoever keeps what it prints to open for longer keeps nobody waiting.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import BinaryIO, Self

from paas_runner.notify.delivery import DeliveryError, Parcel
from paas_runner.notify.document import bounded

ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

_MOST_BYTES = 2048  # of what it prints, of which a line is logged
_MOST_READS = 16


class Program:
    """One receiver's command."""

    def __init__(self, command: Sequence[str], *, within: float) -> None:
        """`within` are seconds."""
        self._command = command
        self._within = within

    async def deliver(self, parcel: Parcel) -> str:
        with ExitStack() as open_now:
            try:
                document = open_now.enter_context(_in_memory(parcel.document))
                output = open_now.enter_context(_Output())
                process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=document,
                    stdout=output.end_of_theirs,
                    stderr=output.end_of_theirs,
                    env=ENVIRONMENT,
                    cwd="/",
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise DeliveryError(f"cannot be started: {getattr(error, 'strerror', error)}") from error
            output.begin()
            code = await self._ended(process)
            said = f": {printed}" if (printed := bounded(output.text)) else ""
        if code is None:
            raise DeliveryError(f"did not end within {self._within:g} s, and was killed{said}")
        if code:
            raise DeliveryError(f"ended with code {code}{said}")
        return f"ended with code 0{said}"

    async def aclose(self) -> None:
        return None

    async def _ended(self, process: asyncio.subprocess.Process) -> int | None:
        """Its exit code; None if it had to be killed. Whatever it has started in its group is gone then."""
        code = None
        try:
            async with asyncio.timeout(self._within):
                code = await process.wait()
        except TimeoutError:
            pass
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        return code


def _in_memory(document: str) -> BinaryIO:
    """A file that needs no disk: what is told may be that there is no room on it. Raises OSError."""
    file = os.fdopen(os.memfd_create("notice"), "w+b")
    try:
        file.write(document.encode(errors="backslashreplace"))
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


class _Output:
    """What a program prints: the beginning is kept, the rest is read, so that it is not held up."""

    def __init__(self) -> None:
        self._ours, self.end_of_theirs = os.pipe()
        self._kept = bytearray()
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        os.close(self._ours)
        self._close_theirs()

    def begin(self) -> None:
        """After the program has its end."""
        self._close_theirs()
        os.set_blocking(self._ours, False)
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    @property
    def text(self) -> str:
        """Decoded, whatever it is."""
        for _ in range(_MOST_READS):  # somebody may go on writing for ever
            if not self._read():
                break
        return self._kept.decode(errors="replace")

    def _read(self) -> bool:
        """Whether there may be more."""
        with suppress(BlockingIOError):
            if piece := os.read(self._ours, 65536):
                self._kept += piece[: _MOST_BYTES - len(self._kept)]
                return True
            asyncio.get_running_loop().remove_reader(self._ours)
        return False

    def _close_theirs(self) -> None:
        if self._open:
            self._open = False
            os.close(self.end_of_theirs)
