"""What happened although it must not: one number for each part of the promise, all 0 in a good life."""

import enum
from collections import Counter
from collections.abc import Mapping

import structlog

log = structlog.stdlib.get_logger(__name__)


class CounterName(enum.StrEnum):
    """What is counted, by the name it has in the log."""

    ORPHANS_FOUND = "orphans_found"  # hosts that no job needed and nobody was about to remove
    DUPLICATES_PREVENTED = "duplicates_prevented"  # a second host or launch that was not made
    DRIFT = "drift"  # hosts that are recorded and not there, or there and unknown


class Counters:
    """The numbers of one process, from its start on; each change is a warning in the log."""

    def __init__(self) -> None:
        """All are 0."""
        self._numbers: Counter[CounterName] = Counter()

    def count(self, breach: CounterName, happened: str, **facts: object) -> None:
        """One more; `happened` and `facts` tell the operator what."""
        self._numbers[breach] += 1
        log.warning(happened, **facts, **{breach: self._numbers[breach]})

    @property
    def numbers(self) -> Mapping[str, int]:
        """Every counter by its name."""
        return {str(breach): self._numbers[breach] for breach in CounterName}
