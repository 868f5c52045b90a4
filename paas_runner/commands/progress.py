"""What goes on, on a terminal: a line that says what is waited for, a board of lines, a page drawn again.

The line and the board are at the bottom, change in their place, and are gone when they are no longer needed:
what a command has printed with `output` stays alone. What cannot be seen in a pipe is not written there.
"""

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from paas_runner.commands import output
from paas_runner.plain_text import folded

if TYPE_CHECKING:
    from rich.live import Live

CLEAR = "\x1b[H\x1b[2J"
SHOWN_AFTER_SECONDS = 1.0
"""What takes less is not shown."""


class Board:
    """Lines at the bottom of a terminal that change in their place, while others scroll by above them."""

    def __init__(self, out: TextIO) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = output.console(out)
        self._spinner = Spinner("dots")
        self._live = Live(
            console=self._console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )

    @property
    def turning(self) -> str:
        """A mark that turns from one drawing to the next."""
        return str(self._spinner.render(time.monotonic()))

    def draw(self, lines: Sequence[output.Line]) -> None:
        """In the place of what stood there before, each on one line of the terminal."""
        from rich.console import Group

        texts = [output.text_of(line) for line in lines]
        for text in texts:
            text.no_wrap, text.overflow = True, "ellipsis"
        self._live.start()
        self._live.update(Group(*texts), refresh=True)

    def show(self, *parts: output.Line | output.Table) -> None:
        """Print lines and tables above the board."""
        output.show_painted(parts, self._console)

    def clear(self) -> None:
        self._live.stop()


class StatusLine:
    """One line on a terminal that says what is going on, and goes away again; elsewhere nothing."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live: Live | None = None

    def show(self, text: str) -> None:
        """In the place of what stood there before; "" takes the line away."""
        if not text:
            self.clear()
        elif output.is_terminal(self._out):
            from rich.live import Live
            from rich.spinner import Spinner

            line = Spinner("dots", text=output.text_of(text), style="cyan")
            if self._live is None:
                # the other stream may be a pipe: what is printed meanwhile must not come here
                self._live = Live(
                    console=output.console(self._out),
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                    refresh_per_second=10,
                )
                self._live.start()
            self._live.update(line, refresh=True)

    def clear(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


class Waiting:
    """Shows what an event loop has waited for longer than a second."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._line = StatusLine(out)
        self._long: list[str] = []

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """`what` is waited for inside the block."""
        import asyncio

        timer = asyncio.get_running_loop().call_later(SHOWN_AFTER_SECONDS, self._begin, what)
        try:
            yield
        finally:
            timer.cancel()
            if what in self._long:
                self._long.remove(what)
                self._show()

    def _begin(self, what: str) -> None:
        self._long.append(what)
        self._show()

    def _show(self) -> None:
        self._line.show(f"waiting for {', '.join(self._long)} …" if self._long else "")


def redraw(text: str) -> None:
    """Show the text alone on the terminal, as much of it as there is room for."""
    size = shutil.get_terminal_size()
    lines = folded(output.clean(text), size.columns).splitlines()
    room = size.lines - 1  # the cursor's
    if len(lines) > room:
        lines[room - 1 :] = [f"… {len(lines) - room + 1} more lines"]
    print(CLEAR + "\n".join(lines), flush=True)
