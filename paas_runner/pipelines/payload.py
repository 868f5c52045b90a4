"""The body of a 201: one job in the words of spec gitlab-runner-api.md §2.6."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from paas_runner.job.variables import Variable
from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.options import CoordinatorOptions
from paas_runner.pipelines.predefined import BRANCH, commit_sha, predefined, repository_url
from paas_runner.pipelines.reports import FAILURE_REASONS, Dependency
from paas_runner.pipelines.spec import ImageSpec, ServiceSpec, Sources

_COMMIT = re.compile(r"[0-9a-f]{40}")


def job_payload(
    job: Job,
    *,
    url: str,
    options: CoordinatorOptions,
    dependencies: Sequence[Dependency] = (),
    root_namespace_id: int | None = None,
    entrusted: Sequence[Variable] = (),
    sources_url: str = "",
) -> dict[str, Any]:
    """What a runner is given for a job it has acquired; `url` is the coordinator as the runner sees it.

    `sources_url` is that of its own sources with credentials, if they need any.
    """
    timeout = timeout_seconds(job, options)
    payload = {
        "id": job.job_id,
        "token": job.token.reveal(),
        "allow_git_fetch": True,
        "job_info": _job_info(job) | (_place(job, root_namespace_id) if options.tells_namespaces else {}),
        "git_info": _sources(job.spec.sources, sources_url) if job.spec.sources else _git_info(job, url),
        "runner_info": {"timeout": timeout, "runner_session_url": None},
        "inputs": [],
        "variables": [
            _variable(variable)
            for variable in (*predefined(job, url), *job.spec.variables, *entrusted, *options.variables)
        ],
        "steps": _steps(job, timeout),
        "hooks": [],
        "image": _image(job.spec.image),
        "services": [_service(service) for service in job.spec.services],
        "artifacts": list(job.spec.artifacts.payload()) or None,
        "cache": [cache.payload() for cache in job.spec.caches],
        "credentials": [],
        "dependencies": [_dependency(dependency) for dependency in dependencies],
        "features": {
            "trace_sections": True,
            "token_mask_prefixes": ["glpat-"],
            "failure_reasons": list(FAILURE_REASONS),
        },
        "secrets": {},
    }
    if job.spec.program is not None:  # ours alone: no GitLab says so
        environment = {name: value.reveal() for name, value in job.spec.program.items()}
        payload["program"] = {"environment": environment}
    return payload


def timeout_seconds(job: Job, options: CoordinatorOptions) -> int:
    """The effective limit: the job's or the project's, and never more than the runner's."""
    limit = job.spec.timeout or options.default_timeout
    if job.runner is not None and job.runner.maximum_timeout is not None:
        limit = min(limit, job.runner.maximum_timeout)
    return round(limit.total_seconds())


def _job_info(job: Job) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "name": job.spec.name,
        "stage": job.spec.stage,
        "pipeline_id": job.pipeline_id,
        "project_id": job.project.project_id,
        "project_name": job.project.name,
        "user_id": 1,
        "time_in_queue_seconds": _seconds_between(job.queued_at, job.started_at),
        "project_jobs_running_on_instance_runners_count": "0",
    }


def _place(job: Job, root_namespace_id: int | None) -> dict[str, Any]:
    return {
        "project_full_path": job.project.full_path,
        "namespace_id": job.project.project_id + 1000,
        "root_namespace_id": root_namespace_id,
    }


def _git_info(job: Job, url: str) -> dict[str, Any]:
    pipeline = f"refs/pipelines/{job.pipeline_id}"
    refspecs = [f"+refs/heads/{BRANCH}:refs/remotes/origin/{BRANCH}"]
    if job.project.repository is None:  # a plain repository has no references for pipelines
        refspecs.insert(0, f"+{pipeline}:{pipeline}")
    return {
        "repo_url": repository_url(job, url) if job.project.repository else None,
        "repo_type": "git",
        "ref": BRANCH,
        "ref_type": "branch",
        "sha": commit_sha(job),
        "before_sha": "0" * 40,
        "refspecs": refspecs,
        "depth": 20,
        "repo_object_format": "sha1",
        "protected": True,
    }


def _sources(sources: Sources, url: str) -> dict[str, Any]:
    """Nobody has looked which commit a branch is at: it is the one that the runner fetches."""
    return {
        "repo_url": url or sources.url,
        "repo_type": "git",
        "ref": sources.ref,
        "ref_type": "branch",
        "sha": sources.ref if _COMMIT.fullmatch(sources.ref) else "FETCH_HEAD",
        "before_sha": "0" * 40,
        "refspecs": [f"+{sources.ref}:refs/pipelines/checkout"],
        "depth": sources.depth,
        "repo_object_format": "sha1",
        "protected": True,
    }


def _variable(variable: Variable) -> dict[str, Any]:
    """`file` and `raw` are left out when false."""
    entry: dict[str, Any] = {
        "key": variable.key,
        "value": variable.value,
        "public": variable.public,
        "masked": variable.masked,
    }
    if variable.file:
        entry["file"] = True
    if variable.raw:
        entry["raw"] = True
    return entry


def _steps(job: Job, timeout: int) -> list[dict[str, Any]]:
    spec = job.spec
    steps = [_step("script", (*spec.before_script, *spec.script), timeout, "on_success", allow_failure=False)]
    if spec.after_script:
        steps.append(_step("after_script", spec.after_script, timeout, "always", allow_failure=True))
    return steps


def _step(
    name: str, script: Sequence[str], timeout: int, when: str, *, allow_failure: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "script": list(script),
        "timeout": timeout,
        "when": when,
        "allow_failure": allow_failure,
    }


def _image(image: ImageSpec | None) -> Mapping[str, Any] | None:
    if image is None:
        return None
    return {
        "name": image.name,
        "alias": None,
        "entrypoint": image.entrypoint,
        "command": None,
        "ports": [],
        "pull_policy": image.pull_policy,
        "executor_opts": {},
    }


def _service(service: ServiceSpec) -> Mapping[str, Any]:
    return {
        "name": service.name,
        "alias": service.alias,
        "entrypoint": service.entrypoint,
        "command": service.command,
        "variables": [_variable(variable) for variable in service.variables],
        "ports": [],
        "pull_policy": service.pull_policy,
        "executor_opts": {},
    }


def _dependency(dependency: Dependency) -> dict[str, Any]:
    """`artifacts_file` is left out when there are none."""
    entry: dict[str, Any] = {
        "id": dependency.job_id,
        "name": dependency.name,
        "token": dependency.token.reveal(),
    }
    if dependency.archive is not None:
        archive = dependency.archive
        entry["artifacts_file"] = {"filename": archive.filename, "size": archive.size}
    return entry


def _seconds_between(start: datetime | None, end: datetime | None) -> float:
    return (end - start).total_seconds() if start and end else 0.0
