"""Regular expressions of authors, searched for in time that is linear in the text whatever the pattern.

GitLab uses RE2 for them. Python's own engine tries possibilities one after the other, and a few characters
can keep it busy for hours; here all possibilities are followed at once, as states of an automaton. What is
understood is in `pattern_text.py`.
"""

from collections.abc import Callable
from typing import TypeAlias

import attrs

from paas_runner.pipelines.gitlab_ci.pattern_text import (
    Alternatives,
    Anchor,
    Chain,
    CharSet,
    Part,
    PatternError,
    Repeat,
    parsed,
)

MOST_STATES = 2000


@attrs.frozen
class _Step:
    """Goes on to `after` over a character of the set."""

    chars: CharSet
    after: int


@attrs.frozen
class _Fork:
    """Goes on to each of `ways` at once, over no character."""

    ways: tuple[int, ...]


@attrs.frozen
class _Guard:
    """Goes on to `after` where the position is of a kind."""

    anchor: Anchor
    after: int


_State: TypeAlias = _Step | _Fork | _Guard
_END = 0


class Pattern:
    """A pattern that may be searched for; raises `PatternError`."""

    def __init__(self, source: str, flags: str = "") -> None:
        part, self._flags = parsed(source, frozenset(flags))
        self._states: list[_State] = [_Fork(())]
        self._start = self._made(part, _END)

    @property
    def size(self) -> int:
        """How many states it has."""
        return len(self._states)

    def found_in(self, text: str, spend: Callable[[int], None] = lambda _count: None) -> bool:
        """Whether any part of the text matches; `spend` is told how many states are looked at."""
        places: set[int] = set()
        for position in range(len(text) + 1):
            places = self._closure({*places, self._start}, text, position)
            spend(len(places))
            if _END in places:
                return True
            if position < len(text):
                places = self._after(places, text[position])
        return False

    def _after(self, places: set[int], char: str) -> set[int]:
        variants = (char, char.lower(), char.upper()) if "i" in self._flags else (char,)
        steps = (self._states[place] for place in places)
        return {state.after for state in steps if isinstance(state, _Step) and state.chars.has(variants)}

    def _closure(self, places: set[int], text: str, position: int) -> set[int]:
        """All states that are reached without a character."""
        reached, left = set(places), list(places)
        while left:
            state = self._states[left.pop()]
            ways: tuple[int, ...] = ()
            if isinstance(state, _Fork):
                ways = state.ways
            elif isinstance(state, _Guard) and state.anchor.holds(text, position):
                ways = (state.after,)
            left.extend(way for way in ways if way not in reached)
            reached.update(ways)
        return reached

    def _made(self, part: Part, after: int) -> int:
        """The first of the states of a part that go on to `after`."""
        match part:
            case CharSet():
                return self._add(_Step(part, after))
            case Anchor():
                return self._add(_Guard(part, after))
            case Chain(parts=parts):
                for each in reversed(parts):
                    after = self._made(each, after)
                return after
            case Alternatives(branches=branches):
                return self._add(_Fork(tuple(self._made(branch, after) for branch in branches)))
            case Repeat():
                return self._repeated(part, after)

    def _repeated(self, part: Repeat, after: int) -> int:
        start = after
        if part.most is None:
            start = self._add(_Fork(()))
            self._states[start] = _Fork((self._made(part.part, start), after))
        else:
            for _ in range(part.most - part.least):
                start = self._add(_Fork((self._made(part.part, start), after)))
        for _ in range(part.least):
            start = self._made(part.part, start)
        return start

    def _add(self, state: _State) -> int:
        if len(self._states) >= MOST_STATES:
            raise PatternError("it is too large")
        self._states.append(state)
        return len(self._states) - 1
