"""Finding all of some texts in a stream, in one pass (the automaton of Aho and Corasick).

The work grows with the stream alone, however long the texts are and whatever the stream is made of: it may
have been chosen to make the search slow.
"""

import re
from collections.abc import Collection, Iterator

_HEAD_BYTES = 4
_MOST_REMEMBERED = 65_536


class Search:
    """Its state stands for the longest beginning of a text that the stream ends with; 0 for none.

    Edges are found by state and byte, as one number.
    """

    def __init__(self, wanted: Collection[bytes]) -> None:
        """`wanted` has at least one text, and no empty one."""
        heads = sorted({text[:_HEAD_BYTES] for text in wanted})
        self._heads = re.compile(b"|".join(map(re.escape, heads)))
        self._edges: dict[int, int] = {}
        self._depths = [0]
        self._origins = [0]  # the edge by which each state was made
        self._hits: dict[int, tuple[int, ...]] = {}  # the lengths of all texts that end with a state
        for text in sorted(wanted):  # so that equal texts have equal states, in another process, too
            self._add(text)
        self._inner = {edge >> 8 for edge in self._edges}  # the states that can go on
        self._shorter = self._links()  # to the state of the longest end of each that is a beginning
        self._room = len(self._edges) + _MOST_REMEMBERED
        self._state = 0

    @property
    def pending(self) -> int:
        """How many of the last bytes may be the beginning of a text."""
        return self._depths[self._state]

    @property
    def state(self) -> int:
        return self._state

    def begin(self) -> None:
        """As if nothing had come."""
        self._state = 0

    def beginning(self, state: int) -> bytes:
        """What a state stands for; empty for one that is none."""
        found = bytearray()
        while 0 < state < len(self._origins):
            found.append(self._origins[state] & 255)
            state = self._origins[state] >> 8
        return bytes(reversed(found))

    def forget(self, most: int) -> None:
        """Let no more than so many of the last bytes be part of what is found from now on."""
        while self._depths[self._state] > most:
            self._state = self._shorter[self._state]

    def over(self, data: bytes, start: int) -> Iterator[tuple[int, int]]:
        """Go on with `data` from `start`: where something wanted begins and ends, by its ends."""
        edges, hits, state, size = self._edges, self._hits, self._state, len(data)
        while start < size:
            if not state:
                start = self._next_head(data, start)
            edge = state << 8 | data[start]
            state = edges.get(edge, -1)
            if state < 0:
                state = self._followed(edge)
            start += 1
            if state in hits:
                for length in hits[state]:
                    yield start - length, start
                while state and state not in self._inner:
                    state = self._shorter[state]
        self._state = state

    def _next_head(self, data: bytes, start: int) -> int:
        """Where, from `start` on, a text may begin; at the end of `data` that may be anywhere."""
        head = self._heads.search(data, start)
        at_end = len(data) - _HEAD_BYTES + 1
        return max(start, min(head.start(), at_end) if head else at_end)

    def _add(self, text: bytes) -> None:
        state = 0
        for byte in text:
            edge = state << 8 | byte
            state = self._edges.setdefault(edge, len(self._depths))
            if state == len(self._depths):
                self._depths.append(self._depths[edge >> 8] + 1)
                self._origins.append(edge)
        self._hits[state] = (len(text),)

    def _links(self) -> list[int]:
        """Made from the shortest to the longest, and with them what ends with a state beside its own text."""
        self._shorter = [0] * len(self._depths)
        for edge, state in sorted(self._edges.items(), key=lambda item: self._depths[item[1]]):
            if edge >> 8:
                self._shorter[state] = self._walked(self._shorter[edge >> 8], edge & 255)
            if hits := self._hits.get(state, ()) + self._hits.get(self._shorter[state], ()):
                self._hits[state] = hits
        return self._shorter

    def _followed(self, edge: int) -> int:
        """Where a byte leads that does not prolong the state; remembered while there is room."""
        state = self._walked(edge >> 8, edge & 255)
        if len(self._edges) < self._room:
            self._edges[edge] = state
        return state

    def _walked(self, state: int, byte: int) -> int:
        while (found := self._edges.get(state << 8 | byte)) is None and state:
            state = self._shorter[state]
        return found or 0
