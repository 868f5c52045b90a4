"""What a keeper promises: nothing of a program outlives it, or the inner runner that started it."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paas_runner.inner.process import RunningProgram, launched
from tests.support.processes import alive, until, with_argument

DAEMON = "(setsid sh -c 'sleep {0} & sleep {0}; wait' >/dev/null 2>&1 &)"


@contextlib.asynccontextmanager
async def shell(text: str, written: bytearray | None = None) -> AsyncIterator[RunningProgram]:
    write = (bytearray() if written is None else written).extend
    environment = {"PATH": os.environ["PATH"]}
    async with launched(("sh", "-c", text), folder=Path("/"), environment=environment, write=write) as found:
        yield found


async def test_the_exit_code_is_the_programs() -> None:
    async with shell("exit 42") as program:
        assert await program.wait() == 42
    async with shell("kill -9 $$") as program:
        assert await program.wait() == 137


async def test_output_and_errors_come_together_and_whole() -> None:
    written = bytearray()
    async with shell("echo out; echo err >&2; head -c 300000 /dev/zero | tr '\\0' x", written) as program:
        assert await program.wait() == 0
    assert written == b"out\nerr\n" + b"x" * 300_000


async def test_it_has_the_environment_that_it_was_given_and_no_other() -> None:
    written = bytearray()
    async with launched(
        ("env",), folder=Path("/"), environment={"A": "ä\n$B"}, write=written.extend
    ) as program:
        await program.wait()
    assert written == "A=ä\n$B\n".encode()


async def test_daemons_of_other_sessions_end_with_the_program() -> None:
    async with shell(
        DAEMON.format("62.01")
        + "; until cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -q 'sleep 62[.]01'"
        + "; do sleep 0.05; done"
    ) as program:
        assert await program.wait() == 0
        assert not alive("62.01")


@pytest.mark.parametrize(
    "through",
    ["exec > >(sleep 0.3; cat)", "exec > >(sleep 0.3; cat) 2>&1", "exec > >(setsid sh -c 'sleep 0.3; cat')"],
)
async def test_what_passes_through_a_helper_of_the_script_comes_whole(through: str) -> None:
    """The helper reads only after the script's shell has ended."""
    written = bytearray()
    command = ("bash", "-c", f"{through}; seq 1 9000; echo last; exit 3")
    environment = {"PATH": os.environ["PATH"]}
    async with launched(command, folder=Path("/"), environment=environment, write=written.extend) as program:
        assert await program.wait() == 3
    assert written.endswith(b"\n9000\nlast\n")
    assert len(written.splitlines()) == 9001


async def test_a_file_that_a_helper_writes_beside_the_output_is_whole(tmp_path: Path) -> None:
    command = ("bash", "-c", "exec > >(sleep 0.3; tee log); seq 1 9000; echo last; exit 3")
    environment = {"PATH": os.environ["PATH"]}
    written = bytearray()
    async with launched(command, folder=tmp_path, environment=environment, write=written.extend) as program:
        await program.wait()
    assert (tmp_path / "log").read_bytes() == written
    assert written.endswith(b"\nlast\n")


async def test_who_holds_the_output_for_ever_delays_the_end_by_two_seconds_and_is_killed() -> None:
    written = bytearray()
    begun = time.monotonic()
    async with shell("sleep 62.06 & echo up", written) as program:
        assert await program.wait() == 0
        assert time.monotonic() - begun >= 2
        assert not alive("62.06")
    assert written == b"up\n"


async def test_an_end_that_is_asked_for_waits_for_no_output() -> None:
    async with shell("trap 'exit 5' TERM; sleep 62.07 & echo up; wait"):
        await until(lambda: alive("62.07"))
        begun = time.monotonic()
    assert not alive("62.07")
    assert time.monotonic() - begun < 2


async def test_leaving_the_context_kills_all_of_it() -> None:
    async with shell(f"trap '' TERM; {DAEMON.format('62.02')}; sleep 62.02; sleep 62.02"):
        await until(lambda: alive("62.02"))
    assert not alive("62.02")


async def test_to_terminate_reaches_the_whole_group() -> None:
    written = bytearray()
    async with shell("trap 'echo bye; exit 5' TERM; echo up; sleep 62.03 & wait", written) as program:
        await until(lambda: b"up" in written)
        program.terminate()
        assert await program.wait() == 5
    assert written == b"up\nbye\n"


async def test_a_broken_pipe_ends_a_program_as_it_would_elsewhere() -> None:
    written = bytearray()
    async with shell("yes | head -1; echo $?", written) as program:
        await program.wait()
    assert written == b"y\n0\n"


@pytest.mark.parametrize(
    ("command", "folder"),
    [(("/nonexistent",), "/"), (("no-such-program",), "/"), (("true",), "/nonexistent")],
)
async def test_what_cannot_be_started_is_an_oserror(command: tuple[str, ...], folder: str) -> None:
    with pytest.raises(OSError, match=r"[Nn]o such|no program"):
        async with launched(command, folder=Path(folder), environment={}, write=lambda _: None) as program:
            await program.wait()


async def test_a_keeper_that_was_killed_is_reported() -> None:
    async with shell("kill -9 $PPID; sleep 62.04") as program:
        with pytest.raises(OSError, match="its keeper was killed by signal 9"):
            await program.wait()
    for pid in with_argument("62.04"):  # the keeper is not there to do it
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


async def test_variables_of_the_job_do_not_reach_the_keeper() -> None:
    """A library that is preloaded for the job could break another program."""
    written = bytearray()
    environment = {"LD_PRELOAD": "/nonexistent.so", "PYTHONHOME": "/nonexistent", "PATH": os.environ["PATH"]}
    async with launched(
        ("sh", "-c", "echo ok"), folder=Path("/"), environment=environment, write=written.extend
    ) as it:
        assert await it.wait() == 0
    assert written.endswith(b"ok\n")


async def test_the_runner_is_what_keeps_it_alive(tmp_path: Path) -> None:
    """The process at the other end of its input may die by any hand."""
    program = tmp_path / "holder.py"
    program.write_text(
        "import asyncio, pathlib\n"
        "from paas_runner.inner.process import launched\n"
        "async def main():\n"
        "    here = pathlib.Path('/')\n"
        "    async with launched(('sleep', '62.05'), folder=here, environment={}, write=print) as sleep:\n"
        "        await sleep.wait()\n"
        "asyncio.run(main())\n"
    )
    holder = await asyncio.create_subprocess_exec(
        sys.executable, program, env={**os.environ, "PYTHONPATH": "."}
    )
    await until(lambda: alive("62.05\0"))
    holder.kill()
    await holder.wait()
    await until(lambda: not alive("62.05\0"))


CHAINS = """
import os, sys, time
end = time.monotonic() + float(sys.argv[1])
for _ in range(8):
    if not os.fork():
        while time.monotonic() < end:
            if os.fork():
                os._exit(0)
            os.setsid()
        os._exit(0)
"""


async def test_processes_that_go_on_making_others_are_killed() -> None:
    seconds = f"30.{time.monotonic_ns()}"
    text = f"exec '{sys.executable}' -I -S -c '{CHAINS}' {seconds} >/dev/null 2>&1"
    async with shell(text) as program, asyncio.timeout(20):
        assert await program.wait() == 0
    assert not with_argument(seconds)
