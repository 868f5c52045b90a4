"""Artifacts to the coordinator and from it: spec gitlab-runner-api.md §6.1 and §6.2.

The token of a job goes to the coordinator alone: a redirect to another host is followed without it, except
the coordinator's own 307 for uploads, which names the machine to be used instead.
"""

import json
import os
from typing import BinaryIO

import attrs
import httpx

from paas_runner.inner.attempts import (
    PAUSE_SECONDS,
    TRIES,
    FailedTryError,
    answered,
    may_pass,
    repeated,
    status_text,
)
from paas_runner.inner.entries import ArtifactEntry, Dependency
from paas_runner.inner.trace import Narrator
from paas_runner.secret import Secret

_TRIES_WHILE_UNAVAILABLE = 6
_TIMEOUT = httpx.Timeout(30.0, read=600.0)  # §0.3: the answer may take its time
_MOST_REDIRECTS = 10
_MOST_WORDS = 200


@attrs.frozen(kw_only=True)
class ArtifactTransfer:
    """The trace shows each try, in GitLab Runner's words; raises `FailedTryError` for the last."""

    client: httpx.AsyncClient
    narrator: Narrator
    pause: float = PAUSE_SECONDS

    async def upload(self, file: BinaryIO, entry: ArtifactEntry, *, job_id: int, token: Secret) -> None:
        """Send a file that can be read again."""
        label = f'Uploading artifacts as "{entry.kind}" to coordinator...'
        size = file.seek(0, os.SEEK_END)
        url = self._url(job_id)

        async def sent(_attempt: int) -> None:
            nonlocal url
            with answered(label):
                response = await self.client.post(
                    url,
                    params=entry.query,
                    headers=_token(token),
                    files={"file": (entry.filename, file, "application/octet-stream")},
                    timeout=_TIMEOUT,
                )
                if response.status_code == 307:
                    url = _moved(url, response)
            text = f"{label} {status_text(response)}{_words(response)}  id={job_id}"
            if response.status_code != 201:
                raise FailedTryError(
                    f"{text}{_upload_advice(response.status_code, size)}",
                    tries=_upload_tries(response),
                    retry_after=response.headers.get("retry-after", ""),
                )
            self.narrator.line(f"{text} responseStatus={status_text(response)}")

        await repeated(sent, self.narrator, self.pause)

    async def download(self, dependency: Dependency, target: BinaryIO) -> None:
        """Write a job's archive into an empty file."""

        async def received(attempt: int) -> None:
            target.seek(0)
            target.truncate()
            query = {"direct_download": "true"} if attempt == 1 else {}
            await self._receive(self._url(dependency.job_id).copy_merge_params(query), dependency, target)

        await repeated(received, self.narrator, self.pause)

    async def _receive(self, url: httpx.URL, dependency: Dependency, target: BinaryIO) -> None:
        label, home = "Downloading artifacts from coordinator...", _origin(url)
        for _ in range(_MOST_REDIRECTS):
            headers = _token(dependency.token) if _origin(url) == home else {}
            fields = f"host={url.host} id={dependency.job_id}"
            with answered(label):
                async with self.client.stream("GET", url, headers=headers, timeout=_TIMEOUT) as response:
                    if response.has_redirect_location:
                        url = url.join(response.headers["location"])
                        continue
                    if response.status_code == 200:
                        async for piece in response.aiter_bytes():
                            target.write(piece)
                        self.narrator.line(f"{label} ok  {fields} responseStatus={status_text(response)}")
                        return
            elsewhere = _origin(url) != home  # the coordinator itself may still have it
            raise FailedTryError(
                f"{label} {_MEANINGS.get(response.status_code, 'failed')}  {fields} "
                f"responseStatus={status_text(response)}{_download_advice(response.status_code)}",
                tries=TRIES if may_pass(response.status_code) or elsewhere else 1,
                retry_after=response.headers.get("retry-after", ""),
            )
        raise FailedTryError(f"{label} failed: redirected {_MOST_REDIRECTS} times")

    def _url(self, job_id: int) -> httpx.URL:
        return self.client.build_request("GET", f"/api/v4/jobs/{job_id}/artifacts").url


_MEANINGS = {401: "unauthorized", 403: "forbidden", 404: "not found"}


def _upload_advice(status: int, size: int) -> str:
    """What a refusal means for the author."""
    match status:
        case 403:
            return ": the coordinator takes no artifacts of this job any more; it may have been canceled"
        case 404:
            return ": the coordinator does not know this job; it may have been removed"
        case 413:
            advice = "keep less (`artifacts:paths`, `artifacts:exclude`) or have its limit raised"
            return f": {size} bytes are more than the coordinator takes; {advice}"
        case _:
            return ""


def _download_advice(status: int) -> str:
    match status:
        case 401 | 403:
            return ": this job may not read them; it may be over, or its token not be allowed to"
        case 404:
            return ": they have expired (`artifacts:expire_in`) or were removed; run the other job again"
        case _:
            return ""


def _token(token: Secret) -> dict[str, str]:
    return {"JOB-TOKEN": token.reveal()}


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _moved(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    """The same path at the machine that a 307 names; never from https to http."""
    place = url.join(response.headers.get("location", ""))
    if place.scheme != "https" and url.scheme == "https":
        raise FailedTryError(
            f"the upload was redirected to {place.host} without encryption, which is refused"
        )
    return url.copy_with(scheme=place.scheme, host=place.host, port=place.port)


def _upload_tries(response: httpx.Response) -> int:
    """How often an upload is tried that was answered so: what would fail again is not."""
    if response.status_code == 503:
        return _TRIES_WHILE_UNAVAILABLE
    return TRIES if may_pass(response.status_code) or response.status_code == 307 else 1


def _words(response: httpx.Response) -> str:
    """What the coordinator says beside the status of a refusal."""
    if response.is_success:
        return ""
    try:
        body = json.loads(response.content)
    except ValueError:
        return ""
    words = str(body.get("message") or body.get("error") or "") if isinstance(body, dict) else ""
    known = words in ("", status_text(response))
    return "" if known else f" ({words[:_MOST_WORDS]})"
