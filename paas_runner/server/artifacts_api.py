"""The routes by which artifacts come and go (spec gitlab-runner-api.md §6.1, §6.2)."""

import re
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from paas_runner.pipelines.coordinator import Coordinator
from paas_runner.pipelines.gitlab_ci.durations import NEVER, duration
from paas_runner.pipelines.reports import Artifact
from paas_runner.pipelines.runners import same
from paas_runner.pipelines.spec import ARCHIVE
from paas_runner.server.job_api import authenticated_job
from paas_runner.server.wire import Refused, bounded_body, forbidden, not_found, too_large, unauthorized

_MOST_FORM_BYTES = 4096
"""What a form may have beside the file."""

_BOUNDARY = re.compile(r'multipart/form-data;.*boundary="?([^";]{1,70})"?', re.IGNORECASE)
_FILENAME = re.compile(rb'filename="([^"\r\n]*)"', re.IGNORECASE)


class ArtifactsApi:
    """What a runner calls around the scripts."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def routes(self) -> list[Route]:
        path = "/api/v4/jobs/{job_id:id}/artifacts"
        return [Route(path, self.upload, methods=["POST"]), Route(path, self.download, methods=["GET"])]

    async def upload(self, request: Request) -> Response:
        """A file of a running job: 201, 400, 403, 404, 413."""
        job = authenticated_job(self._coordinator, request, request.query_params)
        if not job.active:
            raise forbidden("Job is not processing on runner")
        most = self._coordinator.options.most_artifact_bytes
        body = await bounded_body(request, most + _MOST_FORM_BYTES)
        found = _uploaded_file(body, request.headers.get("content-type", ""))
        if found is None:
            raise Refused(400, "400 Bad request - a form with one file was expected")
        filename, content = found
        if len(content) > most:
            raise too_large()
        query = request.query_params
        artifact = Artifact.of(
            content,
            filename=filename,
            kind=query.get("artifact_type") or ARCHIVE,
            form=query.get("artifact_format") or "zip",
            expires_at=self._coordinator.moment_in(_lifetime(query.get("expire_in", ""))),
        )
        if why := self._coordinator.options.artifact_refusal(artifact):
            raise Refused(400, f"400 Bad request - {why}")
        if not self._coordinator.store_artifact(job.job_id, artifact):
            raise Refused(400, "400 Bad request - another artifact of this type was already uploaded")
        return JSONResponse(201, 201)

    async def download(self, request: Request) -> Response:
        """A job's archive, for its own token or that of a running job of the project: 200, 401, 403, 404."""
        token = request.headers.get("job-token") or request.query_params.get("job_token") or ""
        reader = self._coordinator.job_of(token)
        if reader is None:
            raise unauthorized()
        job = self._coordinator.jobs.get(request.path_params["job_id"])
        if job is None:
            raise not_found("Job")
        if not same(job.token, token) and not (reader.active and reader.project == job.project):
            raise forbidden("the token opens no artifacts of this job")
        archive = self._coordinator.archive_of(job.job_id)
        if archive is None:
            raise not_found("Artifacts")
        disposition = {"Content-Disposition": f'attachment; filename="{archive.filename}"'}
        return Response(archive.read(), 200, disposition, media_type="application/zip")


def _uploaded_file(body: bytes, content_type: str) -> tuple[str, bytes] | None:
    """Name and content of the one file in a form; None for anything else."""
    found = _BOUNDARY.match(content_type)
    if found is None:
        return None
    delimiter = b"--" + found[1].encode("latin-1")
    head, separator, content = body.removeprefix(delimiter + b"\r\n").partition(b"\r\n\r\n")
    end = b"\r\n" + delimiter + b"--"
    name = _FILENAME.search(head)
    content = content.removesuffix(b"\r\n")
    if not body.startswith(delimiter) or not separator or not content.endswith(end) or name is None:
        return None
    return name[1].decode(errors="replace"), content.removesuffix(end)


def _lifetime(text: str) -> timedelta | None:
    """How long it is to be stored; None for ever. Raises `Refused` with 400."""
    if not text or text.lower() == NEVER:
        return None
    found = duration(text)
    if found is None:
        raise Refused(400, "expire_in is invalid")
    return found
