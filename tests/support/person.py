"""A person at a pseudo-terminal, who waits for words and types lines."""

import asyncio
import fcntl
import os
import struct
import termios
from contextlib import asynccontextmanager

import pytest

from tests.support.requirements import pseudo_terminal

CONTROL_C = "\x03"
CONTROL_D = "\x04"


class Session:
    """A person at a terminal: `expect` waits for words, `answer` types a line."""

    def __init__(self, process, master):
        self._process = process
        self._master = master
        self._new = asyncio.Event()
        self.screen = ""
        self._seen = 0
        asyncio.get_running_loop().add_reader(master, self._read)

    def _read(self):
        try:
            data = os.read(self._master, 65536)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._master)
        self.screen += data.decode(errors="replace").replace("\r\n", "\n")
        self._new.set()

    async def expect(self, words, seconds=60):
        """Wait until `words` appear after what was expected before."""
        try:
            async with asyncio.timeout(seconds):
                while (at := self.screen.find(words, self._seen)) < 0:
                    self._new.clear()
                    await self._new.wait()
        except TimeoutError:
            pytest.fail(f"no {words!r} in:\n{self.screen[self._seen :]}\n--- before:\n{self.screen}")
        self._seen = at + len(words)

    def type(self, keys):
        os.write(self._master, keys.encode())

    async def answer(self, prompt, line=""):
        await self.expect(prompt)
        await self.expect(": ")
        self.type(line + "\n")

    async def end(self, seconds=60):
        async with asyncio.timeout(seconds):
            code = await self._process.wait()
        await asyncio.sleep(0.05)
        return code

    async def close(self):
        asyncio.get_running_loop().remove_reader(self._master)
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        os.close(self._master)


@asynccontextmanager
async def at_terminal(*command, env, columns=0):
    """The command at a terminal of its own, of unknown width unless told; it does not outlive the block."""
    master, slave = pseudo_terminal()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40 if columns else 0, columns, 0, 0))
    settings = termios.tcgetattr(slave)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    termios.tcsetattr(slave, termios.TCSANOW, settings)
    os.close(slave)
    session = Session(process, master)
    try:
        yield session
    finally:
        await session.close()
