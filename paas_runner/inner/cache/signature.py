"""Requests to an S3 service signed with a secret key: AWS Signature Version 4, in the `Authorization` header.

GitLab Runner puts such signatures into URLs, because another program than the one that has the key makes the
request. Here both are one, so that nothing secret has to be in a URL, where proxies and logs would see it.
Source: Amazon S3 API reference, "Authenticating Requests: Using the Authorization Header".
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import quote, urlsplit

from paas_runner.inner.cache.settings import Bucket

NO_CONTENT = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


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
