"""Pipelines inside a program of somebody else's: an object with what the API can do, and no address.

All promises are the server's: what a call has returned is on the disk, and the next `open` of the same folder
goes on from there, also after `kill -9`. Two processes cannot have one folder.
"""

import asyncio
import hashlib
import json
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import attrs

from paas_pipelines.access.actor import Way, actor_of
from paas_pipelines.access.identity import PROGRAM, Identity, identity_written
from paas_pipelines.access.statements import authorize
from paas_pipelines.definitions.definition import NOTHING
from paas_pipelines.runs.run import Run
from paas_pipelines.server.assembly import Server, opened
from paas_pipelines.server.settings import DEFAULT_PATTERN, Settings
from paas_pipelines.triggers.containment import match
from paas_pipelines.triggers.hooks import Answer
from paas_runner.secret import Secret
from paas_runner.service.systemd import ServiceManager

__all__ = ["Pipelines", "authorize", "match"]


@attrs.frozen(eq=False)
class Pipelines:
    """One data folder with its pipelines, as long as `open` lasts.

    Who may do what is the program's own affair: it says by whom each call is.
    """

    _server: Server

    @classmethod
    @asynccontextmanager
    async def open(
        cls, data: Path, definitions: Path, config: Path | None = None, *, environment: Iterable[str] = ()
    ) -> AsyncIterator["Pipelines"]:
        """Run what is in `data` with the `definitions`, a file or a folder of such, until the block ends.

        `config` is the TOML with `[pipelines]`: credentials, limits, notifiers; `environment` are files of
        variables for tasks. At the end what runs is canceled, as by SIGTERM, and what waits for people goes
        on with the next `open`; after an exception all ends at once. Raises `RunnerError`.
        """
        settings = _settings(data, definitions, config, environment)
        async with opened(settings, ServiceManager()) as server, asyncio.TaskGroup() as group:
            beside = [group.create_task(each()) for each in server.beside]
            conducting = group.create_task(server.conductor.run())
            yield cls(server)
            server.conductor.force()
            await conducting
            for each in beside:
                each.cancel()

    async def start(
        self, name: str, params: Mapping[str, Any] = NOTHING, by: str = "", key: str = "", partition: str = ""
    ) -> Run:
        """A new run, on the disk; or that of the same `key` within a day, if it is asked for the same.

        Raises `ScheduleRefusedError`, `KeyUsedError`, `StoreError`; `UnknownRunError` where the run of the
        key is kept no longer.
        """
        asked = json.dumps([name, dict(params), partition], sort_keys=True).encode()
        run_id = await self._server.served.start(
            name,
            variables=params,
            actor=actor_of(_said(by), Way.PROGRAM),
            partition=partition,
            key=key,
            digest=hashlib.sha256(asked).hexdigest(),
        )
        return self.run(run_id)

    async def deliver(self, hook: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """A delivery to the webhook with that path, which proves itself: what its sender is to be told."""
        return await self._server.feed.deliver(hook, headers.items(), body)

    async def decide(
        self,
        run: str,
        task: str,
        decision: bool,
        by: str,
        digest: str,
        *,
        reason: str = "",
        values: Mapping[str, Any] = NOTHING,
        groups: Iterable[str] = (),
    ) -> Run:
        """Approve, or reject; `digest` is that of what was shown (`Task.asked`).

        Raises `DecisionRefusedError`; `UnknownRunError`, and KeyError for a task that the run has not.
        """
        return await self._server.served.decide(
            run,
            task,
            identity=_said(by, groups),
            approved=decision,
            digest=digest,
            reason=reason,
            values=values,
        )

    async def cancel(self, run: str, by: str = "") -> Run:
        """Its tasks may go on ending; raises `UnknownRunError`, `AlreadyCompletedError`, `StoreError`."""
        return await self._server.served.cancel(run, by)

    def run(self, run: str) -> Run:
        """As it is now; raises `UnknownRunError`."""
        return self._server.engine.book.run(run)

    def runs(self) -> list[Run]:
        """All that are kept, newest first."""
        return list(self._server.engine.book.runs())

    async def wait(self, run: str) -> Run:
        """How it has ended, once that is on the disk; raises `UnknownRunError`, `StoreError`."""
        async for now in self.watch(run):
            last = now
        return last

    async def watch(self, run: str) -> AsyncIterator[Run]:
        """The run as it is, and again after each of its changes until its end, each once it is on the disk.

        Changes that follow one another at once are one. Raises `UnknownRunError`, `StoreError`.
        """
        news, seen = asyncio.Event(), None
        unsubscribe = self._server.engine.changes.subscribe(news.set)
        try:
            while seen is None or not seen.ended:
                news.clear()
                now = self.run(run)
                if now != seen:
                    await self._server.served.durable()
                    seen = now
                    yield now
                else:
                    await news.wait()
        finally:
            unsubscribe()


def _said(by: str, groups: Iterable[str] = ()) -> Identity:
    """Somebody as the program says, whose word counts instead of statements."""
    return attrs.evolve(identity_written(by, tuple(groups)), kind=PROGRAM)


def _settings(data: Path, definitions: Path, config: Path | None, environment: Iterable[str]) -> Settings:
    is_file = definitions.is_file()
    return Settings(
        path=definitions.parent if is_file else definitions,
        pattern=definitions.name if is_file else DEFAULT_PATTERN,
        data=data,
        jwt_secret=Secret(secrets.token_hex(16)),  # of tokens that nobody has
        address="",
        env_files=tuple(environment),
        settings=config,
    )
