"""What the commands print: lines, tables, JSON, and on a terminal what is going on.

Each command describes what it has to say as lines and tables. Piped, they become plain, aligned text, which
is the same on every machine. On a terminal they have colours, and the last column of a table is folded where
it is too wide; only then `rich` is imported. `TERM=dumb` is no terminal, `NO_COLOR` leaves the colours out.

Whatever is printed is rid of registered secrets, and of characters that would move a terminal's cursor.
"""

import contextlib
import json
import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TextIO, TypeAlias

import attrs

from paas_runner.any_locale import OTHER_SIGNS
from paas_runner.errors import Exit, RunnerError
from paas_runner.plain_text import aligned, folded, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

_DUMB = ("dumb", "unknown")
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NARROWEST = 20
"""In characters: so much room the last column of a table has on the narrowest terminal."""


class OutputError(RunnerError):
    """What a command had to say could not be written, to a disk that is full, say."""

    exit_code = Exit.STATE

    @classmethod
    def of(cls, error: OSError) -> "OutputError":
        return cls(f"the output cannot be written: {error.strerror}")


@attrs.frozen
class Painted:
    """A piece of text with a style in rich's words (`bold`, `red`), which only a terminal shows."""

    text: str
    style: str


@attrs.frozen
class Coloured:
    """Text with colours of its own, as escape sequences: a line of a job's trace."""

    text: str


Piece: TypeAlias = str | Painted | Coloured
Line: TypeAlias = Piece | Sequence[Piece]


@attrs.frozen(kw_only=True)
class Table:
    """Rows under a head, if there is one; columns stand to the left, with `left` only the first so many."""

    head: Sequence[str] = ()
    rows: Sequence[Sequence[Line]]
    left: int | None = None


def is_terminal(out: TextIO | None) -> bool:
    """Whether colours and a line that changes are understood there."""
    return (
        out is not None
        and out.isatty()
        and os.environ.get("TERM", "").lower() not in _DUMB
        and (out.encoding or "utf-8").lower().startswith("utf")
    )


def show(*parts: Line | Table, out: TextIO | None = None) -> None:
    """Print lines and tables, one below the other, on the standard output unless `out` is given."""
    out = out or sys.stdout
    if out is None:  # it was closed before the start: nobody reads the answer, the exit code is told
        return
    if is_terminal(out):
        show_painted(parts, console(out))
    elif parts:
        _write("\n".join(line for part in parts for line in _plain_lines(part)), out)


def note(text: str) -> None:
    """A message beside the answer: on the standard error, at once."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, OutputError):  # nobody is there to be told of that
            _write(clean(text), sys.stderr)


def show_json(value: object, *, indent: int | None = 2) -> None:
    """Print one JSON document, nothing else; without `indent` on one line.

    Letters stay as they are, where the output can take them; characters that cannot be seen are escaped.
    """
    if sys.stdout is None:
        return
    text = _redacted(json.dumps(value, indent=indent, ensure_ascii=False, default=str))
    text = "".join(char if char == "\n" or char.isprintable() else json.dumps(char)[1:-1] for char in text)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=indent)
    _write(text, sys.stdout)


def show_data(text: str) -> None:
    """Print what another program reads, on the standard output and as it is, but for secrets."""
    if sys.stdout is not None:
        _write(_redacted(text), sys.stdout)


def clean(text: str) -> str:
    return printable(_redacted(text))


def _redacted(text: str) -> str:
    from paas_runner.logs import redactor

    return redactor.text(text)


def _write(text: str, out: TextIO) -> None:
    encoding = out.encoding or "utf-8"
    try:
        print(text.encode(encoding, OTHER_SIGNS).decode(encoding), file=out, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError.of(error) from error


def _pieces(line: Line) -> Sequence[Piece]:
    return [line] if isinstance(line, str | Painted | Coloured) else line


def plain(line: Line) -> str:
    return clean("".join(map(_words, _pieces(line))))


def _words(piece: Piece) -> str:
    match piece:
        case Painted():
            return piece.text
        case Coloured():
            return _ESCAPE.sub("", piece.text)
        case _:
            return piece


def _plain_lines(part: Line | Table) -> Sequence[str]:
    if not isinstance(part, Table):
        return [plain(part)]
    rows = [[plain(cell).replace("\n", " ") for cell in row] for row in part.rows]
    return aligned([list(part.head), *rows] if part.head else rows, left=part.left) if rows else []


def show_painted(parts: Sequence[Line | Table], console: "Console") -> None:
    room = console.width
    for part in parts:
        if isinstance(part, Table):
            table, width = _painted_table(part)
            console.width = max(room, width)
            console.print(table)
            console.width = room
        elif isinstance(part, str):
            console.print(text_of(folded(part, room)), soft_wrap=True)
        else:
            console.print(text_of(part), soft_wrap=True)
    console.file.flush()


def _painted_table(table: Table) -> "tuple[RichTable, int]":
    """A table of rich, and how much room it needs: only the last column is ever folded."""
    from rich.table import Table as RichTable

    drawn = RichTable(
        box=None, show_header=bool(table.head), header_style="bold", pad_edge=False, padding=(0, 2, 0, 0)
    )
    texts = [[_one_line(text_of(cell)) for cell in row] for row in table.rows]
    heads = table.head or [""] * max(map(len, texts), default=0)
    widths = [
        max(len(head), *(row[number].cell_len for row in texts), 0) for number, head in enumerate(heads)
    ]
    last = len(heads) - 1
    for number, (head, width) in enumerate(zip(heads, widths, strict=True)):
        drawn.add_column(
            text_of(head),
            justify="left" if table.left is None or number < table.left else "right",
            width=None if number == last else width,  # rich makes no such column narrower
            min_width=min(width, _NARROWEST) if number == last else None,
            overflow="fold",
        )
    for row in texts:
        drawn.add_row(*row)
    needed = sum(widths[:-1]) + 2 * last + min(widths[-1], _NARROWEST) if widths else 0
    return drawn, needed


def text_of(line: Line) -> "Text":
    from rich.text import Text

    text = Text()
    for piece in _pieces(line):
        match piece:
            case Painted():
                text.append(clean(piece.text), piece.style)
            case Coloured():
                coloured = Text.from_ansi(_redacted(piece.text))
                coloured.plain = printable(coloured.plain)
                text.append_text(coloured)
            case _:
                text.append(clean(piece))
    return text


def _one_line(text: "Text") -> "Text":
    text.plain = text.plain.replace("\n", " ")
    return text


def console(out: TextIO) -> "Console":
    from rich.console import Console

    colours: Literal["auto"] | None = None if os.environ.get("NO_COLOR") else "auto"
    return Console(file=out, force_terminal=True, color_system=colours, highlight=False)
