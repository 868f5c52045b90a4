"""News without waiting: the value by which a runner sees that there may be a job, and who is called then.

Nothing here knows an event loop. How a task waits for news is in `server.waiting`.
"""

import random
from collections.abc import Callable


class Notifier:
    """Calls everyone who has subscribed."""

    def __init__(self) -> None:
        self._subscribers: dict[int, Callable[[], None]] = {}
        self._last = 0

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called at each `notify`; returns what ends that."""
        self._last = number = self._last + 1
        self._subscribers[number] = callback

        def unsubscribe() -> None:
            self._subscribers.pop(number, None)

        return unsubscribe

    def notify(self) -> None:
        for callback in tuple(self._subscribers.values()):
            callback()


class Queue:
    """One runner's opaque `X-GitLab-Last-Update` (spec gitlab-runner-api.md §2.4).

    It is kept in memory alone: after a restart every runner finds another value and asks in earnest.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self.ticks = Notifier()
        self.renew()

    def renew(self) -> None:
        """A request with the old value is answered in earnest from now on; those held go on being held."""
        self.value = f"{self._rng.getrandbits(128):032x}"

    def tick(self) -> None:
        """There may be a job: a new value, and held requests are released."""
        self.renew()
        self.ticks.notify()
