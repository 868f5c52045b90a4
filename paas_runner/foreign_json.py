"""JSON that another system wrote: what it may cost to read it is settled before it is read.

The number of values bounds the memory that they take, the nesting whatever walks through them later. Numbers
are finite: JSON has no others, and Python's own reader lets them pass.
"""

import json
import math
from typing import Any

MOST_VALUES = 1_000_000
MOST_NESTING = 100  # GitLab's own bound for a `.gitlab-ci.yml`

_BEGINNINGS = (b",", b"[", b"{")


def loads(body: bytes) -> Any:
    """The value in a body of UTF-8; raises ValueError, whose text quotes nothing of it."""
    if sum(map(body.count, _BEGINNINGS)) > MOST_VALUES:  # those within texts count, too: this is quick
        raise ValueError(f"more than {MOST_VALUES} values")
    try:
        found = _decoder.decode(body.decode("utf-8-sig"))
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 at byte {error.start}") from None
    if body.count(b"[") + body.count(b"{") > MOST_NESTING and _is_nested_too_deeply(found):
        raise ValueError("nested too deeply")
    return found


def _is_nested_too_deeply(value: Any) -> bool:
    level = [value]
    for _ in range(MOST_NESTING):
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
