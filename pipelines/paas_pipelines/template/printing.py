"""Go's Printf: verbs with flags, width and precision, and what it says of mistakes.

Not offered: values chosen by a number, `%[1]d`.
"""

import re
from collections.abc import Sequence
from typing import Any

from paas_pipelines.template.formatting import Verb, go_type, show
from paas_pipelines.template.strings import Buffer, CallError

MOST_WIDTH = 1_000_000
"""Go's own."""

_VERB = re.compile(r"%([-+# 0]*)(\*|[0-9]*)(?:(\.)(\*|[0-9]*))?(.?)", re.DOTALL)


def print_formatted(out: Buffer, pattern: str, values: Sequence[Any]) -> None:
    """Print the pattern with the values in it; raises `CallError` for what is not offered."""
    at, left = 0, list(values)
    while (match := _VERB.search(pattern, at)) is not None:
        out.write(pattern[at : match.start()])
        flags, wide, dot, precise, letter = match.groups()
        at = match.end()
        if max((len(number), number) for number in (wide, precise or "")) > (7, "1000000"):
            letter, at = "", len(pattern)  # as Go, which reads nothing behind such a number
        width = _size(out, wide, left, "WIDTH") or 0
        precision = _size(out, precise, left, "PREC") if dot else None
        if precision is None and dot and precise != "*":
            precision = 0
        if letter == "[":
            raise CallError("values that are chosen by a number are not offered")
        if letter in ("", "%"):
            out.write(letter or "%!(NOVERB)")
        elif not left:
            out.write(f"%!{letter}(MISSING)")
        else:
            out.work.spend(abs(width) + (precision or 0))
            flags += "-" * (width < 0)
            precision = None if (precision or 0) < 0 else precision
            show(out, left.pop(0), Verb(letter=letter, flags=flags, width=abs(width), precision=precision))
    out.write(pattern[at:])
    for number, value in enumerate(left):
        out.write(", " if number else "%!(EXTRA ")
        out.write("" if value is None else f"{go_type(value)}=")
        show(out, value)
    out.write(")" if left else "")


def _size(out: Buffer, written: str, left: list[Any], name: str) -> int | None:
    """A width or a precision, written or a value."""
    if written != "*":
        return int(written) if written and len(written) < 8 else None
    value = left.pop(0) if left else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST_WIDTH:
        return value
    out.write(f"%!(BAD{name})")
    return None
