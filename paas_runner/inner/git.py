"""Where a job's sources are: the repository in its payload, checked (spec gitlab-runner-api.md §2.6)."""

import contextlib
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

import attrs

from paas_runner.inner.ending import StageError, broken
from paas_runner.inner.job import Job
from paas_runner.job.payload import Payload
from paas_runner.secret import Secret

CI_USER = "gitlab-ci-token"
_ALL = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")  # of coordinators that name none
FETCH_HEAD = "FETCH_HEAD"
"""Instead of a commit: the one that the first of the refspecs names; our own coordinator says so."""

_SHA = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")


@attrs.frozen(kw_only=True)
class Repository:
    """A repository at one commit; `url` holds no credentials."""

    url: str
    user: str
    password: Secret
    sha: str
    ref: str
    refspecs: tuple[str, ...]
    depth: int
    object_format: str

    @property
    def origin(self) -> str:
        """The URL's scheme, host and port: who is given the credentials."""
        return _origin(self.url)


def read_repository(job: Job) -> Repository | None:
    """The repository of a job, or None when its payload names none.

    Raises `StageError` for what cannot be fetched at all.
    """
    info = job.payload.raw.get("git_info")
    if not isinstance(info, Mapping) or not info.get("repo_url"):
        return None
    kind = info.get("repo_type") or "git"
    if kind != "git":
        raise StageError(broken(f"sources of type `{kind}` cannot be fetched by this runner, only `git`"))
    try:
        url, user, password = _address(str(info["repo_url"]), job)
    except ValueError:
        raise StageError(broken("`git_info.repo_url` of the payload is no URL")) from None
    sha = str(info.get("sha", ""))
    refspecs = tuple(str(item) for item in info.get("refspecs") or _ALL)
    if not (_SHA.fullmatch(sha) or sha == FETCH_HEAD) or any(
        item.startswith("-") for item in (url, *refspecs)
    ):
        raise StageError(broken("`git_info` of the payload is no repository at a commit"))
    depth = info.get("depth")
    return Repository(
        url=url,
        user=user or CI_USER,
        password=Secret(password) if password else job.payload.token,
        sha=sha,
        ref=str(info.get("ref", "")),
        refspecs=refspecs,
        depth=depth if isinstance(depth, int) else 0,
        object_format=str(info.get("repo_object_format") or "sha1"),
    )


def credentials(payload: Payload) -> Iterator[Secret]:
    """The password that is in the repository's URL, if there is one."""
    info = payload.raw.get("git_info")
    if isinstance(info, Mapping):
        with contextlib.suppress(ValueError):
            password = _parted(str(info.get("repo_url") or ""))[2]
            if password:
                yield Secret(password)


def _address(url: str, job: Job) -> tuple[str, str, str]:
    """The payload's, or the same project under `clone_url` (spec gitlab-runner-api.md §9.2)."""
    clean, user, password = _parted(url)
    project = job.variables.get("CI_PROJECT_PATH")
    if job.section.clone_url and project:
        clean, other_user, other_password = _parted(f"{job.section.clone_url.rstrip('/')}/{project}.git")
        user, password = other_user or user, other_password or password
    return clean, user, password


def _parted(url: str) -> tuple[str, str, str]:
    """A URL without its credentials, and these."""
    parts = urlsplit(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    return parts._replace(netloc=host).geturl(), unquote(user), unquote(password)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
