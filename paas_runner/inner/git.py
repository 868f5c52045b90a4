"""Where a job's sources are, and git processes that get there.

The repository is what the payload says, checked (spec gitlab-runner-api.md §2.6). No argument, file or URL
shows its credentials: the password is in the environment of git's processes alone; git gets it by a
credential helper that reads it there, and that is configured by the environment, too. A second helper stays
in the repository's own configuration: it names the variable `CI_JOB_TOKEN`, so that a script's own
`git fetch` works, too.
"""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from urllib.parse import unquote, urlsplit

import attrs

from paas_runner import __version__
from paas_runner.inner.ending import StageError, broken, exited
from paas_runner.inner.job import Job
from paas_runner.inner.process import Write, launched
from paas_runner.job.payload import Payload
from paas_runner.secret import Secret

CI_USER = "gitlab-ci-token"
_USER, _PASSWORD = "PAAS_RUNNER_GIT_USER", "PAAS_RUNNER_GIT_PASSWORD"
_ALL = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*")  # of coordinators that name none
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
    if not _SHA.fullmatch(sha) or any(item.startswith("-") for item in (url, *refspecs)):
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


def _reading(user: str, password: str) -> str:
    """A credential helper (gitcredentials(7)) that answers with what two words of shell stand for."""
    return f'!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" "{user}" "{password}"; }}; f'


JOB_TOKEN_HELPER = _reading(CI_USER, "$CI_JOB_TOKEN")


@attrs.frozen(kw_only=True)
class Git:
    """The git program in one folder."""

    folder: PurePath
    environment: Mapping[str, str] = attrs.field(repr=False)
    write: Write

    async def code(self, *arguments: str) -> int:
        """Run it; returns its exit code. Raises `StageError` where it cannot be run."""
        try:
            async with launched(
                ("git", *arguments), folder=self.folder, environment=self.environment, write=self.write
            ) as git:
                return await git.wait()
        except (OSError, ValueError) as error:
            raise StageError(broken(f"git cannot be run: {error}")) from error

    async def must(self, *arguments: str) -> None:
        """Run it; raises `StageError` when it fails: its output is in the trace."""
        code = await self.code(*arguments)
        if code:
            raise StageError(exited(code))


def git_environment(
    base: Mapping[str, str], repository: Repository, rewritten: Sequence[tuple[str, str]]
) -> dict[str, str]:
    """The environment of git processes; of each pair, the second is replaced by the first in URLs."""
    settings = [
        ("init.defaultBranch", "none"),
        ("fetch.recurseSubmodules", "false"),
        ("gc.autoDetach", "false"),
        ("http.userAgent", f"paas-runner-inner/{__version__}"),
        ("safe.directory", "*"),
        ("credential.interactive", "never"),
    ]
    if urlsplit(repository.url).scheme in ("http", "https"):
        helper = _reading(f"${_USER}", f"${_PASSWORD}")
        section = f"credential.{repository.origin}.helper"
        settings += [(section, ""), (section, helper)]  # the first forgets all others
    settings += [(f"url.{better}.insteadOf", prefix) for better, prefix in rewritten]
    numbered = {
        f"GIT_CONFIG_{word}_{number}": text
        for number, pair in enumerate(settings)
        for word, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {
        **base,
        **numbered,
        "GIT_CONFIG_COUNT": str(len(settings)),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        _USER: repository.user,
        _PASSWORD: repository.password.reveal(),
    }
