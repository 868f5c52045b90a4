"""The service's event loop, in which a name that nobody answers for keeps no other name waiting.

To look up a name takes one of a few threads, for as long as the system's resolver waits, and cannot be cut
off. Where each call to a dead zone took one of its own, soon none would be left for anybody else. So each
name is looked up once at a time, and all that want it wait for that.
"""

import asyncio
from collections.abc import Hashable
from typing import Any, TypeAlias

Addresses: TypeAlias = list[tuple[Any, ...]]
"""As `socket.getaddrinfo` returns them."""


class ServiceLoop(asyncio.SelectorEventLoop):
    """The usual one but for its look-ups; a call that gives up leaves the look-up to those that follow."""

    def __init__(self) -> None:
        super().__init__()
        self._lookups: dict[Hashable, asyncio.Task[Addresses]] = {}

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Addresses:
        """The addresses of a name; raises OSError.

        The loop's own connections ask for names by this, so nobody else has to know of it. An answer is not
        kept: whoever asks after it came asks the system again, which knows for how long a name is good.
        """
        question = (host, port, *sorted(options.items()))
        lookup = self._lookups.get(question)
        if lookup is None:
            asking = super().getaddrinfo(host, port, **options)
            lookup = self._lookups[question] = self.create_task(asking, name=f"look-up of {host}")
            lookup.add_done_callback(lambda done: self._forget(question, done))
        return await asyncio.shield(lookup)

    def _forget(self, question: Hashable, done: "asyncio.Task[Addresses]") -> None:
        """Whoever asks from now on has a look-up of their own."""
        del self._lookups[question]
        if not done.cancelled():
            done.exception()  # all who asked may have given up
