"""What tests of cache and artifacts need: a job's folder, the log it leaves, and pipelines that are run."""

import json
from pathlib import Path
from typing import Any

import attrs
import httpx

from paas_runner.inner.job import Job, Workspace, read_job
from paas_runner.inner.settings import read_section
from paas_runner.inner.trace import Narrator
from paas_runner.job.payload import read
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.jobs import Project
from paas_runner.pipelines.payload import job_payload
from tests.support.hosts import GRACEFUL, RUNNER_TOML, URL, Hosts, now
from tests.support.live_records import LiveJob


@attrs.define
class Log:
    """A trace, without its colours."""

    content: bytearray = attrs.field(factory=bytearray)

    @property
    def narrator(self) -> Narrator:
        return Narrator(write=self.content.extend, clock=now, with_sections=False)

    @property
    def lines(self) -> list[str]:
        return [plain(line) for line in self.content.decode().splitlines()]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def plain(line: str) -> str:
    for colour in ("\x1b[36;1m", "\x1b[32;1m", "\x1b[31;1m", "\x1b[0;33m", "\x1b[0;m", "\x1b[0K"):
        line = line.replace(colour, "")
    return line


def written(folder: Path, files: dict[str, str]) -> Path:
    """A folder with these files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


def job_in(folder: Path, toml: str = RUNNER_TOML, **payload: Any) -> Job:
    """A job as the inner runner sees it, in a folder of its own."""
    folder.mkdir(exist_ok=True)
    raw = {
        "id": 7,
        "token": "job-token",
        "job_info": {"name": "j", "project_id": 12, "project_full_path": "grp/app"},
        "variables": [{"key": "CI_COMMIT_REF_NAME", "value": "main"}, {"key": "OS", "value": "linux"}],
        **payload,
    }
    return read_job(read(raw), read_section(toml), Workspace(builds=folder.parent, project=folder))


async def ran(
    world: Hosts, text: str, toml: str = RUNNER_TOML, project: Project | None = None, **settings: Any
) -> dict[str, LiveJob]:
    """The jobs of a pipeline that inner runners have brought to their ends, one after another."""
    coordinator = world.coordinator
    submitted = coordinator.submit(load_pipeline(text), project)
    while (job := coordinator.acquire(world.runner.runner_id, features=GRACEFUL)) is not None:
        payload = job_payload(
            job, url=URL, options=coordinator.options, dependencies=coordinator.dependencies(job)
        )
        await world.inner(**settings).run(toml, json.dumps(payload))
    return {
        name: LiveJob(coordinator, coordinator.latest(job_id).job_id)
        for name, job_id in submitted.jobs.items()
    }


def log_of(job: LiveJob) -> str:
    return "\n".join(plain(line) for line in job.trace.decode().splitlines())


def client(transport: httpx.AsyncBaseTransport | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=URL, transport=transport, trust_env=False)
