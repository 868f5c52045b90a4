"""How a cluster behaves, and the books of what ran in it."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta

import attrs

_AT_ONCE = timedelta()


@attrs.frozen(kw_only=True)
class ClusterOptions:
    """As obliging as can be unless said otherwise; it may be replaced at any time."""

    namespaces: tuple[str, ...] = ("default",)
    scheduling_delay: timedelta = _AT_ONCE
    """From a pod's creation until it has a node."""

    pull_delay: timedelta = _AT_ONCE
    unschedulable: bool = False
    """No node has room for a pod; those that have none wait."""

    pulls_fail: frozenset[str] = frozenset()
    """Images that cannot be pulled at present."""

    look_every: timedelta = timedelta(seconds=10)
    """How often what a pod waits for is looked at again: room on a node, a Secret for its environment."""

    node_patience: timedelta = timedelta(minutes=5)
    """How long after the loss of a node its pods are still said to run."""

    bookmark_every: timedelta = timedelta(minutes=1)
    version: str = "v1.34.1"


@attrs.frozen(kw_only=True)
class ContainerRun:
    """One run of one container."""

    namespace: str
    pod: str
    container: str
    image: str
    started_at: datetime
    ended_at: datetime | None = None
    code: int | None = None


class ClusterLedger:
    """Nothing in it is ever forgotten; written by the cluster, read by tests."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.runs: list[ContainerRun] = []
        self.requests: Counter[str] = Counter()
        """How often each verb was used, under names such as `create jobs`; refused ones included."""

    @property
    def running(self) -> list[ContainerRun]:
        return [each for each in self.runs if each.ended_at is None]

    def began(self, *, namespace: str, pod: str, container: str, image: str) -> int:
        """Returns the number of the run."""
        run = ContainerRun(
            namespace=namespace, pod=pod, container=container, image=image, started_at=self._clock()
        )
        self.runs.append(run)
        return len(self.runs) - 1

    def ended(self, number: int, code: int | None) -> None:
        """`code` is None for one whose end nobody saw."""
        self.runs[number] = attrs.evolve(self.runs[number], ended_at=self._clock(), code=code)
