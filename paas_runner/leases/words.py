"""What the processes of one store tell each other: some of it wakes the keeper, the rest operators asked for.

An outage may swallow a word, and ends with the one that all begins anew. So at that word all is looked
up that can be: leases by the keeper, and pauses. Where the store does not answer then, it is asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from paas_runner.errors import RunnerError
from paas_runner.job.lease import Word
from paas_runner.leases.validity import answered
from paas_runner.store import LeaseStore, StoreError

log = structlog.stdlib.get_logger(__name__)

AGAIN_SECONDS = 1.0
CALM_SECONDS = 0.2
"""Between two times that a word is followed: whoever may connect may say it, as often as he likes."""

_OF_EVERYTHING = frozenset({Word.CHANGED, Word.ANEW})
"""With these pauses are looked up, too: beside the keeper, which is not to wait for that."""

Deed = Callable[[], Awaitable[object]]
"""What is done at a word; raises `StoreError` where that may work later, or refuses with a `RunnerError`."""


class Words:
    """One process's ear and mouth."""

    def __init__(
        self, leases: LeaseStore, *, wake: Callable[[], None], doubt: Callable[[], None] = lambda: None
    ) -> None:
        """`wake` is called when leases, members or jobs have changed, before it `doubt` when all may have."""
        self._leases = leases
        self._wake = wake
        self._doubt = doubt
        self._deeds: Mapping[Word, Deed] = {}
        self._heard: set[Word] = set()
        self._followed: set[Word] = set()

    def heed(self, deeds: Mapping[Word, Deed]) -> None:
        """Do this at each of these words from now on."""
        self._deeds = deeds

    async def tell(self, word: Word) -> None:
        """Tell all others; whom that does not reach is told of in the log."""
        try:
            await answered(self._leases.tell(word))
        except StoreError as error:
            log.warning("others_not_told", word=str(word), reason=str(error))

    async def listen(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as deeds:
            while True:
                try:
                    async for word in self._leases.told():
                        for each in (word, Word.RUNNERS) if word in _OF_EVERYTHING else (word,):
                            self._heard.add(each)
                            if each not in self._followed:
                                self._followed.add(each)
                                deeds.create_task(self._follow(each), name=f"word: {each}")
                except StoreError as error:
                    log.debug("not_listening", reason=str(error))
                except Exception:
                    log.exception("listening_error")
                await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self, word: Word) -> None:
        """Until it has not been heard again: what is said during its deed, however often, is one more."""
        try:
            while word in self._heard:
                self._heard.discard(word)
                if word is Word.ANEW:
                    self._doubt()
                if word is not Word.RUNNERS:
                    self._wake()
                if deed := self._deeds.get(word):
                    await self._done(word, deed)
                await asyncio.sleep(CALM_SECONDS)
        finally:
            self._followed.discard(word)

    async def _done(self, word: Word, deed: Deed) -> None:
        if word is not Word.RUNNERS:  # which tells itself what has changed
            log.info("word_heard", word=str(word))
        try:
            await self._insisted(word, deed)
        except RunnerError:
            log.debug("word_not_followed", word=str(word))  # the log has the reason already
        except Exception:
            # a bug in an operation must not end the service
            log.exception("word_error", word=str(word))

    async def _insisted(self, word: Word, deed: Deed) -> None:
        """Until the store has answered, or the word is heard again: nobody says it for that alone."""
        while True:
            try:
                await deed()
            except StoreError:
                await asyncio.sleep(AGAIN_SECONDS)
                if word not in self._heard:
                    continue
            return
