"""The configuration in force, and the one way to replace it: as a whole, or not at all.

A new one is read, checked, recognised and built while the old one serves. By what its runners are known is on
the disk before it is used. Then everything is exchanged at once; from there on nothing can fail. A pause is a
change of the same kind: it is on the disk before it takes effect, and outlives the process.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Protocol

import attrs
import structlog

from paas_runner.config import Config, ConfigError
from paas_runner.config.difference import differences, with_restart_keys_of
from paas_runner.dispatch.served import ActiveRunner, ServedConfig
from paas_runner.errors import RunnerError
from paas_runner.job.known_runner import KnownRunner, remembered
from paas_runner.service.assembly import Assembly
from paas_runner.store import RunnerStore

log = structlog.stdlib.get_logger(__name__)


class NotDoneError(RunnerError):
    """What the operator asked for was refused, and nothing has changed; the text says why."""


@attrs.frozen(kw_only=True)
class Reloaded:
    """What a reload did."""

    changes: Sequence[str]
    restart_needed: Sequence[str]
    """Keys whose new values wait for the next start."""


async def recognised(config: Config, store: RunnerStore) -> tuple[Config, Sequence[KnownRunner]]:
    """The configuration with the keys of its runners, and those as they are known from now on."""
    return config.recognised(await store.runners())


async def remember(present: Sequence[KnownRunner], store: RunnerStore) -> Sequence[KnownRunner]:
    """These beside all others; returns all."""
    return await _changed(store, lambda known: remembered(known, present))


async def _changed(
    store: RunnerStore, change: Callable[[Sequence[KnownRunner]], Sequence[KnownRunner]]
) -> Sequence[KnownRunner]:
    """What is known of the runners, changed, whoever else changes it at the same time.

    Nothing is written where nothing has changed: a full disk prevents no restart.
    """
    while True:
        before = await store.runners()
        after = change(before)
        if list(after) == list(before) or await store.save_runners(after, over=before):
            return after


def paused(known: Sequence[KnownRunner]) -> frozenset[str]:
    """The keys of the runners that the operator has paused."""
    return frozenset(runner.key for runner in known if runner.paused)


class Reloadable(Protocol):
    """What serves the configuration."""

    @property
    def running(self) -> asyncio.Event:
        """Set once every loop has been started, until they are to end."""

    @property
    def config(self) -> ServedConfig:
        """What is served now."""

    def reload(self, config: ServedConfig) -> None:
        """Serve this from now on."""


class Follower(Protocol):
    """What goes along with the configuration, beside what is dispatched: it watches, and runs no jobs."""

    def following(self, config: Config) -> AbstractAsyncContextManager[None]:
        """Get ready for a new configuration, which comes into force inside; when that fails, go back.

        Raises `RunnerError` when it cannot be followed, and then it does not come into force at all.
        """


class LiveConfig:
    """The owner of the configuration of a running service."""

    def __init__(
        self,
        config: Config,
        *,
        assembly: Assembly,
        dispatcher: Reloadable,
        store: RunnerStore,
        stopping: asyncio.Event,
        followers: Sequence[Follower] = (),
    ) -> None:
        """`config` is what the dispatcher serves, recognised, and the followers follow."""
        self._config = config
        self._assembly = assembly
        self._dispatcher = dispatcher
        self._store = store
        self._stopping = stopping
        self._followers = followers
        self._one_at_a_time = asyncio.Lock()

    @property
    def config(self) -> Config:
        return self._config

    async def reload(self) -> Reloaded:
        """Read the file again and serve what it says; raises `NotDoneError`, and then the old one stays."""
        async with self._one_at_a_time:
            await self._ready()
            try:
                with self._assembly.edges.manager.reloading():
                    return await self._reload()
            except ConfigError as error:
                raise _refused(error, complaints=list(map(str, error.complaints))) from error
            except RunnerError as error:
                raise _refused(error, reason=str(error)) from error

    async def pause(self, name: str) -> str:
        """Ask for no more jobs for a runner, until `resume`; returns its name. Raises `NotDoneError`."""
        return await self._pause(name, pause=True)

    async def resume(self, name: str) -> str:
        """The opposite of `pause`."""
        return await self._pause(name, pause=False)

    async def follow_pauses(self) -> None:
        """Another process has paused or resumed runners; raises `RunnerError`."""
        async with self._one_at_a_time:
            await self._ready()
            wanted = paused(await self._store.runners())
            served = self._dispatcher.config
            changed = (wanted ^ served.limits.paused) & served.names.keys()
            if changed:
                self._dispatcher.reload(served.pausing(wanted))
            for key in sorted(changed):
                log.info("runner_paused" if key in wanted else "runner_resumed", runner=served.names[key])

    # --- reload ------------------------------------------------------------------------------------------

    async def _reload(self) -> Reloaded:
        config, seen = await recognised(self._assembly.edges.reread(), self._store)
        config, restart_needed = with_restart_keys_of(self._config, config)
        changes = differences(self._config, config)
        present = self._dispatcher.config.runners
        served = self._assembly.served(config, present=present)
        try:
            async with AsyncExitStack() as following:
                for follower in self._followers:
                    await following.enter_async_context(follower.following(config))
                known = await remember(seen, self._store)
                self._refuse_while_stopping()
        except RunnerError:
            await _close_new(served, present)
            raise
        self._config = config
        self._dispatcher.reload(served.pausing(paused(known)))
        self._assembly.edges.adopt(config)
        _log_reload(config, changes, restart_needed)
        return Reloaded(changes=changes, restart_needed=restart_needed)

    # --- pause -------------------------------------------------------------------------------------------

    async def _pause(self, name: str, *, pause: bool) -> str:
        async with self._one_at_a_time:
            await self._ready()
            key = self._key(name)
            known = await _changed(
                self._store,
                lambda runners: [
                    attrs.evolve(runner, paused=pause) if runner.key == key else runner for runner in runners
                ],
            )
            self._refuse_while_stopping()
            self._dispatcher.reload(self._dispatcher.config.pausing(paused(known)))
            title = self._dispatcher.config.names[key]
            log.info("runner_paused" if pause else "runner_resumed", runner=title)
            return title

    def _key(self, name: str) -> str:
        """Of the runner with that name; a short token means one runner for sure."""
        names = self._dispatcher.config.names
        matching = [key for key, known in names.items() if name in (key, known)]
        if len(matching) == 1:
            return matching[0]
        if matching:
            raise NotDoneError(
                f'there are {len(matching)} runners called "{name}": name one by its short token, '
                f"{' or '.join(matching)}"
            )
        raise NotDoneError(f'there is no runner "{name}"; there are: {", ".join(names.values())}')

    async def _ready(self) -> None:
        await self._dispatcher.running.wait()
        self._refuse_while_stopping()

    def _refuse_while_stopping(self) -> None:
        if self._stopping.is_set() or not self._dispatcher.running.is_set():
            raise NotDoneError("the service is stopping")


def _refused(error: RunnerError, **why: object) -> NotDoneError:
    log.error("configuration_refused", **why)
    return NotDoneError(f"refused, the configuration in force stays:\n{error}")


async def _close_new(served: ServedConfig, present: Mapping[str, ActiveRunner]) -> None:
    for key, runner in served.runners.items():
        if runner is not present.get(key):
            await runner.aclose()


def _log_reload(config: Config, changes: Sequence[str], restart_needed: Sequence[str]) -> None:
    for warning in config.warnings:
        log.warning("configuration_note", note=warning)
    if changes:
        log.info("configuration_reloaded", changes=list(changes))
    else:
        log.info("configuration_unchanged")
    if restart_needed:
        log.warning("restart_needed", keys=list(restart_needed))
