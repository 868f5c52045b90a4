"""The simulated cloud: organisations, their applications, and everything that can be asked of them.

In memory, on one event loop, without threads; time comes from the injected clock and from `asyncio.sleep`,
identifiers from the injected `random.Random`.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import attrs

from paas_runner.sandbox.cloud import errors
from paas_runner.sandbox.cloud.accounts import Identifiers, Organisation, Organisations
from paas_runner.sandbox.cloud.application import (
    Application,
    Definition,
    Deployment,
    DeploymentState,
    Log,
    Port,
    PushedCommit,
    RepoState,
)
from paas_runner.sandbox.cloud.catalogue import Catalogue, standard_catalogue
from paas_runner.sandbox.cloud.deployments import Deployments
from paas_runner.sandbox.cloud.instance_run import Platform
from paas_runner.sandbox.cloud.ledger import CloudLedger
from paas_runner.sandbox.cloud.options import CloudOptions, HostProgram
from paas_runner.secret import Secret

OBLIGING = CloudOptions()


class Cloud:
    """One cloud; close it with `aclose`, which ends every running program."""

    def __init__(
        self,
        *,
        clock: Callable[[], datetime],
        rng: random.Random,
        program: HostProgram,
        options: CloudOptions = OBLIGING,
    ) -> None:
        self.clock = clock
        self.identifiers = Identifiers(rng)
        self.accounts = Organisations(self.identifiers, clock)
        self.ledger = CloudLedger(clock)
        self._platform = Platform(
            clock=clock,
            identifiers=self.identifiers,
            options=options,
            catalogue=standard_catalogue(),
            program=program,
            ledger=self.ledger,
        )
        self._deployments = Deployments(self._platform)
        self._applications: dict[str, Application] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    # What a test or the demo does to the cloud, and no request can.

    @property
    def options(self) -> CloudOptions:
        """How the cloud behaves from now on; a deployment keeps the options it began with."""
        return self._platform.options

    @options.setter
    def options(self, options: CloudOptions) -> None:
        self._platform.options = options

    @property
    def catalogue(self) -> Catalogue:
        """What is on offer from now on."""
        return self._platform.catalogue

    @catalogue.setter
    def catalogue(self, catalogue: Catalogue) -> None:
        self._platform.catalogue = catalogue

    def add_organisation(self, name: str, *tokens: Secret) -> Organisation:
        return self.accounts.add_organisation(name, *tokens)

    def lose_instance(self, app: Application, *, replaced: bool = False) -> None:
        """The machine dies and its program with it; `replaced`: the platform deploys the commit anew."""
        self.ledger.note("lose", app.id, None)
        self._deployments.lose(app, replaced=replaced)

    # What requests do.

    def applications(self, organisation_id: str) -> list[Application]:
        """The applications of an organisation, oldest first."""
        return [app for app in self._applications.values() if app.organisation_id == organisation_id]

    def application(self, organisation_id: str, app_id: str) -> Application:
        """One application; raises `CloudRefusedError` (404, id 4004)."""
        app = self._applications.get(app_id)
        if app is None or app.organisation_id != organisation_id:
            raise errors.no_such_application()
        return app

    def port_of(self, domain: str) -> Port | None:
        """Where requests to a domain go; None where nothing is up."""
        return next((app.port for app in self._applications.values() if app.domain == domain), None)

    def pushable(self, app_id: str) -> Application:
        """An application whose repository takes pushes now; raises `CloudRefusedError` (404, id 4004)."""
        app = self._applications.get(app_id)
        if app is None or app.repo_state(self.clock()) is not RepoState.CREATED:
            raise errors.no_such_application()
        return app

    def create(
        self,
        organisation_id: str,
        definition: Definition,
        env: Mapping[str, str],
        *,
        by: Secret | None = None,
    ) -> Application:
        """A new application without instance or deployment; its name need not be unique.

        Raises `CloudRefusedError` where the options say that there is no room.
        """
        for wanted in (definition.fields["zone"], definition.max_flavor.name):
            if wanted in self.options.exhausted:
                raise errors.no_capacity(self.options.exhausted[wanted], wanted)
        now = self.clock()
        app = Application(
            id=self.identifiers.new("app_"),
            organisation_id=organisation_id,
            created_at=now,
            repository_at=now + self.options.repository_delay,
            definition=definition,
            env=dict(env) if self.options.env_at_creation else {},
            log=Log(self.clock),
        )
        self._applications[app.id] = app
        self.ledger.note_creation(
            app.id,
            by,
            name=definition.name,
            organisation_id=organisation_id,
            flavor=definition.max_flavor.name,
        )
        return app

    def redefine(self, app: Application, definition: Definition, *, by: Secret | None = None) -> None:
        """Change an application; what runs already keeps its flavor."""
        app.definition = definition
        self.ledger.note("update", app.id, by)

    def set_env(self, app: Application, env: Mapping[str, str], *, by: Secret | None = None) -> None:
        """Replace the whole environment; what runs already keeps its own."""
        app.env = dict(env)
        self.ledger.note("env", app.id, by)

    def received_push(
        self, app_id: str, commit: str, files: Mapping[str, bytes], *, by: Secret | None = None
    ) -> None:
        """`master` of the application's repository is now this commit; the same once more changes nothing.

        Raises `CloudRefusedError` (404) unless the repository takes pushes.
        """
        app = self.pushable(app_id)
        if app.last_push is not None and app.last_push.commit == commit:
            return
        self.ledger.note_push(app_id, by)
        self._deploy(app, PushedCommit(commit=commit, files=dict(files), uuid=self._deployment_uuid()))

    def redeploy(self, app: Application, commit: str | None = None, *, by: Secret | None = None) -> str:
        """Deploy the last commit again; returns the uuid that the deployment will have.

        Raises `CloudRefusedError` when there is no commit (400, id 4014) or another one is asked for.
        """
        if app.last_push is None:
            raise errors.never_pushed()
        if commit not in (None, app.last_push.commit):
            raise errors.invalid_value("commit", "only the commit that was pushed last can be deployed again")
        self.ledger.note("redeploy", app.id, by)
        again = attrs.evolve(app.last_push, cause="Console", uuid=self._deployment_uuid())
        self._deploy(app, again)
        return again.uuid

    def _deployment_uuid(self) -> str:
        return self.identifiers.new("deployment_")

    def _deploy(self, app: Application, push: PushedCommit) -> None:
        if self.options.credit:
            self._deployments.enqueue(app, push)
        else:
            app.last_push = push

    def deployment(self, app: Application, key: str) -> Deployment:
        """A deployment by its number or its uuid; raises `CloudRefusedError` (404)."""
        for row in app.deployments.values():
            if key in (row.uuid, str(row.number)):
                return row
        raise errors.no_such_deployment()

    def cancel(self, app: Application, key: str, *, by: Secret | None = None) -> None:
        """Cancel a deployment in progress, by number or uuid; raises `CloudRefusedError`."""
        if self.deployment(app, key).state is not DeploymentState.WIP:
            raise errors.not_in_progress()
        self.ledger.note("cancel", app.id, by)
        self._deployments.cancel(app)

    async def stop(self, app: Application, *, by: Secret | None = None) -> None:
        """Stop the instances of an application and forget its waiting pushes."""
        self.ledger.note("stop", app.id, by)
        await asyncio.shield(self._stopped(app, timedelta()))

    async def delete(self, organisation_id: str, app_id: str, *, by: Secret | None = None) -> None:
        """Remove an application at once and stop its instances; raises `CloudRefusedError` (404, id 4004).

        Returns when its program has ended, unless `deletion_delay` says that the instances go later.
        """
        entry = self.ledger.find(app_id)
        if entry is not None and entry.organisation_id == organisation_id:
            self.ledger.note_deletion(app_id, by)
        app = self.application(organisation_id, app_id)
        del self._applications[app.id]
        app.deleted = True
        delay = self.options.deletion_delay
        stopping = self._stopped(app, delay)
        if not delay:
            await asyncio.shield(stopping)

    def _stopped(self, app: Application, delay: timedelta) -> asyncio.Task[None]:
        """A task of its own, so that it goes on when the caller of the API does not wait for its end."""

        async def stop() -> None:
            await asyncio.sleep(delay.total_seconds())
            await self._deployments.stop(app)

        task = asyncio.create_task(stop(), name=f"stopping {app.id}")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        return task

    async def aclose(self) -> None:
        """End every running program and wait for its end; nothing of the cloud runs afterwards."""
        await self._deployments.aclose()
        stopping = list(self._stopping)
        for task in stopping:
            task.cancel()
        await asyncio.gather(*stopping, return_exceptions=True)
