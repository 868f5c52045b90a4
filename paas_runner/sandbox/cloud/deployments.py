"""Deployments of applications, from the push to the end of an instance (spec clever-cloud-api.md §2.6).

An application has at most one deployment at work, an asyncio task of its own; later pushes wait for its end.
Whatever ends that task ends the program first, then the instance, and settles the row.
"""

import asyncio

import attrs

from paas_runner.sandbox.cloud.application import (
    Application,
    AppState,
    Deployment,
    DeploymentState,
    Lifetime,
    PushedCommit,
)
from paas_runner.sandbox.cloud.instance_run import InstanceRun, Platform, settle

_UNREACHABLE = "Monitoring/Unreachable"


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
            self._replace(app, app.last_push)
        app.task.cancel()

    async def aclose(self) -> None:
        """End all deployments at work, and start none any more."""
        self._closed = True
        tasks = list(self._at_work)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _replace(self, app: Application, push: PushedCommit) -> None:
        """Another machine, on which nothing of the first is, gets the commit."""
        uuid = self._platform.identifiers.new("deployment_")
        app.waiting.append(attrs.evolve(push, cause=_UNREACHABLE, uuid=uuid))

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
            if await InstanceRun(self._platform, app, row).run(push) and not app.waiting:
                self._replace(app, push)
        finally:
            settle(app, row, DeploymentState.CANCELLED)
