"""What the routes and the pages work with: one server, and the verbs that change something of it."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

import attrs

from paas_pipelines.runs.engine import AlreadyCompletedError, Engine
from paas_pipelines.runs.run import Run
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.logs import LogFiles
from paas_runner.secret import Secret
from paas_runner.store.protocol import StoreError


@attrs.frozen(kw_only=True)
class Served:
    """One server, as those see it who are asked from outside.

    Whoever changes or tells something of its records waits for the disk before answering; that may raise
    `StoreError`, and then what was changed stays as it is, but what was not accepted is canceled.
    """

    engine: Engine
    journal: Journal
    logs: LogFiles
    secret: Secret
    """With which tokens are signed, at least 16 characters."""

    clock: Callable[[], datetime]

    async def schedule(
        self, pipeline: str, *, variables: Mapping[str, Any], user: str = "", partition: str = ""
    ) -> Run:
        """A new run, once it is on the disk; raises `ScheduleRefusedError`; `StoreError`: it never runs."""
        if self.journal.trouble:
            raise StoreError(self.journal.trouble)
        run = self.engine.schedule(pipeline, variables=variables, user=user, partition=partition)
        try:
            await self.journal.flushed()
        except StoreError:  # whoever asks again must not have two
            with suppress(AlreadyCompletedError):
                self.engine.cancel(run.run_id)
            raise
        return run

    async def cancel(self, run_id: str) -> Run:
        """A canceled run, whose tasks may go on ending; raises `UnknownRunError`, `AlreadyCompletedError`."""
        run = self.engine.cancel(run_id)
        await self.journal.flushed()
        return run

    async def durable(self) -> None:
        """Return when all that the records say now is on the disk: then it may be told."""
        await self.journal.flushed()
