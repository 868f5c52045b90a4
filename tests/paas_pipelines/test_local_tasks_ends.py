"""However a task ends, nothing of it is left: whatever it does against that (spec §4, P068 to P070)."""

import asyncio
import contextlib
import itertools
import os
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.tasks import local

from tests.support.local_tasks import SHELLS, order, place, ran
from tests.support.processes import alive, until, with_argument

_number = itertools.count()


@pytest.fixture
def marker() -> str:
    """An argument of `sleep` by which its process is found, of this test alone."""
    return f"61.{os.getpid()}{next(_number):04}"


async def stopped_when(condition, where, asked) -> tuple:
    """How it ended when it was stopped as soon as the condition held, and after how many seconds."""
    stop = asyncio.Event()
    task = asyncio.create_task(ran(where, asked, stop))
    await until(condition, 60)
    begun = time.monotonic()
    stop.set()
    return await task, time.monotonic() - begun


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may be too busy for two seconds."""
    monkeypatch.setattr(local, "GRACE_SECONDS", 60)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("shell", SHELLS, ids=["bash", "sh"])
async def test_a_stop_interrupts_the_whole_group_and_no_other_entry_begins(
    tmp_path: Path, marker: str, shell
) -> None:
    """P068, P069: although the program takes SIGINT for a reason to end well."""
    program = f"sh -c 'trap \"echo bye; exit 0\" INT; touch up; sleep {marker} & wait'"
    asked = order(f"{program}; echo more", "echo never", allow_failure=True)
    ended, _ = await stopped_when((tmp_path / "up").exists, place(tmp_path, shell=shell), asked)
    assert ended.end.stopped
    assert ended.lines == ["bye"]
    assert not alive(marker)


@pytest.mark.usefixtures("patient")
async def test_who_ends_well_when_interrupted_was_stopped_all_the_same(tmp_path: Path) -> None:
    asked = order("trap 'exit 0' INT; touch up; sleep 60")
    ended, _ = await stopped_when((tmp_path / "up").exists, place(tmp_path), asked)
    assert ended.end == TaskEnd(exit_code=130, stopped=True)


async def test_who_ignores_the_interruption_is_killed_after_two_seconds(tmp_path: Path, marker: str) -> None:
    """P069."""
    asked = order(f"trap '' INT TERM HUP; touch up; sleep {marker}; sleep {marker}")
    ended, seconds = await stopped_when((tmp_path / "up").exists, place(tmp_path), asked)
    assert ended.end == TaskEnd(exit_code=137, stopped=True)
    assert seconds >= 2
    assert not alive(marker)


DAEMONS = {
    "setsid": "setsid sleep {0} & setsid sh -c 'sleep {0}; :' &",
    "double fork": "(setsid sh -c 'sleep {0} & sleep {0} & wait' >/dev/null 2>&1 </dev/null &)",
    "nohup": "nohup sleep {0} >/dev/null 2>&1 &",
    "all closed": "(exec <&- >&- 2>&-; trap '' INT; exec sleep {0}) &",
    "clean environment": "env -i setsid /bin/sleep {0} &",
}


@pytest.mark.parametrize("daemon", DAEMONS.values(), ids=DAEMONS)
async def test_a_daemon_ends_with_its_task_by_itself_or_by_a_stop(
    tmp_path: Path, marker: str, daemon: str
) -> None:
    begin = daemon.format(marker)
    ended, _ = await stopped_when(
        lambda: (tmp_path / "up").exists() and alive(marker),
        place(tmp_path),
        order(f"{begin}\ntouch up; sleep 50"),
    )
    assert ended.end.stopped
    assert not alive(marker)
    ended = await ran(place(tmp_path), order(f"{begin}\nsleep 0.1; echo over"))
    assert ended.end == TaskEnd()
    assert ended.lines == ["over"]
    assert not alive(marker)


async def test_who_closes_its_outputs_is_waited_for_all_the_same(tmp_path: Path) -> None:
    ended = await ran(place(tmp_path), order("exec >&- 2>&-; sleep 0.3; touch here; exit 3"))
    assert ended.end == TaskEnd(exit_code=3)
    assert (tmp_path / "here").exists()


async def test_who_kills_its_keeper_has_failed_and_leaves_nothing(tmp_path: Path, marker: str) -> None:
    asked = order(f"setsid sleep {marker} & kill -9 $PPID; sleep {marker}", "echo never", allow_failure=True)
    ended = await ran(place(tmp_path), asked)
    assert "its keeper was killed by signal 9" in ended.end.error
    await until(lambda: not alive(marker))
    assert ended.lines == []


async def test_another_task_of_the_run_outlives_one_who_kills_its_keeper(tmp_path: Path, marker: str) -> None:
    stop = asyncio.Event()
    where = place(tmp_path)
    good = asyncio.create_task(ran(where, order(f"sleep {marker}", name="good", run_id="the-run"), stop))
    await until(lambda: alive(marker), 60)
    assert (await ran(where, order("kill -9 $PPID; sleep 9", name="bad", run_id="the-run"))).end.error
    assert alive(marker)
    stop.set()
    assert (await good).end.stopped


async def test_a_server_that_ends_at_once_takes_its_tasks_along(tmp_path: Path, marker: str) -> None:
    task = asyncio.create_task(
        ran(place(tmp_path), order(f"trap '' INT; setsid sleep {marker} & sleep {marker}"))
    )
    await until(lambda: len(with_argument(marker)) >= 2, 60)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert not alive(marker)


async def test_a_bomb_of_processes_is_defused(tmp_path: Path, marker: str) -> None:
    """Bounded: some hundreds, each of which has left its session and makes others when it is killed."""
    bomb = f"""
