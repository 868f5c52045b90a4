"""How much there is to look at in values: so that a hostile delivery cannot make an expression slow.

CEL bounds the turns of `exists` and `all` (10,000), but each turn may look at a text or list of a MiB.
"""

from collections.abc import Iterable
from typing import Any

import attrs

from paas_pipelines.expressions.lexing import ExpressionError

MOST_TURNS = 10_000
MOST_DEPTH = 100
BOUND = 200_000_000
"""Of bytes times turns times operations: about two seconds of a slow machine."""


@attrs.frozen(kw_only=True)
class Size:
    """Of all values together."""

    units: int
    """Characters of texts, and one for each other value."""

    longest: int
    """The most items that one list or object has."""

    def effort(self, nested: int) -> int:
        """What so many `exists` and `all` within each other can look at."""
        return int(min(MOST_TURNS, max(1, self.longest) ** min(nested, 4))) * self.units


def measured(values: Iterable[Any]) -> Size:
    """Raises `ExpressionError` for what is nested deeper than any JSON that is read here.

    And for texts with a zero byte: the library would look at what is before it alone, and others at all.
    """
    units = longest = depth = 0
    level = list(values)
    while level:
        depth += 1
        if depth > MOST_DEPTH:
            raise ExpressionError(f"values are nested deeper than {MOST_DEPTH}")
        below: list[Any] = []
        for value in level:
            units += len(value) if isinstance(value, str) else 1
            texts = (value, *value) if isinstance(value, dict) else (value,)
            if any("\0" in text for text in texts if isinstance(text, str)):
                raise ExpressionError("a text has a zero byte")
            if isinstance(value, dict):
                units += sum(len(str(key)) for key in value)
                longest = max(longest, len(value))
                below += value.values()
            elif isinstance(value, list | tuple):
                longest = max(longest, len(value))
                below += value
        level = below
    return Size(units=units, longest=longest)
