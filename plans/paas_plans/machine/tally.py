"""Sequences with how many of them are how far: that is asked after each, and there may be thousands."""

from collections import Counter
from collections.abc import Iterable, Mapping

from paas_plans.plan import Sequence, Status


class Tallied(tuple[Sequence, ...]):  # noqa: SLOT001 - what is of no fixed size has no slots
    """A tuple all the same, so that only the machine knows of it."""

    counts: Mapping[Status, int]
    fresh: int
    """None before it is still to be launched."""

    @staticmethod
    def of(sequences: Iterable[Sequence]) -> "Tallied":
        if isinstance(sequences, Tallied):
            return sequences
        tallied = Tallied(sequences)
        tallied.counts, tallied.fresh = Counter(each.state.status for each in tallied), 0
        return tallied

    def exchanged(self, index: int, sequence: Sequence) -> "Tallied":
        sequences, counts, fresh = list(self), self.counts, self.fresh
        old, new = sequences[index].state.status, sequence.state.status
        if old is not new:
            counts = {**counts, old: counts[old] - 1, new: counts.get(new, 0) + 1}
        sequences[index] = sequence
        while fresh < len(sequences) and sequences[fresh].state.status is not Status.NOT_STARTED:
            fresh += 1
        tallied = Tallied(sequences)
        tallied.counts, tallied.fresh = counts, fresh
        return tallied


def count(sequences: Iterable[Sequence], *statuses: Status) -> int:
    """How many are in one of those states."""
    tallied = Tallied.of(sequences)
    return sum(tallied.counts.get(status, 0) for status in statuses)
