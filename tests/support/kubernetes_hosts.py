"""Hosts of the executor `kubernetes` on the sandbox's cluster: real pods' commands, a played inner runner."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs

from executors.kubernetes import Kubernetes
from executors.kubernetes.executor import KubernetesExecutor
from executors.kubernetes.settings import KubernetesSettings
from paas_runner.conformance import host_request
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.http import Http
from paas_runner.sandbox.kubernetes import (
    JOBS,
    PODS,
    ClusterOptions,
    Container,
    KubernetesServer,
    LocalRuntime,
    own_command,
)

RUNNER = "abc123xyz"
IMAGE = "paas-runner-inner"
_INNER = r"""#!/bin/sh
[ "$1" = exec-fetched-job ] && [ -s "$3" ] || exit 78
told() { sed -n "s/.*\"key\":\"$1\",\"value\":\"\([^\"]*\)\".*/\1/p" "$2"; }
id=$(sed -n 's/^{"id":\([0-9]*\),.*/\1/p' "$4")
echo "$id $POD_UID" >> @NOTES@
echo "the inner runner has job $id"
code=$(told CODE "$4")
if [ "$code" ]; then
  told SAYS "$4"
  exit "$code"
fi
trap 'exit 143' TERM
sleep 1000 &
wait
"""


class Hosts:
    """A cluster, and what ran in it."""

    def __init__(self, server: KubernetesServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.notes = folder / "notes"

    @property
    def cluster(self):
        return self.server.cluster

    def executor(self, installation: str = "installation-1", **settings) -> KubernetesExecutor:
        section = RunnerSection(
            name="k8s",
            url="https://gitlab.example",
            short_token=settings.pop("short_token", RUNNER),
            forwarded={},
            installation=installation,
        )
        file = self.folder / "kubeconfig"
        if not file.exists():
            self.server.write_kubeconfig(file)
        found = KubernetesSettings(kubeconfig=file, heptapod_runner_main_image=IMAGE, **settings)
        return Kubernetes(environ={}).build(found, section, Http(rng=random.Random(2)))

    def request(self, job_id: int, **variables: str) -> HostRequest:
        return host_request(RUNNER, job_id, variables)

    def jobs(self):
        return self.cluster.objects(JOBS)

    def pods(self):
        return self.cluster.objects(PODS)

    def begun(self) -> list[int]:
        """The ids of jobs, each as often as it was begun."""
        return (
            [int(line.split()[0]) for line in self.notes.read_text().splitlines()]
            if self.notes.exists()
            else []
        )


@asynccontextmanager
async def cluster_with_hosts(folder: Path, options: ClusterOptions | None = None) -> AsyncIterator[Hosts]:
    """Each pod's own command is run, with a played inner runner for the image's own."""
    inner = folder / "gitlab-runner"
    inner.write_text(_INNER.replace("@NOTES@", str(folder / "notes")))
    inner.chmod(0o755)

    async def run(container: Container) -> int:
        command = [word.replace("/usr/bin/gitlab-runner", str(inner)) for word in container.command]
        return await own_command(attrs.evolve(container, command=command))

    async with KubernetesServer(LocalRuntime({IMAGE: run}), options) as server:
        yield Hosts(server, folder)
