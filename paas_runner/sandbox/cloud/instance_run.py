"""The life of one instance: it boots, builds, runs its program, and is gone (spec clever-cloud-api.md §2.6).

A TASK instance goes when its program has ended. A REGULAR one is up as soon as something answers on its port,
and stays for as long as anything does: it is replaced when nothing has for some minutes, whether its program
has ended or not (§4.3, §4.4).
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

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
    Port,
    PushedCommit,
)
from paas_runner.sandbox.cloud.catalogue import Catalogue
from paas_runner.sandbox.cloud.ledger import CloudLedger
from paas_runner.sandbox.cloud.options import CloudOptions, HostFiles, HostProgram

_LISTENING_LOOK_SECONDS = 1.0
_NOTHING_LISTENING = (
    "Nothing listening on 0.0.0.0:8080 yet. If the deployment fails after this message, please update your "
    "configuration and redeploy."
)


@attrs.define(kw_only=True, eq=False)
class Platform:
    """What all applications of one cloud share; options and catalogue may be replaced at any time."""

    clock: Callable[[], datetime]
    identifiers: Identifiers
    options: CloudOptions
    catalogue: Catalogue
    program: HostProgram
    ledger: CloudLedger


class InstanceRun:
    """The instance of one deployment."""

    def __init__(self, platform: Platform, app: Application, row: Deployment) -> None:
        self._platform = platform
        self._app = app
        self._row = row
        self._options = platform.options
        self._port = Port()
        self._instance = Instance(
            id=platform.identifiers.new(),
            deployment=row,
            flavor=app.definition.max_flavor,
            created_at=platform.clock(),
        )

    async def run(self, push: PushedCommit) -> bool:
        """Boot, build, run the program; the instance is gone when this returns or raises.

        Whether another one is to take its place.
        """
        self._platform.ledger.note_instance(self._app.id)
        try:
            await self._boot()
            if await self._build(push):
                if self._app.definition.lifetime is Lifetime.REGULAR:
                    return await self._stay(push)
                await self._run_task(push)
            else:
                settle(self._app, self._row, DeploymentState.FAIL)
            return False
        finally:
            if self._app.port is self._port:
                self._app.port = None
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

    async def _run_task(self, push: PushedCommit) -> None:
        app = self._app
        self._enter(InstanceState.TASK_IN_PROGRESS)
        if self._options.task_running_shown:
            app.deployments[self._row.number] = attrs.evolve(self._row, state=DeploymentState.TASK_RUNNING)
        exit_code = await self._program(push)
        settle(app, self._row, DeploymentState.OK if exit_code == 0 else DeploymentState.FAIL)
        app.state = AppState.SHOULD_BE_DOWN

    async def _stay(self, push: PushedCommit) -> bool:
        """Whether it became unreachable after it had been up."""
        program = asyncio.create_task(self._program(push), name=f"program of {self._app.id}")
        try:
            if not await self._is_listening():
                self._log("Deploy failed: nothing answers on port 8080")
                settle(self._app, self._row, DeploymentState.FAIL)
                return False
            self._enter(InstanceState.READY)
            self._app.port = self._port
            self._enter(InstanceState.UP)
            settle(self._app, self._row, DeploymentState.OK)
            self._app.state = AppState.SHOULD_BE_UP
            await self._is_unreachable()
            return True
        finally:
            program.cancel()
            await asyncio.wait([program])

    async def _is_listening(self) -> bool:
        waited, patience = 0.0, self._options.health_patience.total_seconds()
        while self._port.app is None and waited < patience:
            if waited % 60 == 0:
                self._log(_NOTHING_LISTENING)
            await asyncio.sleep(_LISTENING_LOOK_SECONDS)
            waited += _LISTENING_LOOK_SECONDS
        return self._port.app is not None

    async def _is_unreachable(self) -> None:
        """Return once nothing has answered for a while; a program that ends is seen by nothing else."""
        silent, every = timedelta(), self._options.probe_every
        while silent < self._options.unreachable_after:
            await asyncio.sleep(every.total_seconds())
            silent = timedelta() if self._port.app else silent + every

    async def _program(self, push: PushedCommit) -> int:
        self._platform.ledger.note_launch(self._app.id)
        files = HostFiles(
            files=push.files,
            environment=self._environment(),
            say=self._log,
            serve=self._port.serve,
        )
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
