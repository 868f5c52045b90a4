"""A whole world on loopback: a coordinator and a cloud on real ports, hosts that really run their jobs.

`async with Sandbox() as sandbox:` starts it inside the running event loop; when the block is left, nothing
remains: no task, process, socket or directory. All secrets are made at the start and are worth nothing after.
"""

import asyncio
import contextlib
import secrets
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import attrs
from starlette.types import ASGIApp

from paas_runner.inner import InnerRunner
from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.gitlab_ci.includes import RepositoryFiles
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.sandbox import cloud as clever
from paas_runner.sandbox.cloud import Cloud, CloudOptions, GitRemote, HostFiles, HostProgram, OAuthKeys
from paas_runner.sandbox.cloud.application import DOMAIN
from paas_runner.sandbox.cloud.routing import PREFIX
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from paas_runner.sandbox.helpers import HONEST, HelperBook, HelperPlay, Manners
from paas_runner.secret import Secret
from paas_runner.server.listening import Listener
from paas_runner.server.waiting import keep_sweeping

_UNUSABLE = 125  # the exit code of a container that could not be started
_LISTENS = b"--listen-address"  # what the image of a helper service tells its program (§4.4)


class JobProgram(Protocol):
    """What runs a job on a host: `InnerRunner`, or something else in its place."""

    async def run(self, runner_toml: str, job_json: str) -> int:
        """Run the job of these two texts, report on it, return the container's exit code.

        When canceled, end everything that was started.
        """


def _unchanged(options: CoordinatorOptions) -> CoordinatorOptions:
    return options


async def _cannot_start(_host: HostFiles) -> int:
    return _UNUSABLE


@attrs.frozen(kw_only=True)
class SandboxOptions:
    """What may differ from one sandbox to the next."""

    cloud: CloudOptions = attrs.field(factory=CloudOptions)
    coordinator: Callable[[CoordinatorOptions], CoordinatorOptions] = _unchanged
    """Changes to the coordinator's options, which come with secrets that were just made."""

    files: RepositoryFiles | None = None
    """What pipelines that are submitted may include."""

    inner_runner: JobProgram = attrs.field(factory=lambda: InnerRunner(clock=_now))

    other_program: HostProgram = _cannot_start
    """What runs from an image that is neither an inner runner's nor the helper service's."""


