"""Where caches are kept: `[runners.cache]` of a `runner.toml` (spec gitlab-runner-api.md §9.4).

Empty tables are what `register` writes: they say nothing. What is not understood becomes a warning to the
job's author, because no one else reads what this host writes, and costs only the cache.
"""

import re
from collections.abc import Mapping
from typing import Any

import attrs

from paas_runner.secret import Secret

_AMAZON = "s3.amazonaws.com"
_VIRTUAL_HOSTS = re.compile(r"(.+\.)?(amazonaws\.com(\.cn)?|storage\.googleapis\.com|aliyuncs\.com)")
_ENCRYPTIONS = {
    "S3": "AES256",
    "AES256": "AES256",
    "KMS": "aws:kms",
    "AWS:KMS": "aws:kms",
    "DSSE-KMS": "aws:kms:dsse",
    "AWS:KMS:DSSE": "aws:kms:dsse",
}


@attrs.frozen(kw_only=True)
class Bucket:
    """A bucket of an S3 service, and who may use it."""

    url: str
    """Of the bucket, without a slash at the end."""

    region: str
    access_key: str
    secret_key: Secret
    session_token: Secret | None = None
    encryption: Mapping[str, str] = attrs.field(factory=dict)
    """The headers that ask for it when something is stored."""


@attrs.frozen(kw_only=True)
class CacheSettings:
    """All of it; without a bucket caches stay on this host."""

    bucket: Bucket | None = None
    prefix: str = ""
    shared: bool = False
    """Whether runners share what they keep; else each has a place of its own."""

    most_bytes: int = 0
    """Of an archive that is uploaded; 0 is no limit."""

    warnings: tuple[str, ...] = ()

    def object_name(self, runner: str, project_id: int, key: str) -> str:
        """Where a cache is in the bucket; `runner` is a short token."""
        own = () if self.shared else ("runner", runner)
        place = "/".join((self.prefix.strip("/"), *own, "project", str(project_id), key))
        return place.lstrip("/")


def read_cache_settings(table: Mapping[str, Any]) -> CacheSettings:
    """The meaning of a `[runners.cache]` table."""
    kind = str(table.get("Type") or "")
    if not kind:
        return CacheSettings()
    most = table.get("MaxUploadedArchiveSize")
    bucket, warnings = None, [f'[runners.cache] has Type "{kind}", but this runner knows "s3" alone']
    if kind in ("s3", "s3v2"):
        found = table.get("s3")
        bucket, warnings = _bucket(found if isinstance(found, Mapping) else {})
    return CacheSettings(
        bucket=bucket,
        prefix=str(table.get("Path") or ""),
        shared=table.get("Shared") is True,
        most_bytes=most if isinstance(most, int) else 0,
        warnings=tuple(f"{warning}; caches stay on this host" for warning in warnings),
    )


def _bucket(table: Mapping[str, Any]) -> tuple[Bucket | None, list[str]]:
    name, access, secret = (str(table.get(key) or "") for key in ("BucketName", "AccessKey", "SecretKey"))
    if not name:
        return None, ["[runners.cache.s3] has no BucketName"]
    if not access or not secret:
        keys = "needs AccessKey and SecretKey (the machine's own role is not used)"
        return None, [f"[runners.cache.s3] {keys}"]
    region = str(table.get("BucketLocation") or "us-east-1")
    session = str(table.get("SessionToken") or "")
    bucket = Bucket(
        url=_url(table, name, region),
        region=region,
        access_key=access,
        secret_key=Secret(secret),
        session_token=Secret(session) if session else None,
        encryption=_encryption(table),
    )
    return bucket, []


def _url(table: Mapping[str, Any], name: str, region: str) -> str:
    """With the bucket's name in the host where the service is known to have such hosts, else in the path."""
    scheme = "http" if table.get("Insecure") is True else "https"
    server = str(table.get("ServerAddress") or _AMAZON)
    if server == _AMAZON:
        server = f"s3{'' if table.get('DualStack') is False else '.dualstack'}.{region}.amazonaws.com"
    server = server.removesuffix({"http": ":80", "https": ":443"}[scheme])
    in_path = table.get("PathStyle")
    if not isinstance(in_path, bool):
        in_path = not _VIRTUAL_HOSTS.fullmatch(server) or ("." in name and scheme == "https")
    return f"{scheme}://{server}/{name}" if in_path else f"{scheme}://{name}.{server}"


def _encryption(table: Mapping[str, Any]) -> Mapping[str, str]:
    kind = _ENCRYPTIONS.get(str(table.get("ServerSideEncryption") or "").upper())
    if kind is None:
        return {}
    headers = {"x-amz-server-side-encryption": kind}
    key_id = str(table.get("ServerSideEncryptionKeyID") or "")
    if kind != "AES256" and key_id:
        headers["x-amz-server-side-encryption-aws-kms-key-id"] = key_id
    return headers
