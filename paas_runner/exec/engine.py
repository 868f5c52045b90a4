"""Where jobs run: in containers of this machine's Docker engine, or in its shell."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from paas_runner.errors import RemoteError, UsageError
from paas_runner.exec.choice import Wanted
from paas_runner.pipelines.spec import ImageSpec

if TYPE_CHECKING:
    from paas_runner.docker.engine import Client, Engine

_SECONDS = 10


def placed(wanted: Wanted, image: str | None, *, shell: bool, docker: bool) -> tuple[Wanted, list[str]]:
    """Each job with its image where it runs in a container, without where it does not, and warnings of that.

    `image` is for jobs that name none. Raises `UsageError` where `docker` is a must.
    """
    usual = ImageSpec(name=image) if image else None
    own = [spec.image if spec.image and spec.image.name else usual for spec in wanted.pipeline.jobs]
    specs = [attrs.evolve(spec, image=each) for spec, each in zip(wanted.pipeline.jobs, own, strict=True)]
    trouble = "" if shell or not any(spec.image for spec in specs) else _trouble()
    if docker and (trouble or not all(spec.image for spec in specs)):
        raise UsageError(f"--docker: {trouble or 'the job names no image, --image gives it one'}")
    text = "job `{}` runs in this machine's shell, not in {}: {}"
    told = [text.format(spec.name, spec.image.name, trouble) for spec in specs if spec.image and trouble]
    text = "job `{}` runs in this machine's shell, its services are not started"
    told += [text.format(spec.name) for spec in specs if spec.services and (shell or trouble)]
    if shell or trouble:
        specs = [attrs.evolve(spec, image=None) for spec in specs]
    return attrs.evolve(wanted, pipeline=attrs.evolve(wanted.pipeline, jobs=tuple(specs))), told


def give_back(folder: Path, image: str) -> None:
    """Make files ours that root has made there in a container of that image; raises `RemoteError`."""

    def run(client: "Client") -> None:
        made = client.create_container(
            image,
            entrypoint=["chown"],
            command=["-R", f"{os.getuid()}:{os.getgid()}", str(folder)],
            user="0",
            network_disabled=True,
            host_config=client.create_host_config(binds=[f"{folder}:{folder}"], auto_remove=True),
        )
        client.start(made["Id"])
        client.wait(made["Id"])

    _engine().call_here("give files back", run)


def _trouble() -> str:
    """Why there is no engine; empty when one answers."""
    try:
        _engine().call_here("reach the Docker engine", lambda client: client.ping())
    except RemoteError as error:
        return str(error)
    return ""


def _engine() -> "Engine":
    from paas_runner.docker.engine import Engine, address_from

    return Engine(address_from(os.environ), seconds=_SECONDS)
