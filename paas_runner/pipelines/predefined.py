"""The variables that a coordinator adds to every job (spec gitlab-runner-api.md §7.3)."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from urllib.parse import urlsplit

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import Job, Project
from paas_runner.pipelines.spec import JobSpec
from paas_runner.secret import Secret

BRANCH = "main"
SERVER_NAME = "PaaS Runner sandbox"
SERVER_VERSION = (18, 0, 0)
"""Of GitLab: the one whose words this coordinator speaks."""

COMMIT_TITLE = "A commit of the sandbox"
USER_NAME, USER_EMAIL = "Sandbox User", "sandbox@example.org"
_PORTS = {"http": 80, "https": 443}


_LATER = re.compile(r"CI_(JOB_(ID|URL|TOKEN|STARTED_AT|TAGS)|PIPELINE_(ID|URL)|RUNNER_.*|REPOSITORY_URL)")
"""What is not known yet when a pipeline is made, so that its rules cannot ask for it."""

_MADE_UP = datetime(2026, 1, 1, tzinfo=UTC)


def before_the_start(
    project: Project | None = None, url: str = "http://127.0.0.1", *, name: str = "", stage: str = ""
) -> dict[str, str]:
    """What the rules of a job may ask for: of what is not known yet, only that it is set counts."""
    job = Job(
        job_id=0,
        pipeline_id=0,
        project=project or Project(),
        spec=JobSpec(name=name, stage=stage),
        token=Secret(""),
        created_at=_MADE_UP,
    )
    return {found.key: found.value for found in predefined(job, url) if not _LATER.fullmatch(found.key)}


def predefined(job: Job, url: str) -> Iterator[Variable]:
    """All of them, with the coordinator at `url`; docs/sandbox.md has the list."""
    for key, value in {**_server(url), **_project(job, url), **_pipeline(job, url), **_job(job, url)}.items():
        yield Variable(key=key, value=value, public=True)
    token = job.token.reveal()
    yield Variable(key="CI_JOB_TOKEN", value=token, masked=True)
    yield Variable(key="CI_REPOSITORY_URL", value=repository_url(job, url))


def repository_url(job: Job, url: str) -> str:
    """Where the sources are or, without a real repository, would be; credentials included."""
    repository = job.project.repository
    scheme, _, rest = (repository.url if repository else f"{url}/{job.project.full_path}.git").partition(
        "://"
    )
    return f"{scheme}://gitlab-ci-token:{job.token.reveal()}@{rest}"


def commit_sha(job: Job) -> str:
    """The repository's commit or, without a real one, a made-up one: the same for all jobs of a pipeline."""
    if job.project.repository:
        return job.project.repository.sha
    return hashlib.sha256(f"pipeline {job.pipeline_id}".encode()).hexdigest()[:40]


def _server(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 0)
    major, minor, patch = SERVER_VERSION
    return {
        "CI": "true",
        "GITLAB_CI": "true",
        "CI_SERVER_URL": url,
        "CI_SERVER_PROTOCOL": parts.scheme,
        "CI_SERVER_HOST": parts.hostname or "",
        "CI_SERVER_PORT": str(port),
        "CI_SERVER_FQDN": parts.netloc.rpartition("@")[2],
        "CI_SERVER_NAME": SERVER_NAME,
        "CI_SERVER_VERSION": f"{major}.{minor}.{patch}",
        "CI_SERVER_VERSION_MAJOR": str(major),
        "CI_SERVER_VERSION_MINOR": str(minor),
        "CI_SERVER_VERSION_PATCH": str(patch),
        "CI_SERVER_REVISION": "",
        "CI_API_V4_URL": f"{url}/api/v4",
        "CI_API_GRAPHQL_URL": f"{url}/api/graphql",
    }


def _project(job: Job, url: str) -> dict[str, str]:
    project = job.project
    return {
        "CI_PROJECT_ID": str(project.project_id),
        "CI_PROJECT_NAME": project.name,
        "CI_PROJECT_TITLE": project.name,
        "CI_PROJECT_PATH": project.full_path,
        "CI_PROJECT_PATH_SLUG": _slug(project.full_path),
        "CI_PROJECT_NAMESPACE": project.namespace,
        "CI_PROJECT_NAMESPACE_ID": str(project.project_id + 1000),
        "CI_PROJECT_NAMESPACE_SLUG": _slug(project.namespace),
        "CI_PROJECT_ROOT_NAMESPACE": project.root_namespace,
        "CI_PROJECT_URL": f"{url}/{project.full_path}",
        "CI_PROJECT_VISIBILITY": "private",
        "CI_DEFAULT_BRANCH": BRANCH,
        "CI_CONFIG_PATH": ".gitlab-ci.yml",
    }


def _pipeline(job: Job, url: str) -> dict[str, str]:
    sha = commit_sha(job)
    return {
        "CI_PIPELINE_ID": str(job.pipeline_id),
        "CI_PIPELINE_IID": str(job.pipeline_id),
        "CI_PIPELINE_SOURCE": "push",
        "CI_PIPELINE_CREATED_AT": _utc(job.created_at),
        "CI_PIPELINE_URL": f"{url}/{job.project.full_path}/-/pipelines/{job.pipeline_id}",
        "CI_COMMIT_SHA": sha,
        "CI_COMMIT_SHORT_SHA": sha[:8],
        "CI_COMMIT_BEFORE_SHA": "0" * 40,
        "CI_COMMIT_REF_NAME": BRANCH,
        "CI_COMMIT_REF_SLUG": BRANCH,
        "CI_COMMIT_BRANCH": BRANCH,
        "CI_COMMIT_REF_PROTECTED": "true",
        "CI_COMMIT_TITLE": COMMIT_TITLE,
        "CI_COMMIT_MESSAGE": COMMIT_TITLE,
        "CI_COMMIT_DESCRIPTION": "",
        "CI_COMMIT_AUTHOR": f"{USER_NAME} <{USER_EMAIL}>",
        "CI_COMMIT_TIMESTAMP": _utc(job.created_at),
        "GITLAB_USER_ID": "1",
        "GITLAB_USER_LOGIN": "sandbox",
        "GITLAB_USER_NAME": USER_NAME,
        "GITLAB_USER_EMAIL": USER_EMAIL,
    }


def _job(job: Job, url: str) -> dict[str, str]:
    variables = {
        "CI_JOB_ID": str(job.job_id),
        "CI_JOB_NAME": job.spec.name,
        "CI_JOB_NAME_SLUG": _slug(job.spec.name),
        "CI_JOB_STAGE": job.spec.stage,
        "CI_JOB_URL": f"{url}/{job.project.full_path}/-/jobs/{job.job_id}",
        "CI_JOB_STARTED_AT": _utc(job.started_at),
        "CI_JOB_TAGS": _texts(job.spec.tags),
    }
    if not any(variable.key == "CI_NODE_TOTAL" for variable in job.spec.variables):
        variables["CI_NODE_TOTAL"] = "1"
    if job.runner is not None:
        variables["CI_RUNNER_ID"] = str(job.runner.runner_id)
        variables["CI_RUNNER_DESCRIPTION"] = job.runner.description
        variables["CI_RUNNER_TAGS"] = _texts(job.runner.tags)
    return variables


def _texts(tags: Sequence[str]) -> str:
    """As GitLab has them since 19.3: a JSON array."""
    return json.dumps(tags, ensure_ascii=False)


def _utc(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""


def _slug(path: str) -> str:
    return re.sub(r"[^a-z0-9]", "-", path.lower())[:63].strip("-")
