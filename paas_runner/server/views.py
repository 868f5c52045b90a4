"""Jobs as JSON: as GitLab's API shows them, and with the sandbox's ledger."""

from datetime import datetime
from typing import Any

from paas_runner.pipelines.jobs import Job
from paas_runner.pipelines.predefined import BRANCH, commit_sha


def job_json(job: Job, url: str) -> dict[str, Any]:
    """A job in the words of spec gitlab-runner-api.md §5."""
    project_url = f"{url}/{job.project.full_path}"
    return {
        "id": job.job_id,
        "status": job.status,
        "stage": job.spec.stage,
        "name": job.spec.name,
        "ref": BRANCH,
        "tag": False,
        "allow_failure": job.spec.allow_failure,
        "created_at": _text(job.created_at),
        "started_at": _text(job.started_at),
        "finished_at": _text(job.finished_at),
        "failure_reason": job.failure_reason,
        "tag_list": list(job.spec.tags),
        "web_url": f"{project_url}/-/jobs/{job.job_id}",
        "pipeline": {
            "id": job.pipeline_id,
            "project_id": job.project.project_id,
            "sha": commit_sha(job),
            "ref": BRANCH,
            "web_url": f"{project_url}/-/pipelines/{job.pipeline_id}",
        },
        "runner": _runner(job),
        "artifacts": [
            {
                "file_type": artifact.kind,
                "file_format": artifact.form,
                "filename": artifact.filename,
                "size": len(artifact.content),
            }
            for artifact in job.artifacts.values()
        ],
    }


def ledger_json(job: Job) -> dict[str, Any]:
    """A job with everything that happened to it."""
    return {
        "id": job.job_id,
        "name": job.spec.name,
        "stage": job.spec.stage,
        "pipeline": job.pipeline_id,
        "project": job.project.full_path,
        "status": job.status,
        "failure_reason": job.failure_reason,
        "exit_code": job.exit_code,
        "retry_of": job.retry_of,
        "retried_as": job.retried_as,
        "trace_bytes": job.trace_bytes,
        "events": [
            {"at": entry.at.isoformat(), "what": entry.kind, "detail": entry.detail} for entry in job.events
        ],
    }


def _runner(job: Job) -> dict[str, Any] | None:
    if job.runner is None:
        return None
    return {"id": job.runner.runner_id, "description": job.runner.description, "active": True}


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
