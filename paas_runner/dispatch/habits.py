"""How long things took lately for one runner: hosts until they took a job, jobs until they ended.

In memory alone, and only of the kinds seen last: it decides nothing but when to look again (`job/pace.py`).
"""

import re
import statistics
from collections import OrderedDict, deque
from datetime import timedelta

from paas_runner.job.payload import Payload

READY, ALIVE = "host ready", "job alive"

_MOST_KINDS = 1000
_LAST = 5
_ONE_IN = 20
_NUMBERS = re.compile(r"[0-9]+")


class Habits:
    """The last few times of each kind; what was not seen for long is forgotten."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._asked: OrderedDict[str, int] = OrderedDict()

    def note(self, kind: str, took: timedelta) -> None:
        """One more of its kind took so long."""
        times = self._times.setdefault(kind, deque(maxlen=_LAST))
        times.append(took.total_seconds())
        self._times.move_to_end(kind)
        if len(self._times) > _MOST_KINDS:
            self._times.popitem(last=False)

    def usual(self, kind: str) -> timedelta | None:
        """The median; None for a kind that is not known."""
        times = self._times.get(kind)
        return timedelta(seconds=statistics.median(times)) if times else None

    def is_sampled(self, kind: str) -> bool:
        """Whether this one of a kind of which all are alike is looked at: the first, then one in so many."""
        number = self._asked[kind] = self._asked.get(kind, 0) + 1
        self._asked.move_to_end(kind)
        if len(self._asked) > _MOST_KINDS:
            self._asked.popitem(last=False)
        return number % _ONE_IN == 1


def kind_of(payload: Payload) -> str:
    """Jobs of one project whose names differ in numbers alone are of one kind: `test 1/4`, `test 2/4`."""
    return f"life of {payload.project_id}/{_NUMBERS.sub('0', payload.job_name)}"
