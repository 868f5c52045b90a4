"""What a project's folder says of its pipeline: the variables of GitLab's for HEAD, and for its remote.

Names and meanings are those of GitLab's predefined variables (spec gitlab-runner-api.md §7.3).
"""

import os
import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from paas_runner.errors import RunnerError
from paas_runner.pipelines.jobs import GitRepository, Project
from paas_runner.pipelines.predefined import before_the_start

NOTHING = "0" * 40
_SCP = re.compile(r"(?:[^@/:]+@)?([^/:]+):(?!//)(.+)")
_OF_THE_PROJECT = re.compile(r"CI(_SERVER|_PROJECT|_API|_CONFIG)_.*|CI|GITLAB_CI|CI_PIPELINE_SOURCE")
_ELSEWHERE = re.compile(
    "GIT_(DIR|WORK_TREE|INDEX_FILE|COMMON_DIR|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|SHALLOW_FILE|PREFIX)"
)
"""What a hook of git has in its environment: with these the copy's git would write into the repository."""

_COMMIT = "%H%x00%an <%ae>%x00%cI%x00%B"


@attrs.frozen(kw_only=True)
class Facts:
    """A folder with what is known of it; without a repository, or a commit in it, `sha` is empty."""

    root: Path
    is_repository: bool
    sha: str
    path: str
    """Of the project on its server."""

    variables: dict[str, str]


def git(folder: Path, *arguments: str, checked: bool = True) -> str:
    """What git says, without the last newline; raises `RunnerError`. Unchecked, nothing where it fails."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            capture_output=True,
            env={key: each for key, each in os.environ.items() if not _ELSEWHERE.fullmatch(key)}
            | {"LC_ALL": "C"},
            check=False,
        )
    except FileNotFoundError:
        raise RunnerError("the program `git` was not found on PATH: install it") from None
    if done.returncode and checked:
        words = done.stderr.decode(errors="replace").strip()
        raise RunnerError(f"git {' '.join(arguments)} in {folder} failed: {words}")
    return "" if done.returncode else done.stdout.decode(errors="surrogateescape").removesuffix("\n")


def facts_of(folder: Path) -> Facts:
    """Of the repository that the folder is in, else of the folder itself."""
    top = git(folder, "rev-parse", "--show-toplevel", checked=False)
    if not top and any((each / ".git").exists() for each in (folder, *folder.parents)):
        git(folder, "rev-parse", "--show-toplevel")  # it is one that git refuses, and says why
    root = Path(top or folder).resolve()
    sha, author, at, message = "", "", "", ""
    if top and git(root, "rev-parse", "-q", "--verify", "HEAD^{commit}", checked=False):
        sha, author, at, message = git(
            root, "-c", "log.showSignature=false", "log", "-1", f"--format={_COMMIT}"
        ).split("\0")
    branch = git(root, "symbolic-ref", "-q", "--short", "HEAD", checked=False) if top else "main"
    tag = "" if branch else git(root, "describe", "--tags", "--exact-match", checked=False)
    default = git(root, "symbolic-ref", "-q", "--short", "refs/remotes/origin/HEAD", checked=False)
    url, path = _server(git(root, "config", "--get", "remote.origin.url", checked=False), root)
    project = Project(full_path=path, repository=GitRepository(url=f"{url}/{path}.git", sha=sha or NOTHING))
    known = before_the_start(project, url)
    title, _, rest = message.strip().partition("\n")
    ref = branch or tag or sha
    variables = {
        **{key: value for key, value in known.items() if _OF_THE_PROJECT.fullmatch(key)},
        "CI_SERVER_NAME": "GitLab",
        "CI_DEFAULT_BRANCH": default.partition("/")[2] or branch or "main",
        "CI_REPOSITORY_URL": f"{url}/{path}.git",
        "CI_COMMIT_SHA": sha or NOTHING,
        "CI_COMMIT_SHORT_SHA": (sha or NOTHING)[:8],
        "CI_COMMIT_BEFORE_SHA": NOTHING,
        "CI_COMMIT_REF_NAME": ref,
        "CI_COMMIT_REF_SLUG": re.sub(r"[^a-z0-9]", "-", ref.lower())[:63].strip("-"),
        "CI_COMMIT_REF_PROTECTED": "false",
        "CI_COMMIT_TITLE": title,
        "CI_COMMIT_MESSAGE": message,
        "CI_COMMIT_DESCRIPTION": rest.strip("\n"),
        "CI_COMMIT_AUTHOR": author,
        "CI_COMMIT_TIMESTAMP": at,
        "GITLAB_USER_NAME": git(root, "config", "--get", "user.name", checked=False),
        "GITLAB_USER_EMAIL": git(root, "config", "--get", "user.email", checked=False),
        **({"CI_COMMIT_TAG": tag} if tag else {"CI_COMMIT_BRANCH": ref}),
    }
    text = {key: value.encode(errors="replace").decode() for key, value in variables.items()}
    return Facts(root=root, is_repository=bool(top), sha=sha, path=path, variables=text)


def _server(remote: str, root: Path) -> tuple[str, str]:
    """Where the remote is as people see it, and the project's path there; credentials are left out."""
    found = _SCP.fullmatch(remote)
    parts = urlsplit(f"ssh://{found[1]}/{found[2]}" if found else remote)
    path = parts.path.strip("/").removesuffix(".git")
    if not parts.hostname or "/" not in path:
        return "https://localhost", f"local/{root.name or 'project'}"
    web = parts.scheme in ("http", "https")
    port = f":{parts.port}" if web and parts.port else ""
    return f"{parts.scheme if web else 'https'}://{parts.hostname}{port}", path
