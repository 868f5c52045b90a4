"""What the routes and the pages work with: one server, and the verbs that change something of it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import attrs

from paas_pipelines.access import resources
from paas_pipelines.access.actor import Actor, Way, actor_of
from paas_pipelines.access.identity import Identity
from paas_pipelines.access.people import marks_of
from paas_pipelines.access.policy import Access
from paas_pipelines.api.access import Gate
from paas_pipelines.api.start_keys import StartKeys
from paas_pipelines.credentials.vault import Vault
from paas_pipelines.definitions.definition import NOTHING
from paas_pipelines.login.routes import Login
from paas_pipelines.runs.engine import AlreadyCompletedError, Engine
from paas_pipelines.runs.run import Run
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.journal import Journal
from paas_pipelines.store.logs import LogFiles
from paas_pipelines.tasks.executing.executions import Execution
from paas_pipelines.tasks.files import RunFiles
from paas_pipelines.triggers.feed import Feed
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
    access: Access = attrs.field(factory=Access.open)
    """Who may do what."""

    token_domain: str = ""
    """Of whoever has a token."""

    audit: Audit = attrs.field()
    """What is done, and what is refused, is noted there."""

    vault: Vault | None = None
    """The credentials; None where there is nothing that could use any."""

    feed: Feed | None = None
    """What starts runs without anybody; None where nothing can."""

    keys: StartKeys = attrs.field()
    """Those with which runs were started."""

    @keys.default
    def _keys(self) -> StartKeys:
        return StartKeys(self.journal, self.clock)

    login: Login | None = None
    """How people log in by the browser, if they can."""

    @property
    def gate(self) -> Gate:
        """Who says whose a request is."""
        return Gate(self.secret, self.clock, self.token_domain, self.login)

    leaks: Callable[[], Sequence[Execution]] = tuple
    """What of executors could not be taken away."""

    files: RunFiles | None = None
    """What tasks have saved; None where none can."""

    @audit.default
    def _audit(self) -> Audit:
        return Audit(self.journal, self.clock)

    async def schedule(
        self,
        pipeline: str,
        *,
        variables: Mapping[str, Any],
        user: str = "",
        actor: Actor | None = None,
        partition: str = "",
        noted: Callable[[Run], None] = lambda _run: None,
    ) -> Run:
        """A new run, once it is on the disk; raises `ScheduleRefusedError`; `StoreError`: it never runs.

        What `noted` puts is in the transaction of the run.
        """
        if self.journal.trouble:
            raise StoreError(self.journal.trouble)
        run = self.engine.schedule(pipeline, variables=variables, user=user, partition=partition, actor=actor)
        noted(run)
        try:
            await self.journal.flushed()
        except StoreError:  # whoever asks again must not have two
            with suppress(AlreadyCompletedError):
                self.engine.cancel(run.run_id)
            raise
        return run

    async def start(
        self,
        pipeline: str,
        *,
        variables: Mapping[str, Any],
        actor: Actor,
        partition: str = "",
        key: str = "",
        digest: str = "",
    ) -> str:
        """The id of a new run, or, within a day, of that which this one has started with the same key.

        `digest` is of what is asked for. Raises `KeyUsedError`, and as `schedule` does.
        """
        user = str(actor.identity)
        if not key:
            run = await self.schedule(
                pipeline, variables=variables, user=user, actor=actor, partition=partition
            )
            return run.run_id
        if known := await self.keys.run_of(user, key, digest):
            await self.journal.flushed()
            return known
        try:
            run = await self.schedule(
                pipeline,
                variables=variables,
                user=user,
                actor=actor,
                partition=partition,
                noted=lambda run: self.keys.note(user, key, digest, run.run_id),
            )
        except StoreError:
            self.keys.forget(user, key)
            raise
        return run.run_id

    async def cancel(self, run_id: str, user: str = "") -> Run:
        """A canceled run, whose tasks may go on ending; raises `UnknownRunError`, `AlreadyCompletedError`.

        `user` is who wants that.
        """
        run = self.engine.cancel(run_id)
        self.audit.note(user, "cancel", resources.pipeline(run.pipeline), run=run_id)
        await self.journal.flushed()
        return run

    async def decide(
        self,
        run_id: str,
        task: str,
        *,
        identity: Identity,
        approved: bool,
        digest: str,
        reason: str = "",
        values: Mapping[str, Any] = NOTHING,
    ) -> Run:
        """What somebody says to an approval, whose right to do so the caller has looked at.

        Raises `DecisionRefusedError`; `UnknownRunError`, and KeyError for a task that the run has not.
        """
        run = self.engine.decide(
            run_id,
            task,
            user=str(identity),
            groups=identity.groups,
            marks=marks_of(identity),
            people=self.access.people,
            approved=approved,
            digest=digest,
            reason=reason,
            values=values,
        )
        await self.journal.flushed()
        return run

    async def rerun(self, run_id: str, identity: Identity, way: Way) -> Run:
        """A new run like that one, by somebody who may; raises `ScheduleRefusedError`, `UnknownRunError`."""
        if self.journal.trouble:
            raise StoreError(self.journal.trouble)
        run = self.engine.rerun(run_id, str(identity), actor_of(identity, way))
        try:
            await self.journal.flushed()
        except StoreError:
            with suppress(AlreadyCompletedError):
                self.engine.cancel(run.run_id)
            raise
        return run

    async def durable(self) -> None:
        """Return when all that the records say now is on the disk: then it may be told."""
        await self.journal.flushed()
