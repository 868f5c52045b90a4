"""`Idempotency-Key` of a start: whoever got no answer asks again, and has the run of the first time.

A key is kept for a day, in the transaction of its run, and is that user's own.
"""

import json
from datetime import datetime, timedelta

from paas_pipelines.store.journal import Journal
from paas_pipelines.store.keys import Keys, key_of
from paas_runner.loop.timing import Clock

KIND = "start_key"
KEPT = timedelta(hours=24)


class KeyUsedError(Exception):
    """A key with which something else was started; the text is the API's."""


class StartKeys:
    """Those of one server."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._keys = Keys(journal, KIND, KEPT)
        self._clock = clock

    async def run_of(self, user: str, key: str, digest: str) -> str:
        """The run of an earlier start; empty without one, until the next await.

        `digest` is of the body. Raises `KeyUsedError`, `StoreError`.
        """
        place = key_of(user, key)
        text = (await self._keys.found([place])).get(place)
        if text is None:
            return ""
        other, run_id, at = json.loads(text)
        if self._clock() - datetime.fromisoformat(at) > KEPT:
            return ""
        if other != digest:
            raise KeyUsedError("Idempotency-Key was used with another body")
        return str(run_id)

    def note(self, user: str, key: str, digest: str, run_id: str) -> None:
        """With what is put before the next await."""
        now = self._clock()
        self._keys.forget_old(now)
        self._keys.put(key_of(user, key), json.dumps([digest, run_id, now.isoformat()]), now)

    def forget(self, user: str, key: str) -> None:
        """The start has not come about."""
        self._keys.remove(key_of(user, key))
