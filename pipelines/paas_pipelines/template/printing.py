"""Go's Printf: verbs with flags, width and precision, and what it says of mistakes.

Not offered: values chosen by a number, `%[1]d`.
"""

import re
from collections.abc import Sequence
from typing import Any

from paas_pipelines.template.formatting import Verb, go_type, show
from paas_pipelines.template.strings import CallError, Work

MOST_WIDTH = 1_000_000
"""Go's own."""

_VERB = re.compile(r"%([-+# 0]*)(\*|[0-9]*)(?:(\.)(\*|[0-9]*))?(.?)", re.DOTALL)


def formatted(work: Work, pattern: str, values: Sequence[Any]) -> str:
    """The pattern with the values in it; raises `CallError` for what is not offered."""
    at, left = 0, list(values)
    out: list[str] = []
    while (match := _VERB.search(pattern, at)) is not None:
        out.append(pattern[at : match.start()])
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
            out.append(letter or "%!(NOVERB)")
        elif not left:
            out.append(f"%!{letter}(MISSING)")
        else:
            work.spend(abs(width) + (precision or 0))
            flags += "-" * (width < 0)
            precision = None if (precision or 0) < 0 else precision
            verb = Verb(letter=letter, flags=flags, width=abs(width), precision=precision)
            out.append(show(work, left.pop(0), verb))
    out.append(pattern[at:])
    for number, value in enumerate(left):
        kind = "" if value is None else f"{go_type(value)}="
        out.append(f"{', ' if number else '%!(EXTRA '}{kind}{show(work, value)}")
    return work.joined((*out, ")" if left else ""))


def _size(out: list[str], written: str, left: list[Any], name: str) -> int | None:
    """A width or a precision, written or a value."""
    if written != "*":
        return int(written) if written and len(written) < 8 else None
    value = left.pop(0) if left else None
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST_WIDTH:
        return value
    out.append(f"%!(BAD{name})")
    return None
