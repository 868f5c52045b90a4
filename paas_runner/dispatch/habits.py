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
_NUMBERS = re.compile(r"[0-9]+")


class Habits:
    """The last few times of each kind; what was not seen for long is forgotten."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

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


def kind_of(payload: Payload) -> str:
    """Jobs of one project whose names differ in numbers alone are of one kind: `test 1/4`, `test 2/4`."""
    return f"life of {payload.project_id}/{_NUMBERS.sub('0', payload.job_name)}"
