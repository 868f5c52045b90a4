"""Whether the provider takes the credentials with which all hosts of one runner are made.

While it does not, each job that is acquired would fail. So none is asked for, until a job that still waits
for its host gets one, or the provider lists the runner's hosts again. Where each tenant pays for itself the
trouble of one is nobody else's, and nothing is watched.
"""

import asyncio
import random
from datetime import timedelta

import structlog
from structlog.contextvars import bound_contextvars

from paas_runner.dispatch.registry import Registry
from paas_runner.dispatch.served import Account, ActiveRunner
from paas_runner.errors import RemoteError
from paas_runner.loop.heartbeat import waiting_to_be_woken
from paas_runner.loop.timing import backoff, sleep

log = structlog.stdlib.get_logger(__name__)

LONGEST_BACKOFF = timedelta(minutes=5)
_FIRST_ATTEMPT = 3  # the first look after some 10 s


class AccountWatch(Account):
    """One runner's, under one generation of its settings."""

    def __init__(
        self, runner: ActiveRunner, *, registry: Registry, rng: random.Random, ending: asyncio.Event
    ) -> None:
        """After `ending` it says nothing any more: the runner has other credentials."""
        self._runner = runner
        self._registry = registry
        self._rng = rng
        self._ending = ending
        self._refused = asyncio.Event()
        self._attempts = _FIRST_ATTEMPT

    def refused(self, reason: str) -> None:
        if self._ending.is_set():
            return
        if not self._refused.is_set():
            log.error("credentials_refused", runner=self._runner.name, reason=reason)
        self._refused.set()
        self._registry.refuse(self._runner.key, reason)

    def accepted(self) -> None:
        self._attempts = _FIRST_ATTEMPT
        self._resume()

    async def run(self) -> None:
        """For ever; a shutdown or a reload cancels it."""
        with bound_contextvars(runner=self._runner.name):
            while True:
                with waiting_to_be_woken():
                    await self._refused.wait()
                await sleep(backoff(self._attempts, self._rng, longest=LONGEST_BACKOFF))
                self._attempts += 1  # a token may be good for a look alone: only a host proves more
                if self._refused.is_set() and await self._hosts_are_listed():
                    self._resume()

    def _resume(self) -> None:
        if self._refused.is_set() and not self._ending.is_set():
            self._refused.clear()
            self._registry.accept(self._runner.key)
            log.info("credentials_accepted", runner=self._runner.name)

    async def _hosts_are_listed(self) -> bool:
        try:
            await self._runner.executor.hosts("")
        except RemoteError:
            return False
        except Exception:
            log.exception("credentials_look_error")
            return False
        return True