class Sandbox:
    """A coordinator with one runner and a cloud with one organisation and one user, while its block lasts."""

    coordinator: Coordinator
    cloud: Cloud
    helpers: HelperBook
    """What was done by hosts that stay."""

    organisation_id: str
    runner_token: Secret
    registration_token: Secret
    """With it `paas-runner register` makes more runners."""

    cloud_token: Secret
    user_keys: OAuthKeys
    """Those of the organisation's only member, for Clever Cloud's own command line."""

    admin_token: Secret
    """Opens the coordinator's administrator and control routes (header `PRIVATE-TOKEN`)."""

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self._options = options or SandboxOptions()
        self._stack = contextlib.AsyncExitStack()
        self.coordinator_faults = FaultPlan()
        self.cloud_faults = FaultPlan()

    async def __aenter__(self) -> Self:
        """Start everything; what was started is stopped again when something cannot be."""
        try:
            await self._start_coordinator()
            await self._start_cloud()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, without waiting for requests in progress."""
        await self._stack.aclose()

    @property
    def coordinator_url(self) -> str:
        """What a runner has as `url`."""
        return self._coordinator_listener.url

    @property
    def cloud_api_url(self) -> str:
        """What a runner has as `cc_api_url`, its version included."""
        return f"{self._cloud_listener.url}/v2"

    @property
    def helper_url(self) -> str:
        """What a runner of hosts that stay has as `cc_helper_url`: this cloud has no domains."""
        return f"{self._cloud_listener.url}{PREFIX}/{{application}}.{DOMAIN}"

    @property
    def clever_environment(self) -> dict[str, str]:
        """What points Clever Cloud's own command line at this cloud, with the secrets (§7.1, §7.2).

        Its deployments need `clever features enable system-git`: its own git speaks no plain http.
        """
        keys = self.user_keys
        return {
            "API_HOST": self._cloud_listener.url,
            "OAUTH_CONSUMER_KEY": keys.consumer_key,
            "OAUTH_CONSUMER_SECRET": keys.consumer_secret.reveal(),
            "CLEVER_TOKEN": keys.token.reveal(),
            "CLEVER_SECRET": keys.token_secret.reveal(),
            "NO_UPDATE_NOTIFIER": "1",
        }

    @property
    def configuration(self) -> str:
        """A `config.toml` for a service that works for this sandbox; it contains the secrets."""
        return (
            "concurrent = 10\n"
            "check_interval = 1\n"
            "job_progress_poll_interval = 1\n"
            "\n"
            "[[runners]]\n"
            'name = "sandbox"\n'
            f'url = "{self.coordinator_url}"\n'
            f'token = "{self.runner_token.reveal()}"\n'
            'executor = "clever-docker"\n'
            f'cc_api_url = "{self.cloud_api_url}"\n'
            f'cc_orga_id = "{self.organisation_id}"\n'
            f'cc_token = "{self.cloud_token.reveal()}"\n'
            "cc_deployment_repo_wait_step = 0.2\n"
        )

    async def restart_coordinator(self, outage_seconds: float = 0.0) -> None:
        """Cut all connections to the coordinator and listen again later; it forgets nothing."""
        await _restart(self._coordinator_listener, outage_seconds)

    async def restart_cloud(self, outage_seconds: float = 0.0) -> None:
        """Cut all connections to the cloud and listen again later; its hosts go on running."""
        await _restart(self._cloud_listener, outage_seconds)

    async def _start_coordinator(self) -> None:
        self.admin_token = _new_secret()
        self.registration_token = _new_secret()
        options = CoordinatorOptions(registration_token=self.registration_token, admin_token=self.admin_token)
        self.coordinator = Coordinator(
            clock=_now, options=self._options.coordinator(options), rng=secrets.SystemRandom()
        )
        self.runner_token = self.coordinator.runners.add(description="sandbox").token
        sweeper = asyncio.create_task(keep_sweeping(self.coordinator), name="sandbox sweeper")
        self._stack.push_async_callback(_ended, sweeper)
        app = FaultInjector(
            create_coordinator_app(self.coordinator, self._options.files), self.coordinator_faults
        )
        self._coordinator_listener = await self._listen(app)

    async def _start_cloud(self) -> None:
        directory = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="paas-runner-sandbox-"))
        self.helpers = HelperBook(_now)
        program = host_program(self._options.inner_runner, self.helpers, other=self._options.other_program)
        self.cloud = Cloud(
            clock=_now, rng=secrets.SystemRandom(), program=program, options=self._options.cloud
        )
        self._stack.push_async_callback(self.cloud.aclose)
        self.cloud_token = _new_secret()
        self.organisation_id = self.cloud.add_organisation("Sandbox", self.cloud_token).id
        self.user_keys = OAuthKeys(
            consumer_key=secrets.token_urlsafe(24),
            consumer_secret=_new_secret(),
            token=_new_secret(),
            token_secret=_new_secret(),
        )
        self.cloud.accounts.add_user("Sandbox User", self.user_keys, self.organisation_id)
        remote = await GitRemote.open(self.cloud, Path(directory) / "git")
        self._stack.push_async_callback(remote.aclose)
        app = FaultInjector(clever.create_app(self.cloud, remote=remote), self.cloud_faults)
        self._cloud_listener = await self._listen(app)

    async def _listen(self, app: ASGIApp) -> Listener:
        listener = Listener(app)
        await listener.start()
        self._stack.push_async_callback(listener.stop)
        return listener


def host_program(
    inner_runner: JobProgram,
    book: HelperBook | None = None,
    manners: Callable[[HostFiles], Manners] = lambda _host: HONEST,
    other: HostProgram = _cannot_start,
) -> HostProgram:
    """A host's container: the inner runner, with the two files that its image would contain.

    Where a `book` is kept, an image that only says where to listen is that of the helper service; of any
    other image `other` is run.
    """

    async def run_job(host: HostFiles, runner_toml: str, job_json: str) -> int:
        program = inner_runner
        if isinstance(program, InnerRunner):
            program = attrs.evolve(program, environment=host.environment, say=host.say)
        return await program.run(runner_toml, job_json)

    async def run(host: HostFiles) -> int:
        if book is not None and _LISTENS in host.files.get("Dockerfile", b""):
            play = HelperPlay(
                runs=lambda host, job: run_job(host, job.config, job.specification),
                book=book,
                manners=manners,
            )
            return await play.run(host)
        try:
            runner_toml, job_json = (host.files[name].decode() for name in ("runner.toml", "job.json"))
        except (KeyError, UnicodeDecodeError):
            return await other(host)
        return await run_job(host, runner_toml, job_json)

    return run


async def _restart(listener: Listener, outage_seconds: float) -> None:
    await listener.stop()
    await asyncio.sleep(outage_seconds)
    await listener.start()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _new_secret() -> Secret:
    return Secret(secrets.token_hex(16))  # never like an option, as one that begins with a dash


def _now() -> datetime:
    return datetime.now(UTC)
