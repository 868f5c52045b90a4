"""The demo's hosts on a Docker engine: `executor = "local-docker"`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial

import docker
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound

from paas_runner.demo.hosts import HostLedger, HostSeen, own_pipeline
from paas_runner.errors import RunnerError
from paas_runner.job.runner_token import short_token
from paas_runner.sandbox.server import Sandbox

IMAGE = "paas-runner-inner"
_RUNNER, _JOB = "paas-runner.runner", "paas-runner.job"  # the labels of local-docker

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


class Engine:
    """The engine that Docker's own programs would use."""

    expected: Mapping[str, str] = {
        "compile": "success",
        "unit tests": "success",
        "broken": "failed",
        "report": "success",
    }

    def __init__(self, client: DockerClient, sandbox: Sandbox, image: str) -> None:
        """Look at what belongs to the sandbox's runner, and at nothing else."""
        self._client = client
        self._sandbox = sandbox
        self._image = image
        self._label = f"{_RUNNER}={short_token(sandbox.runner_token.reveal())}"
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
        left = await asyncio.to_thread(lambda: [what for what, _ in self._found()])
        return HostLedger(created=list(self._seen.values()), left=left)

    def clear(self) -> None:
        """Remove all that has the runner's label: nobody will watch it any more."""
        for _, remove in list(self._found()):
            with contextlib.suppress(APIError):
                remove()

    def _found(self) -> Iterator[tuple[str, Callable[[], object]]]:
        """Each thing in words with what removes it, in the order in which that works."""
        api, filters = self._client.api, {"label": self._label}
        for found in api.containers(all=True, filters=filters):
            ref, name = found["Id"], found["Labels"].get(_JOB, "")
            if f"/{name}" in found["Names"]:
                self._seen.setdefault(ref, HostSeen(ref=ref[:12], name=name))
            yield (
                f"container {ref[:12]} ({name})",
                partial(api.remove_container, ref, v=True, force=True),
            )
        for found in api.networks(filters=filters):
            yield f"network {found['Name']}", partial(api.remove_network, found["Id"])
        for found in api.volumes(filters=filters)["Volumes"] or ():
            yield f"volume {found['Name']}", partial(api.remove_volume, found["Name"], force=True)
        for found in api.images(filters=filters):
            yield f"image {found['Id']}", partial(api.remove_image, found["Id"], force=True)


@contextlib.asynccontextmanager
async def engine(sandbox: Sandbox, image: str) -> AsyncIterator[Engine]:
    """The engine while hosts may be on it; raises `RunnerError` when there is none, or no image for hosts."""
    try:
        client = await asyncio.to_thread(docker.from_env, version="auto")
    except DockerException as error:
        raise RunnerError(f"there is no Docker engine ($DOCKER_HOST, standard socket): {error}") from error
    with contextlib.closing(client):
        try:
            await asyncio.to_thread(client.images.get, image)
        except ImageNotFound:
            remedy = "build it with packaging/images/build, or name another (--image)"
            raise RunnerError(f"the engine has no image {image}: {remedy}") from None
        place = Engine(client, sandbox, image)
        try:
            yield place
        finally:
            await asyncio.to_thread(place.clear)
