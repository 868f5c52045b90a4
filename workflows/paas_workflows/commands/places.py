"""Where containers run, by the word that --executor has for it."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from paas_runner.container import Place
from paas_runner.errors import Exit, RemoteError, RunnerError, UsageError
from paas_workflows.store.records import Given

DOCKER, KUBERNETES, RUNNER = "docker", "k8s", "runner"


@asynccontextmanager
async def place_of(executor: str, given: Given, folder: Path) -> AsyncIterator[Place]:
    """Raises `UsageError` where it does not answer, or cannot do what is wanted; `folder` is for records."""
    async with AsyncExitStack() as stack:
        try:
            _check(executor, given.volumes)
            if executor == DOCKER:
                yield await _docker(stack)
            elif executor == KUBERNETES:
                yield await _kubernetes(stack)
            else:
                yield await _runner(stack, given, folder)
        except RemoteError as error:
            raise UsageError(str(error)) from error
        except RunnerError as error:
            if error.exit_code is Exit.CONFIG:  # kubectl's files, those of --runners
                raise UsageError(f"--executor {executor}: {error}") from error
            raise


def _check(executor: str, volumes: Sequence[str]) -> None:
    from paas_runner.docker.volumes import parsed_volumes

    if volumes and executor != DOCKER:
        raise UsageError(f"--volume is not for --executor {executor}: there are no volumes")
    try:
        parsed_volumes(volumes)
    except ValueError as error:
        raise UsageError(f"--volume: {error}") from None


async def _docker(stack: AsyncExitStack) -> Place:
    from paas_runner.docker.engine import UNBOUNDED, Engine, address_from
    from paas_runner.docker.place import DockerPlace

    engine = Engine(address_from(os.environ), calls_at_once=UNBOUNDED)
    stack.push_async_callback(engine.aclose)
    await engine.call("ping", lambda client: client.ping())
    return DockerPlace(engine)


async def _kubernetes(stack: AsyncExitStack) -> Place:
    from paas_runner.http import Http
    from paas_runner.kubernetes.api import Cluster, Kind
    from paas_runner.kubernetes.config import load
    from paas_runner.kubernetes.place import KubernetesPlace

    cluster = Cluster(load(os.environ), Http())
    stack.push_async_callback(cluster.aclose)
    await cluster.found(Kind.JOB, "workflow")
    return KubernetesPlace(cluster)


async def _runner(stack: AsyncExitStack, given: Given, folder: Path) -> Place:
    if not given.runner.get("runners"):
        raise UsageError(
            '--executor runner needs --runners FILE: a config.toml whose sections have url = "local:"'
        )
    try:
        from paas_workflows.commands.runners import place_of_jobs
    except ImportError:
        raise UsageError("--executor runner needs paas-pipelines: pip install ./pipelines") from None
    return await stack.enter_async_context(place_of_jobs(given.runner, folder / "runner"))
