"""What goes on, shown on a terminal alone, and gone when it is over."""

import asyncio
import io
import time

from paas_runner.commands import progress
from paas_runner.commands.output import Painted
from paas_runner.commands.progress import Board, StatusLine, Waiting
from tests.support.terminal_screen import Screen, Terminal


def until(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_a_status_line_turns_changes_and_goes_away():
    out = Terminal()
    line = StatusLine(out)
    line.show("3 jobs left: [running]")
    turning = set("⠋⠙⠹⠸")
    until(lambda: len(turning & set(out.getvalue())) > 2)
    assert Screen(out.getvalue()).lines[0][2:] == "3 jobs left: [running]"
    line.show("1 job left")
    assert Screen(out.getvalue()).lines[0][2:] == "1 job left"
    assert Screen(out.getvalue()).cursor_hidden
    line.clear()
    line.clear()
    assert Screen(out.getvalue()).lines == []
    assert not Screen(out.getvalue()).cursor_hidden


def test_a_status_line_is_nothing_where_there_is_no_terminal(monkeypatch):
    pipe, dumb = io.StringIO(), Terminal()
    StatusLine(pipe).show("3 jobs left")
    monkeypatch.setenv("TERM", "dumb")
    StatusLine(dumb).show("3 jobs left")
    assert pipe.getvalue() == dumb.getvalue() == ""


def test_a_status_line_has_no_colours_with_no_color(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    line = StatusLine(out)
    line.show("3 jobs left")
    line.clear()
    assert not Screen(out.getvalue()).styled
    assert Screen(out.getvalue()).lines == []


async def test_what_takes_long_is_shown_until_it_is_over(monkeypatch):
    monkeypatch.setattr(progress, "SHOWN_AFTER_SECONDS", 0.01)
    out = Terminal()
    waiting = Waiting(out)
    with waiting.waiting("one: coordinator"), waiting.waiting("one: clever-docker"):
        await asyncio.to_thread(until, lambda: "clever-docker" in out.getvalue())
        [line] = Screen(out.getvalue()).lines
        assert line[2:] == "waiting for one: coordinator, one: clever-docker …"
    assert Screen(out.getvalue()).lines == []


async def test_what_is_quick_is_not_shown_and_neither_is_anything_in_a_pipe(monkeypatch):
    quick, pipe = Terminal(), io.StringIO()
    with Waiting(quick).waiting("x"):
        await asyncio.sleep(0)
    monkeypatch.setattr(progress, "SHOWN_AFTER_SECONDS", 0)
    passed = asyncio.Event()
    with Waiting(pipe).waiting("x"):
        asyncio.get_running_loop().call_later(0, passed.set)
        await passed.wait()
    assert quick.getvalue() == pipe.getvalue() == ""


def test_a_board_changes_in_its_place_below_lines_that_scroll():
    out = Terminal()
    board = Board(out)
    board.draw(["", ("  ", Painted("·", "dim"), " one waiting"), "x" * 100])
    board.show("[  0.1 s] one: running")
    shown = Screen(out.getvalue())
    assert shown.lines == ["[  0.1 s] one: running", "", "  · one waiting", "x" * 79 + "…"]
    board.draw(["", (board.turning, " one running")])
    assert Screen(out.getvalue()).lines[2][1:] == " one running"
    assert len(Screen(out.getvalue()).lines) == 3
    board.clear()
    board.show("all over")
    assert Screen(out.getvalue()).lines == ["[  0.1 s] one: running", "all over"]
    assert not Screen(out.getvalue()).cursor_hidden


def test_the_mark_of_a_board_turns(monkeypatch):
    moments = iter([10.0, 10.1, 10.2])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(moments))
    board = Board(Terminal())
    assert len({board.turning for _ in range(3)}) == 3
