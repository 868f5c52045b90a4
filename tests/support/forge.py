"""A project on a real git server, and inner runners on this machine that run its jobs."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs

from paas_runner.inner.shell import ProcessShell
from paas_runner.pipelines.jobs import GitRepository, Project
from paas_runner.pipelines.spec import JobSpec
from tests.support.git_server import GitServer
from tests.support.hosts import RUNNER_TOML, Hosts, hosts
from tests.support.live_records import LiveJob


@attrs.frozen(kw_only=True)
class Forge:
    """A project on a git server, its coordinator, and hosts that run its jobs."""

    server: GitServer
    url: str
    sha: str
    world: Hosts
    builds: Path

    async def ran(
        self,
        spec: JobSpec,
        *,
        toml: str = "",
        change: dict[str, Any] | None = None,
        more: Callable[[dict[str, Any]], object] = lambda payload: None,
        keep: bool = False,
    ) -> LiveJob:
        """A job brought to its end; its token opens the server.

        `change` goes into its `git_info`, `more` is done to its payload.
        """
        job, job_json = self.world.handed_out(spec)
        self.server.allowed = {("gitlab-ci-token", job.token.reveal())}
        payload = json.loads(job_json)
        payload["git_info"].update(change or {})
        more(payload)
        shell = ProcessShell(builds_dir=str(self.builds) if keep else "")
        inner = self.world.inner(shell=lambda section: shell)
        await inner.run(RUNNER_TOML + toml, json.dumps(payload))
        return job


@contextlib.contextmanager
def forge_in(folder: Path) -> Iterator[Forge]:
    """Served from a folder, with a project of two commits."""
    root = folder / "served"
    root.mkdir()
    server = GitServer(root)
    server.commit("sandbox/project", {"first": "1"})
    sha = server.commit("sandbox/project", {"second": "2"})
    with server.running() as url:
        project = Project(repository=GitRepository(url=f"{url}/sandbox/project.git", sha=sha))
        yield Forge(server=server, url=url, sha=sha, world=hosts(project=project), builds=folder / "builds")
