"""A sandbox that stays until a signal, and what is printed of it: how it is reached."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from paas_runner.inner import InnerRunner
from paas_runner.pipelines.repository_files import RepositoryFolder
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.kubernetes import KubernetesServer, LocalRuntime, inner_runner, own_command
from paas_runner.sandbox.server import Sandbox, SandboxOptions

_SLOW = CloudOptions(
    repository_delay=timedelta(seconds=3),
    deployment_delay=timedelta(seconds=2),
    boot_delay=timedelta(seconds=20),
    build_delay=timedelta(seconds=10),
    deletion_delay=timedelta(seconds=10),
)


async def serve(config: Path, files: Path, kubeconfig: Path | None = None, *, slow: bool) -> None:
    """Until SIGINT or SIGTERM; `files` is the folder out of which pipelines include files.

    With `kubeconfig`, a file to be written, there is a Kubernetes, too. Raises `OSError` for files that
    cannot be written, `RunnerError` where something cannot be started.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    cloud = _SLOW if slow else CloudOptions()
    async with contextlib.AsyncExitStack() as stack:
        options = SandboxOptions(cloud=cloud, files=RepositoryFolder(files))
        sandbox = await stack.enter_async_context(Sandbox(options))
        if kubeconfig is not None:
            cluster = await stack.enter_async_context(_cluster())
            stack.enter_context(_private_file(kubeconfig, cluster.kubeconfig()))
            print(f"export KUBECONFIG={kubeconfig}")
        with _private_file(config, sandbox.configuration):
            print(f"COORDINATOR={sandbox.coordinator_url}")
            print(f"ADMIN={sandbox.admin_token.reveal()}")
            print(f"CLOUD={sandbox.cloud_api_url}")
            print(f"ORGANISATION={sandbox.organisation_id}")
            for name, value in registration_environment(sandbox).items():
                print(f"export {name}={value}")
            for name, value in sandbox.clever_environment.items():
                print(f"export {name}={value}")
            print(f"\n# {config}\n{sandbox.configuration}")
            print("Ready; Ctrl-C ends it.", flush=True)
            await stop.wait()


def registration_environment(sandbox: Sandbox) -> dict[str, str]:
    """What `paas-runner register` takes out of the environment; of secrets that is better than arguments."""
    return {
        "CI_SERVER_URL": sandbox.coordinator_url,
        "REGISTRATION_TOKEN": sandbox.registration_token.reveal(),
        "CC_ORGA_ID": sandbox.organisation_id,
        "CC_TOKEN": sandbox.cloud_token.reveal(),
    }


def _cluster() -> KubernetesServer:
    """Its pods run on this machine: jobs by the inner runner, all other images by the pod's own command."""
    inner = inner_runner(InnerRunner(clock=lambda: datetime.now(UTC)))
    return KubernetesServer(LocalRuntime({"paas-runner-inner": inner}, own_command), tls=True)


@contextlib.contextmanager
def _private_file(path: Path, text: str) -> Iterator[None]:
    """A new file that only its owner can read, for as long as the block lasts."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
