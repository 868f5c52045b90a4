"""The life of a deployment, from the push to the end of its instance (spec clever-cloud-api.md §2.6).

An application has at most one deployment at work, an asyncio task of its own; later pushes wait for its end.
Whatever ends that task ends the program first, then the instance, and settles the row.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

import attrs

from paas_runner.sandbox.cloud.accounts import Identifiers
from paas_runner.sandbox.cloud.application import (
    Application,
    AppState,
    Deployment,
    DeploymentState,
    Instance,
    InstanceState,
    Lifetime,
    PushedCommit,
)
from paas_runner.sandbox.cloud.catalogue import Catalogue
from paas_runner.sandbox.cloud.ledger import CloudLedger
from paas_runner.sandbox.cloud.options import CloudOptions, HostFiles, HostProgram


@attrs.define(kw_only=True, eq=False)
class Platform:
    """What all applications of one cloud share; options and catalogue may be replaced at any time."""

    clock: Callable[[], datetime]
    identifiers: Identifiers
    options: CloudOptions
    catalogue: Catalogue
    program: HostProgram
    ledger: CloudLedger


class Deployments:
    """Starts, cancels and stops what runs for applications."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._at_work: set[asyncio.Task[None]] = set()
        self._closed = False

    def enqueue(self, app: Application, push: PushedCommit) -> None:
        """Deploy the commit as soon as nothing else is at work that it must wait for."""
        app.last_push = push
        app.waiting.append(push)
        serving = app.definition.lifetime is Lifetime.REGULAR and app.state is AppState.SHOULD_BE_UP
        if app.task and (serving or app.definition.fields.get("cancelOnPush")):
            app.task.cancel()
        self._start_next(app)

    def cancel(self, app: Application) -> None:
        """End the deployment at work; its row becomes CANCELLED once its program has ended."""
        if app.task:
            app.task.cancel()

    async def stop(self, app: Application) -> None:
        """End the deployment at work and forget the waiting ones; return when the program has ended."""
        app.waiting.clear()
        app.state = AppState.SHOULD_BE_DOWN
        if app.task:
            app.task.cancel()
            await asyncio.wait([app.task])
            app.state = AppState.SHOULD_BE_DOWN

    def lose(self, app: Application, *, replaced: bool) -> None:
        """End the deployment at work as the loss of its machine does: FAIL, and perhaps a new deployment."""
        if app.task is None or app.current is None or app.last_push is None:
            return
        settle(app, app.current, DeploymentState.FAIL)
        if replaced:
            uuid = self._platform.identifiers.new("deployment_")
            app.waiting.append(attrs.evolve(app.last_push, cause="Monitoring/Unreachable", uuid=uuid))
        app.task.cancel()

    async def aclose(self) -> None:
        """End all deployments at work, and start none any more."""
        self._closed = True
        tasks = list(self._at_work)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start_next(self, app: Application) -> None:
        if app.task or not app.waiting or app.deleted or self._closed:
            return
        work = self._deploy(app, app.waiting.popleft())
        app.task = asyncio.create_task(work, name=f"deployment of {app.id}")
        self._at_work.add(app.task)
        app.task.add_done_callback(lambda task: self._ended(app, task))

    def _ended(self, app: Application, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        app.task = None
        self._start_next(app)

    async def _deploy(self, app: Application, push: PushedCommit) -> None:
        await asyncio.sleep(self._platform.options.deployment_delay.total_seconds())
        row = Deployment(
            number=len(app.deployments) + 1,
            uuid=push.uuid,
            at=self._platform.clock(),
            commit=push.commit,
            cause=push.cause,
        )
        app.deployments[row.number] = row
        if app.state is AppState.SHOULD_BE_DOWN:
            app.state = AppState.WANTS_TO_BE_UP
        try:
            await InstanceRun(self._platform, app, row).run(push)
        finally:
            settle(app, row, DeploymentState.CANCELLED)


class InstanceRun:
    """The instance of one deployment."""

    def __init__(self, platform: Platform, app: Application, row: Deployment) -> None:
        self._platform = platform
        self._app = app
        self._row = row
        self._options = platform.options
        self._instance = Instance(
            id=platform.identifiers.new(),
            deployment=row,
            flavor=app.definition.max_flavor,
            created_at=platform.clock(),
        )

    async def run(self, push: PushedCommit) -> None:
        """Boot, build, run the program; the instance is gone when this returns or raises."""
        self._platform.ledger.note_instance(self._app.id)
        try:
            await self._boot()
            if await self._build(push):
                await self._serve(push)
            else:
                settle(self._app, self._row, DeploymentState.FAIL)
        finally:
            self._enter(InstanceState.DELETED)
            self._platform.ledger.note_instance_gone(self._app.id)

    async def _boot(self) -> None:
        self._enter(InstanceState.BOOTING)
        if self._options.stuck:
            await asyncio.Event().wait()
        half = self._options.boot_delay.total_seconds() / 2
        await asyncio.sleep(half)
        self._enter(InstanceState.STARTING)
        await asyncio.sleep(half)

    async def _build(self, push: PushedCommit) -> bool:
        self._enter(InstanceState.DEPLOYING)
        self._log(f"Deploying commit ID {push.commit}")
        await asyncio.sleep(self._options.build_delay.total_seconds())
        if "Dockerfile" not in push.files:
            self._log("Deploy failed in 0 seconds: there is no Dockerfile at the root of the repository")
            return False
        if self._options.build_fails:
            self._log("pulling the base image: 40 %\r\x1b[31;1mERROR\x1b[0m the base image does not exist")
            self._log("Deploy failed in 0 seconds: the image could not be built")
            return False
        self._log(f"Build succeeded in {self._options.build_delay.total_seconds():.0f} seconds")
        return True

    async def _serve(self, push: PushedCommit) -> None:
        app = self._app
        if app.definition.lifetime is Lifetime.REGULAR:
            self._enter(InstanceState.UP)
            settle(app, self._row, DeploymentState.OK)
            app.state = AppState.SHOULD_BE_UP
            await self._program(push)
            await asyncio.Event().wait()  # the machine stays until the application is stopped
        self._enter(InstanceState.TASK_IN_PROGRESS)
        if self._options.task_running_shown:
            app.deployments[self._row.number] = attrs.evolve(self._row, state=DeploymentState.TASK_RUNNING)
        exit_code = await self._program(push)
        settle(app, self._row, DeploymentState.OK if exit_code == 0 else DeploymentState.FAIL)
        app.state = AppState.SHOULD_BE_DOWN

    async def _program(self, push: PushedCommit) -> int:
        self._platform.ledger.note_launch(self._app.id)
        files = HostFiles(files=push.files, environment=self._environment(), say=self._log)
        try:
            exit_code = await self._platform.program(files)
        except Exception as error:  # noqa: BLE001 - like a container's crash, the author's to read in the log
            self._log(f"The program crashed: {type(error).__name__}: {error}")
            return 255
        self._log(f"The program ended with exit code {exit_code}")
        return exit_code

    def _environment(self) -> dict[str, str]:
        """The application's environment and what the platform adds to it (§4.2)."""
        return {
            **self._app.env,
            "APP_ID": self._app.id,
            "CC_APP_ID": self._app.id,
            "CC_APP_NAME": self._app.definition.name,
            "CC_COMMIT_ID": self._row.commit,
            "CC_DEPLOYMENT_ID": self._row.uuid,
            "INSTANCE_ID": self._instance.id,
            "INSTANCE_NUMBER": "0",
            "INSTANCE_TYPE": "production",
            "PORT": "8080",
        }

    def _enter(self, state: InstanceState) -> None:
        self._instance = attrs.evolve(self._instance, state=state)
        self._app.instances[self._instance.id] = self._instance

    def _log(self, message: str) -> None:
        self._app.log.write(
            message, deployment=self._row.uuid, commit=self._row.commit, instance=self._instance.id
        )


def settle(app: Application, row: Deployment, state: DeploymentState) -> None:
    """Give a row its final state, unless it has one; a success puts the commit in service."""
    if app.deployments[row.number].state.final:
        return
    app.deployments[row.number] = attrs.evolve(row, state=state)
    if state is DeploymentState.OK:
        app.commit_id = row.commit
