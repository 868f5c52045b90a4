"""The demo's hosts on a Docker engine: `executor = "local-docker"`."""

import contextlib
import os
from collections.abc import AsyncIterator, Mapping

from paas_runner.demo.hosts import HostLedger, HostSeen, own_pipeline
from paas_runner.docker.engine import Client, Engine, address_from
from paas_runner.docker.errors import AbsentError
from paas_runner.docker.labels import JOB, RUNNER, Kind, labeled, remove_all
from paas_runner.errors import RemoteError, RunnerError
from paas_runner.job.known_runner import short_token
from paas_runner.sandbox.server import Sandbox

IMAGE = "paas-runner-inner"
_REMOVAL_ROUNDS = 5

_CONFIGURATION = """\
log_format = "json"
concurrent = 4
check_interval = 0.5
job_progress_poll_interval = 1

[[runners]]
  name = "demo"
  url = "{url}"
  token = "{token}"
  executor = "local-docker"
  docker_network = "host"  # the coordinator listens on loopback
  heptapod_runner_main_image = "{image}"

  [runners.docker]
    image = "{image}"
    pull_policy = "if-not-present"

  [runners.paas_job_trace_watch]
    poll_step = 0.3
"""


class EngineHosts:
    """The hosts on the engine that Docker's own programs would use."""

    expected: Mapping[str, str] = {
        "compile": "success",
        "unit tests": "success",
        "broken": "failed",
        "report": "success",
    }

    def __init__(self, engine: Engine, sandbox: Sandbox, image: str) -> None:
        """Look at what belongs to the sandbox's runner, and at nothing else."""
        self._engine = engine
        self._sandbox = sandbox
        self._image = image
        self._labels = {RUNNER: short_token(sandbox.runner_token.reveal())}
        self._seen: dict[str, HostSeen] = {}

    def description(self) -> str:
        """Nothing secret: an engine elsewhere would be of no use here."""
        return "hosts on this machine's Docker engine"

    def pipeline(self) -> str:
        """Four jobs: images, a service, artifacts."""
        return own_pipeline("pipeline-local-docker.yml").replace(IMAGE, self._image)

    def configuration(self) -> str:
        """One runner whose jobs have images: the host's own, so that nothing is downloaded."""
        return _CONFIGURATION.format(
            url=self._sandbox.coordinator_url,
            token=self._sandbox.runner_token.reveal(),
            image=self._image,
        )

    async def ledger(self) -> HostLedger:
        """What has the runner's label: hosts are remembered, and whatever else there is counts as left."""
        found = await self._engine.call("list hosts", lambda client: labeled(client, self._labels))
        left = []
        for each in found:
            host_name = each.labels.get(JOB, "")
            if each.kind is Kind.CONTAINER and each.name == host_name:
                self._seen.setdefault(each.ref, HostSeen(ref=each.ref[:12], name=host_name))
            left.append(f"{each} ({host_name})" if each.kind is Kind.CONTAINER else str(each))
        return HostLedger(created=list(self._seen.values()), left=left)

    async def clear(self) -> None:
        """Remove all that has the runner's label: no one will watch it any more."""
        await self._engine.shielded_call(
            "remove the hosts", lambda client: remove_all(client, self._labels, rounds=_REMOVAL_ROUNDS)
        )


@contextlib.asynccontextmanager
async def engine(sandbox: Sandbox, image: str) -> AsyncIterator[EngineHosts]:
    """The engine while hosts may be on it; raises `RunnerError` when there is none, or no image for hosts."""
    async with contextlib.aclosing(Engine(address_from(os.environ))) as found:
        try:
            await found.call("reach it", Client.ping)
        except RemoteError as error:
            text = f"there is no Docker engine ($DOCKER_HOST, standard socket): {error.text}"
            raise RunnerError(text) from error
        try:
            await found.call("look for the image of hosts", lambda client: client.inspect_image(image))
        except AbsentError:
            remedy = "build it with packaging/images/build, or name another (--image)"
            raise RunnerError(f"the engine has no image {image}: {remedy}") from None
        place = EngineHosts(found, sandbox, image)
        try:
            yield place
        finally:
            await place.clear()