import os, time
open("up", "w")
for _ in range(7):
    os.fork()
    os.setsid() if os.getpid() != os.getpgrp() else None
time.sleep({marker})
"""
    (tmp_path / "bomb.py").write_text(bomb)
    asked = order(f"'{sys.executable}' -I -S bomb.py {marker}")
    ended, _ = await stopped_when(lambda: len(with_argument(marker)) > 100, place(tmp_path), asked)
    assert ended.end.stopped
    assert not alive(marker)


@pytest.mark.parametrize("step", range(8))
async def test_a_stop_at_any_moment_of_the_start_leaves_nothing(
    tmp_path: Path, marker: str, step: int
) -> None:
    stop = asyncio.Event()
    where = place(tmp_path)
    asked = order(f"setsid sleep {marker} & sleep {marker}", "touch never")
    task = asyncio.create_task(ran(where, asked, stop))
    await asyncio.sleep(0.015 * step)
    stop.set()
    assert (await task).end.stopped
    assert not alive(marker)
    assert not (tmp_path / "never").exists()
    assert where.room._value == place(tmp_path).room._value


async def test_a_shortage_of_files_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create, refused = os.memfd_create, []

    def short(name: str) -> int:
        if len(refused) < 1:
            refused.append(name)
            raise OSError(24, "Too many open files")
        return create(name)

    monkeypatch.setattr(os, "memfd_create", short)
    assert (await ran(place(tmp_path), order("echo here"))).lines == ["here"]
    assert refused


ENTRIES = st.sampled_from(
    ["true", "exit 0", "sleep 0.03", "setsid sleep {0} & true", "trap 'exit 0' INT; sleep {0}", "sleep {0}"]
)


@pytest.mark.long
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(ENTRIES, min_size=1, max_size=4), delay=st.floats(0, 0.25), tolerant=st.booleans())
def test_a_stop_at_any_moment_of_any_script_leaves_nothing(
    tmp_path: Path, script: list[str], delay: float, tolerant: bool
) -> None:
    number = f"61.{os.getpid()}{next(_number):04}"

    async def main() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(delay, stop.set)
        begun = order(*(each.format(number) for each in script), allow_failure=tolerant)
        ended = await ran(place(tmp_path), begun, stop)
        assert ended.end.stopped or (
            ended.end == TaskEnd() and not any("sleep {0}" in each for each in script[-1:])
        )
        assert not alive(number)

    asyncio.run(main())


HOLDER = """
import asyncio, sys
from pathlib import Path
from tests.support.local_tasks import order, place, ran
script = "trap '' INT TERM HUP; setsid sleep {0} & (setsid sleep {0} &) ; sleep {0}".format(sys.argv[1])
asyncio.run(ran(place(Path("/tmp")), order(script)))
"""


@pytest.mark.long
async def test_a_server_that_is_killed_takes_its_tasks_along(tmp_path: Path, marker: str) -> None:
    """Unlike prunner (P070)."""
    environment = {**os.environ, "PYTHONPATH": ".:pipelines"}
    server = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, marker, env=environment)
    await until(lambda: len(with_argument(f"sleep\0{marker}")) == 3, 60)
    server.kill()
    await server.wait()
    await until(lambda: not alive(f"sleep\0{marker}"), 60)


@pytest.mark.long
async def test_two_hundred_tasks_at_once(tmp_path: Path) -> None:
    where = place(tmp_path)
    ended = await asyncio.gather(*(ran(where, order(f"echo {n}; sleep 0.2")) for n in range(200)))
    assert [each.out for each in ended] == [f"{n}\n" for n in range(200)]
    assert {each.end for each in ended} == {TaskEnd()}


@pytest.mark.long
async def test_a_gigabyte_of_output_passes_through_little_memory(tmp_path: Path) -> None:
    import tracemalloc

    length = 0
    longest = 0

    class Output:
        def stdout(self, data: bytes) -> None:
            nonlocal length, longest
            length += len(data)
            longest = max(longest, len(data))

        stderr = stdout

    tracemalloc.start()
    await place(tmp_path).run(order("head -c 1000000000 /dev/zero"), Output(), asyncio.Event())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length == 1_000_000_000
    assert longest <= 2**20
    assert most < 16 * 2**20
