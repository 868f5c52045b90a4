"""What the commands print: lines, tables, JSON, and on a terminal what is going on.

Each command describes what it has to say as lines and tables. Piped, they become plain, aligned text, which
is the same on every machine. On a terminal they have colours, and the last column of a table is folded where
it is too wide; only then `rich` is imported. `TERM=dumb` is no terminal, `NO_COLOR` leaves the colours out.

Whatever is printed is rid of registered secrets, and of characters that would move a terminal's cursor.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

import attrs

from paas_runner.logs import redactor
from paas_runner.plain_text import aligned, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table as RichTable
    from rich.text import Text

CLEAR = "\x1b[H\x1b[2J"
PATIENCE_SECONDS = 1.0
_DUMB = ("dumb", "unknown")
_NARROWEST = 20
"""In characters: so much room the last column of a table has on the narrowest terminal."""


@attrs.frozen
class Painted:
    """A piece of text with a style in rich's words (`bold`, `red`), which only a terminal shows."""

    text: str
    style: str


Line: TypeAlias = str | Painted | Sequence[str | Painted]


@attrs.frozen(kw_only=True)
class Table:
    """Rows under a head, if there is one; columns stand to the left, with `left` only the first so many."""

    head: Sequence[str] = ()
    rows: Sequence[Sequence[Line]]
    left: int | None = None


def is_terminal(out: TextIO) -> bool:
    """Whether colours and a line that changes are understood there."""
    return (
        out.isatty()
        and os.environ.get("TERM", "").lower() not in _DUMB
        and (out.encoding or "utf-8").lower().startswith("utf")
    )


def show(*parts: Line | Table, out: TextIO | None = None) -> None:
    """Print lines and tables, one below the other, on the standard output unless `out` is given."""
    out = out or sys.stdout
    if is_terminal(out):
        _show_painted(parts, out)
    elif parts:
        _write("\n".join(line for part in parts for line in _plain_lines(part)), out)


def note(text: str) -> None:
    """A message beside the answer: on the standard error, at once."""
    _write(_clean(text), sys.stderr)


def show_json(value: object, *, indent: int | None = 2) -> None:
    """Print one JSON document, nothing else; without `indent` on one line.

    Letters stay as they are, where the output can take them; characters that cannot be seen are escaped.
    """
    text = redactor.text(json.dumps(value, indent=indent, ensure_ascii=False, default=str))
    text = "".join(char if char == "\n" or char.isprintable() else json.dumps(char)[1:-1] for char in text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=indent)
    print(text, flush=True)


def redraw(text: str) -> None:
    """Show the text alone on the terminal, as much of it as there is room for."""
    size = shutil.get_terminal_size()
    lines = [line[: size.columns] for line in _clean(text).splitlines()]
    room = size.lines - 1  # the cursor's
    if len(lines) > room:
        lines[room - 1 :] = [f"… {len(lines) - room + 1} more lines"]
    print(CLEAR + "\n".join(lines), flush=True)


class StatusLine:
    """One line on a terminal that says what is going on, and goes away again; elsewhere nothing."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._live: Live | None = None

    def show(self, text: str) -> None:
        """In the place of what stood there before; "" takes the line away."""
        if not text:
            self.clear()
        elif is_terminal(self._out):
            from rich.live import Live
            from rich.spinner import Spinner

            line = Spinner("dots", text=_text(text), style="cyan")
            if self._live is None:
                # the other stream may be a pipe: what is printed meanwhile must not come here
                self._live = Live(
                    console=_console(self._out),
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
        timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._begin, what)
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


def _clean(text: str) -> str:
    return printable(redactor.text(text))


def _write(text: str, out: TextIO) -> None:
    """What the output cannot encode is written as an escape, rather than not at all."""
    encoding = out.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=out, flush=True)


def _pieces(line: Line) -> Sequence[str | Painted]:
    return [line] if isinstance(line, str | Painted) else line


def _plain(line: Line) -> str:
    return _clean("".join(piece if isinstance(piece, str) else piece.text for piece in _pieces(line)))


def _plain_lines(part: Line | Table) -> Sequence[str]:
    if not isinstance(part, Table):
        return [_plain(part)]
    rows = [list(map(_plain, row)) for row in part.rows]
    return aligned([list(part.head), *rows] if part.head else rows, left=part.left) if rows else []


def _show_painted(parts: Sequence[Line | Table], out: TextIO) -> None:
    for part in parts:
        if isinstance(part, Table):
            table, width = _painted_table(part)
            console = _console(out)
            console.width = max(console.width, width)
            console.print(table)
        else:
            _console(out).print(_text(part), soft_wrap=True)
    out.flush()


def _painted_table(table: Table) -> "tuple[RichTable, int]":
    """A table of rich, and how much room it needs: only the last column is ever folded."""
    from rich.table import Table as RichTable

    drawn = RichTable(
        box=None, show_header=bool(table.head), header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    texts = [[_text(cell) for cell in row] for row in table.rows]
    heads = table.head or [""] * max(map(len, texts), default=0)
    widths = [
        max(len(head), *(row[number].cell_len for row in texts), 0) for number, head in enumerate(heads)
    ]
    last = len(heads) - 1
    for number, (head, width) in enumerate(zip(heads, widths, strict=True)):
        drawn.add_column(
            _text(head),
            justify="left" if table.left is None or number < table.left else "right",
            min_width=min(width, _NARROWEST) if number == last else width,
            overflow="fold",
        )
    for row in texts:
        drawn.add_row(*row)
    needed = sum(widths[:-1]) + 2 * last + min(widths[-1], _NARROWEST) if widths else 0
    return drawn, needed


def _text(line: Line) -> "Text":
    from rich.text import Text

    pieces = [
        _clean(piece) if isinstance(piece, str) else (_clean(piece.text), piece.style)
        for piece in _pieces(line)
    ]
    return Text.assemble(*pieces)


def _console(out: TextIO) -> "Console":
    from rich.console import Console

    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=out, force_terminal=True, color_system=colours, highlight=False)
