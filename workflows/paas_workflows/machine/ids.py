"""Ids of executions and steps: 12 characters that sort by when they were made (spec kog-jobs.md §3.3).

A digit stands for five bits. The first eight and a half count milliseconds since 2020, until 2089; the rest
is chance, or one more than in the id before, so that a source never gives one twice nor in another order.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

DIGITS = "234567abcdefghijklmnopqrstuvwxyz"
"""Those of RFC 4648's base 32, in the order in which texts sort."""

LENGTH = 12
_CHANCE_BITS = 19
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


def id_of(number: int) -> str:
    """A number of 60 bits as a text."""
    return "".join(DIGITS[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))


def container_name(execution_id: str, run_id: str) -> str:
    """By which a container is found again by whoever goes on; good for a name in Kubernetes, too."""
    return f"workflow-{execution_id}-{run_id}"


class Ids:
    """A source of ids."""

    def __init__(self, now: Callable[[], datetime], chance: random.Random) -> None:
        self._now = now
        self._chance = chance
        self._last = 0

    def fresh(self) -> str:
        """One that is greater than all before."""
        milliseconds = max((self._now() - _EPOCH) // timedelta(milliseconds=1), 0)
        number = milliseconds << _CHANCE_BITS | self._chance.getrandbits(_CHANCE_BITS)
        self._last = max(number, self._last + 1)
        return id_of(self._last)
