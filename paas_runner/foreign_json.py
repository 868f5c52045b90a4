"""JSON that another system wrote: what it may cost to read it is settled before it is read.

The number of values bounds the memory that they take, the nesting whatever walks through them later. Numbers
are finite: JSON has no others, and Python's own reader lets them pass.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

MOST_VALUES = 1_000_000
MOST_NESTING = 100  # GitLab's own bound for a `.gitlab-ci.yml`

_BEGINNINGS = (b",", b"[", b"{")
_BLANKS = re.compile(r"[ \t\r\n]*")


def loads(body: bytes, *, most_nesting: int = MOST_NESTING) -> Any:
    """The value in a body of UTF-8; raises ValueError, whose text quotes nothing of it."""
    try:
        found = _decoder.decode(_text(body))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if body.count(b"[") + body.count(b"{") > most_nesting and _is_nested_too_deeply(found, most_nesting):
        raise ValueError("nested too deeply")
    return found


def elements(body: bytes) -> Iterator[Any]:
    """Those of a list, one after the other, so that they need not all be there at the same time.

    Raises ValueError as `loads` does, and for what is no list; as late as after the last one, maybe.
    """
    text = _text(body)
    place = _next(text, 0)
    if not text.startswith("[", place):
        raise ValueError("no list")
    place = _next(text, place + 1)
    more = not text.startswith("]", place)
    while more:
        try:
            found, place = _decoder.raw_decode(text, place)
        except RecursionError:
            raise ValueError("nested too deeply") from None
        if _is_nested_too_deeply([found], MOST_NESTING):
            raise ValueError("nested too deeply")
        yield found
        place = _next(text, place)
        if more := text.startswith(",", place):
            place = _next(text, place + 1)
    if not text.startswith("]", place) or _next(text, place + 1) < len(text):
        raise ValueError(f"no list: character {place}")


def _text(body: bytes) -> str:
    if sum(map(body.count, _BEGINNINGS)) > MOST_VALUES:  # those within texts count, too: this is quick
        raise ValueError(f"more than {MOST_VALUES} values")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None


def _next(text: str, place: int) -> int:
    """The place of what comes after blanks; the pattern always matches."""
    found = _BLANKS.match(text, place)
    return found.end() if found else place


def _is_nested_too_deeply(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return any(isinstance(each, dict | list) for each in level)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")


_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_no_number)
