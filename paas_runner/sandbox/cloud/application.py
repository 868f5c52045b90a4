"""One application of the simulated cloud: what it is, what has been pushed to it, what runs for it.

Its log keeps all lines, and lets readers wait for more of them.
"""

import asyncio
import contextlib
import enum
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs
from starlette.types import ASGIApp

from paas_runner.sandbox.cloud.catalogue import Flavor, InstanceType

DOMAIN = "cleverapps.io"
"""Below which each application has its own domain (§4.5)."""


@attrs.frozen(kw_only=True)
class LogLine:
    """One line; `id` grows with time and is what a reader resumes from."""

    id: str
    at: datetime
    message: str
    deployment: str
    commit: str
    instance: str


class Log:
    """Lines in the order in which they were written."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lines: list[LogLine] = []
        self._more = asyncio.Event()

    def write(self, message: str, *, deployment: str, commit: str, instance: str) -> None:
        """Append one line and wake the readers."""
        line = LogLine(
            id=f"{len(self._lines):012d}",
            at=self._clock(),
            message=message,
            deployment=deployment,
            commit=commit,
            instance=instance,
        )
        self._lines.append(line)
        self._more.set()
        self._more = asyncio.Event()

    def after(self, last_id: str) -> Iterator[LogLine]:
        """The lines written after the one with that id; all of them for an empty id."""
        return (line for line in tuple(self._lines) if line.id > last_id)

    async def more(self, within: float) -> None:
        """Return when a line is written, or after `within` seconds."""
        try:
            async with asyncio.timeout(within):
                await self._more.wait()
        except TimeoutError:
            return


class Lifetime(enum.StrEnum):
    """How long an instance lives: `REGULAR` until it is stopped, `TASK` until its program ends (§4.4)."""

    REGULAR = "REGULAR"
    TASK = "TASK"
    MIGRATION = "MIGRATION"


class AppState(enum.StrEnum):
    """What the platform wants the application to be; alone it means little (§2.6)."""

    SHOULD_BE_DOWN = "SHOULD_BE_DOWN"
    WANTS_TO_BE_UP = "WANTS_TO_BE_UP"
    SHOULD_BE_UP = "SHOULD_BE_UP"


class RepoState(enum.StrEnum):
    """The application's git repository takes pushes only while `CREATED` (§2.4)."""

    CREATING = "CREATING"
    CREATED = "CREATED"
    DELETED = "DELETED"


class DeploymentState(enum.StrEnum):
    """The v2 states of a deployment (§2.6)."""

    WIP = "WIP"
    TASK_RUNNING = "TASK_RUNNING"
    OK = "OK"
    FAIL = "FAIL"
    CANCELLED = "CANCELLED"

    @property
    def final(self) -> bool:
        return self not in (DeploymentState.WIP, DeploymentState.TASK_RUNNING)


class InstanceState(enum.StrEnum):
    """The v2 states of an instance that the simulation plays (§2.6)."""

    BOOTING = "BOOTING"
    STARTING = "STARTING"
    DEPLOYING = "DEPLOYING"
    READY = "READY"
    UP = "UP"
    TASK_IN_PROGRESS = "TASK_IN_PROGRESS"
    DELETED = "DELETED"


@attrs.frozen(kw_only=True)
class Definition:
    """What creation and update requests say; `fields` are the accepted ones, under their names in JSON."""

    fields: Mapping[str, Any]
    name: str
    instance_type: InstanceType
    lifetime: Lifetime
    min_flavor: Flavor
    max_flavor: Flavor
    build_flavor: Flavor


@attrs.frozen(kw_only=True)
class PushedCommit:
    """A commit that waits for its deployment, whose uuid is known before it is listed."""

    commit: str
    uuid: str
    files: Mapping[str, bytes] = attrs.field(repr=False)
    cause: str = "Git"


@attrs.frozen(kw_only=True)
class Deployment:
    """One row; `number` is the small integer that the API calls id."""

    number: int
    uuid: str
    at: datetime
    commit: str
    cause: str
    state: DeploymentState = DeploymentState.WIP


@attrs.frozen(kw_only=True)
class Instance:
    """One machine of a deployment, gone ones included."""

    id: str
    deployment: Deployment
    flavor: Flavor
    created_at: datetime
    state: InstanceState = InstanceState.BOOTING


@attrs.define(eq=False)
class Port:
    """Port 8080 of one machine."""

    app: ASGIApp | None = None
    """What answers there."""

    @contextlib.contextmanager
    def serve(self, app: ASGIApp) -> Iterator[None]:
        """Answer by that inside the context."""
        self.app = app
        try:
            yield
        finally:
            self.app = None


@attrs.define(kw_only=True, eq=False)
class Application:
    """Changed only by `Cloud` and by the deployment that runs for it."""

    id: str
    organisation_id: str
    created_at: datetime
    repository_at: datetime
    definition: Definition
    env: dict[str, str] = attrs.field(repr=False)
    log: Log
    state: AppState = AppState.SHOULD_BE_DOWN
    commit_id: str | None = None
    deleted: bool = False
    last_push: PushedCommit | None = None
    deployments: dict[int, Deployment] = attrs.field(factory=dict)
    instances: dict[str, Instance] = attrs.field(factory=dict)
    waiting: deque[PushedCommit] = attrs.field(factory=deque)
    task: asyncio.Task[None] | None = None
    port: Port | None = None
    """Of the machine to which requests are routed."""

    def repo_state(self, now: datetime) -> RepoState:
        """Whether the repository takes pushes at `now`."""
        if self.deleted:
            return RepoState.DELETED
        return RepoState.CREATED if now >= self.repository_at else RepoState.CREATING

    @property
    def domain(self) -> str:
        """The default one (§4.5)."""
        return f"{self.id.replace('_', '-')}.{DOMAIN}"

    @property
    def current(self) -> Deployment | None:
        return self.deployments[max(self.deployments)] if self.deployments else None
