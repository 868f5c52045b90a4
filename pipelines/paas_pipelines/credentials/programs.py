"""Credentials that a program prints: `exec`, and the password of a `docker` one such as AWS ECR's.

The program is the operator's, of the TOML. What it prints is used again for its lifetime, in memory alone.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import timedelta

import attrs

from paas_runner.secret import Secret

_MOST_BYTES = 64 * 1024


class ProgramError(Exception):
    """The program gave no value; the text has nothing of what it printed."""


@attrs.define
class Programs:
    """What they have printed, by name of the credential."""

    now: Callable[[], float]
    """Seconds of a clock that never goes back."""

    _kept: dict[str, tuple[Sequence[str], float, Secret]] = attrs.field(factory=dict, repr=False)
    _locks: dict[str, asyncio.Lock] = attrs.field(factory=dict)

    async def value(
        self, name: str, command: Sequence[str], within: timedelta, lifetime: timedelta
    ) -> Secret:
        """Raises `ProgramError`."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            kept = self._kept.get(name)
            if kept and kept[0] == command and self.now() < kept[1]:
                return kept[2]
            found = await _printed(command, within)
            if lifetime:
                self._kept[name] = command, self.now() + lifetime.total_seconds(), found
            return found


async def _printed(command: Sequence[str], within: timedelta) -> Secret:
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise ProgramError(f"{command[0]} cannot be run: {error.strerror}") from None
    try:
        async with asyncio.timeout(within.total_seconds()):
            assert process.stdout is not None  # noqa: S101 - it is piped
            text = await process.stdout.read(_MOST_BYTES + 1)
            if len(text) > _MOST_BYTES:
                raise ProgramError(f"{command[0]} prints more than {_MOST_BYTES} bytes")
            code = await process.wait()
    except TimeoutError:
        raise ProgramError(f"{command[0]} took longer than {within.total_seconds():g} s") from None
    finally:
        if process.returncode is None:
            os.killpg(process.pid, 9)
            await process.wait()
    if code:
        raise ProgramError(f"{command[0]} has failed with exit code {code}")
    try:
        value = text.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ProgramError(f"{command[0]} prints no text in UTF-8") from None
    if not value:
        raise ProgramError(f"{command[0]} prints nothing")
    return Secret(value)
