"""Notices by a program: its standard input, its deadline, its group, its words."""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import pytest

from paas_runner.notify.delivery import DeliveryError
from paas_runner.notify.program import Program
from tests.notify.test_webhook import parcel


async def run(script, *, within=5.0, shell="/bin/sh"):
    return await Program([shell, "-c", script], within=within).deliver(parcel())


async def test_it_gets_the_document_on_its_standard_input(tmp_path):
    copy = tmp_path / "got.json"
    assert await run(f"cat > {copy}; echo thanks") == "ended with code 0: thanks"
    assert json.loads(copy.read_text())["id"] == "n-1"


async def test_its_environment_has_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("CANARY", "of-the-service")
    said = await run("env; pwd")
    assert "CANARY" not in said
    assert said.endswith(" /")


async def test_a_program_that_fails_is_quoted_within_bounds():
    with pytest.raises(DeliveryError) as raised:
        await run("yes a-long-line | head -c 300000; echo oops >&2; exit 3")
    assert str(raised.value).startswith("ended with code 3: a-long-line")
    assert len(str(raised.value)) < 400


async def test_one_that_hangs_is_killed_with_all_that_it_started(tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 600 & echo $! > {pids}; echo $$ >> {pids}; echo waiting; sleep 600"
    with pytest.raises(DeliveryError, match=r"did not end within 0\.5 s, and was killed: waiting"):
        await run(script, within=0.5)
    for pid in map(int, pids.read_text().split()):
        assert _is_gone(pid)


async def test_one_that_leaves_something_behind_keeps_nobody_waiting():
    began = time.monotonic()
    assert await run("setsid sleep 20 & echo done") == "ended with code 0: done"
    assert time.monotonic() - began < 15


async def test_one_that_does_not_read_is_no_trouble():
    assert await run("exec <&-; exit 0") == "ended with code 0"


async def test_a_disk_without_room_is_in_the_way_of_no_notice(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "full"))
    assert "n-1" in await run("cat")


async def test_one_that_is_not_there_is_an_error_in_words():
    with pytest.raises(DeliveryError, match="cannot be started: No such file"):
        await Program(["/nowhere/at/all"], within=1).deliver(parcel())


async def test_no_shell_reads_its_arguments(tmp_path):
    program = tmp_path / "show"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint(sys.argv[1:])\n")
    program.chmod(0o700)
    said = await Program([str(program), "$HOME; `id` && x"], within=10).deliver(parcel())
    assert "$HOME; `id` && x" in said


def _is_gone(pid):
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with contextlib.suppress(FileNotFoundError):
            if "State:\tZ" in Path(f"/proc/{pid}/status").read_text():  # its new parent has not looked yet
                return True
        time.sleep(0.02)
    return False
