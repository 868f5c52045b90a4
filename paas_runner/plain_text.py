"""Text as a person reads it, wherever it is read: a log, a job's history, a pipe, a terminal. Pure.

Spans of time are written here and nowhere else. A configured span is shown as it was meant (`exact_span`), a
measured one no more exactly than it matters: what has just happened in seconds (`short_span`), an age in its
two largest units (`span`), or in one where a cause is looked for (`rough_span`). Where a span is a number of
seconds it may be fractional.
"""

import difflib
import textwrap
from collections.abc import Collection, Sequence
from datetime import timedelta


def exact_span(length: timedelta | float) -> str:
    """`0.2 s`, `90 s`, `5 min`, `24 h`: in the largest unit of which it is a whole number."""
    seconds = _seconds(length)
    if seconds < 120 or seconds % 60:
        return f"{seconds:g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes % 60 else f"{minutes // 60} h"


def short_span(length: timedelta | float) -> str:
    """`2.0 s`, `12 s`: for what lasts seconds."""
    seconds = _seconds(length)
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"


def span(length: timedelta | float, *, whole_minutes: bool = False) -> str:
    """`59 s`, `1 min 5 s`, `3 h 20 min`, `2 d 4 h`; with `whole_minutes` no seconds, nothing rounded up."""
    seconds = _seconds(length)
    minutes, rest = divmod(int(seconds) if whole_minutes else round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes} min"
    if whole_minutes:
        return f"{minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def rough_span(length: timedelta | float) -> str:
    """`119 s`, `5 min`, `3 h`, `12 d`: in one unit, rounded; what lies in the future is `0 s`."""
    seconds = max(_seconds(length), 0)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} d"


def _seconds(length: timedelta | float) -> float:
    return length.total_seconds() if isinstance(length, timedelta) else length


def aligned(lines: Sequence[Sequence[str]], *, left: int | None = None) -> Sequence[str]:
    """The lines of a table: columns stand to the left, with `left` only the first so many."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if left is None or number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]


def one_line(text: str) -> str:
    """Without line breaks, and without runs of blanks."""
    return " ".join(text.split())


def shortened(text: str, most: int) -> str:
    """At most so many characters; what is left out shows as `…`. Secrets are to be taken out before."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def short_line(text: str, most: int) -> str:
    """What others wrote, on one line of at most so many characters, none of which moves a cursor."""
    return shortened(one_line(printable(text)), most)


def folded(text: str, columns: int) -> str:
    """Broken between words where it is too wide, further lines under the first; no word is cut."""
    return "\n".join(part for line in text.split("\n") for part in _folded(line, columns))


def _folded(line: str, columns: int) -> Sequence[str]:
    if len(line) <= columns:
        return [line]
    indent = min(len(line) - len(line.lstrip()) + 2, columns // 2) * " "
    return textwrap.wrap(
        line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def printable(text: str) -> str:
    """Without control characters but the line break: what is quoted must not move a terminal's cursor."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def did_you_mean(word: str, known: Collection[str]) -> str:
    """A question naming the nearest known word; empty if none is near."""
    near = difflib.get_close_matches(word, sorted(known), n=1)
    return f"did you mean `{near[0]}`?" if near else ""
