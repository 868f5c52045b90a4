"""Caches to and from a bucket of an S3 service; the trace shows every try, and nothing secret.

Requests are signed with a secret key: AWS Signature Version 4, in the `Authorization` header. GitLab Runner
puts such signatures into URLs, because another program than the one that has the key makes the request. Here
both are one, so that nothing secret has to be in a URL, where proxies and logs would see it.
Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header".
"""

import email.utils
import hashlib
import hmac
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import BinaryIO
from urllib.parse import quote, urlsplit

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
from paas_runner.inner.cache.settings import Bucket
from paas_runner.inner.files.folder import Checkpoint, in_thread
from paas_runner.inner.trace import Narrator

NO_CONTENT = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"
_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,60})</Code>")
_TIMEOUT = httpx.Timeout(30.0, read=120.0)
_MOST_ANSWER_BYTES = 4096
_PIECE_BYTES = 1024 * 1024


def object_url(bucket: Bucket, name: str) -> str:
    """The address of an object, encoded as it is signed."""
    return f"{bucket.url}/{quote(name, safe='/-_.~')}"


def signed_headers(
    bucket: Bucket,
    method: str,
    url: str,
    *,
    moment: datetime,
    content_hash: str = NO_CONTENT,
    headers: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """All headers that a request for `url` (without a query) needs; those given are signed with it.

    `content_hash` is the SHA-256 of the body in hexadecimal digits; the service may refuse a `moment` that is
    minutes off.
    """
    parts = urlsplit(url)
    stamp = moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"{stamp[:8]}/{bucket.region}/s3/aws4_request"
    sent = {**(headers or {}), "x-amz-content-sha256": content_hash, "x-amz-date": stamp}
    if bucket.session_token:
        sent["x-amz-security-token"] = bucket.session_token.reveal()
    covered = {**sent, "host": parts.netloc}
    names = ";".join(sorted(covered))
    lines = "".join(f"{name}:{' '.join(covered[name].split())}\n" for name in sorted(covered))
    request = f"{method}\n{parts.path}\n\n{lines}\n{names}\n{content_hash}"
    to_sign = f"{_ALGORITHM}\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = hmac.new(_key(bucket, scope), to_sign.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={bucket.access_key}/{scope}"
    sent["authorization"] = f"{_ALGORITHM} {credential},SignedHeaders={names},Signature={signature}"
    return sent


def _key(bucket: Bucket, scope: str) -> bytes:
    key = f"AWS4{bucket.secret_key.reveal()}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


@attrs.frozen(kw_only=True)
class CacheTransfer:
    """Raises `FailedTryError` for the last try."""

    bucket: Bucket
    client: httpx.AsyncClient
    narrator: Narrator
    clock: Callable[[], datetime]
    pause: float = PAUSE_SECONDS

    async def download(self, name: str, target: BinaryIO, newer_than: float | None) -> float | None:
        """Write an object into an empty file; returns when it was stored, in seconds since the epoch.

        Returns None, with the file as it was, for one that is not newer than what is here. Raises
        FileNotFoundError when there is none.
        """
        url = object_url(self.bucket, name)

        async def received(_attempt: int) -> float | None:
            target.seek(0)
            target.truncate()
            headers = signed_headers(self.bucket, "GET", url, moment=self.clock())
            with answered("Downloading cache"):
                async with self.client.stream("GET", url, headers=headers, timeout=_TIMEOUT) as response:
                    if response.status_code != 200:
                        raise await _refused("Downloading cache", response)
                    stored = self._stored_at(response)
                    if newer_than is not None and stored <= newer_than:
                        self.narrator.line("cache.zip is up to date")
                        return None
                    self.narrator.line(f"Downloading cache from {url}")
                    async for piece in response.aiter_raw():
                        target.write(piece)
                    return stored

        return await repeated(received, self.narrator, self.pause)

    async def upload(self, name: str, file: BinaryIO) -> None:
        """Store a file under a name."""
        url = object_url(self.bucket, name)
        content_hash = await in_thread(lambda checkpoint: _hashed(file, checkpoint))

        async def sent(_attempt: int) -> None:
            self.narrator.line(f"Uploading cache.zip to {url}")
            headers = signed_headers(
                self.bucket,
                "PUT",
                url,
                moment=self.clock(),
                content_hash=content_hash,
                headers={"content-type": "application/octet-stream", **self.bucket.encryption},
            )
            headers["content-length"] = str(os.fstat(file.fileno()).st_size)
            file.seek(0)
            with answered("Uploading cache"):
                async with self.client.stream(
                    "PUT", url, headers=headers, content=_pieces(file), timeout=_TIMEOUT
                ) as response:
                    if not response.is_success:
                        raise await _refused("Uploading cache", response)

        await repeated(sent, self.narrator, self.pause)

    def _stored_at(self, response: httpx.Response) -> float:
        try:
            return email.utils.parsedate_to_datetime(response.headers["last-modified"]).timestamp()
        except (KeyError, ValueError):
            return self.clock().timestamp()


async def _refused(label: str, response: httpx.Response) -> FailedTryError | FileNotFoundError:
    """What a status means, with the service's own word for it."""
    found = _CODE.search(await _begin(response))
    code = found[1].decode() if found else ""
    if response.status_code == 404 and code in ("", "NoSuchKey"):
        return FileNotFoundError("file does not exist")
    return FailedTryError(
        f"{label} failed: received {status_text(response)}{f' ({code})' if code else ''}",
        tries=TRIES if may_pass(response.status_code) else 1,
        retry_after=response.headers.get("retry-after", ""),
    )


async def _begin(response: httpx.Response) -> bytes:
    """As much of an answer as can matter."""
    begin = b""
    async for piece in response.aiter_bytes():
        begin += piece
        if len(begin) >= _MOST_ANSWER_BYTES:
            break
    return begin[:_MOST_ANSWER_BYTES]


async def _pieces(file: BinaryIO) -> AsyncIterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece


def _hashed(file: BinaryIO, checkpoint: Checkpoint) -> str:
    """The SHA-256 of all that is in a file."""
    found = hashlib.sha256()
    file.seek(0)
    while piece := file.read(_PIECE_BYTES):
        checkpoint()
        found.update(piece)
    return found.hexdigest()
