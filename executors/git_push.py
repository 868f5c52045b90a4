"""The push that launches a job: one commit on `master`, the same tree always as the same commit.

Author and committer are configured, the dates are fixed, so one configuration gives the same tree the same
id: pushing a job again answers "up to date", and a commit that differs is refused, because the host has its
job already. The credentials travel in the environment of one child process, never in a URL, an argument or a
file.

Each push has a private folder, with a job's definition and its credentials in it, which must not stay. A
process that is killed leaves its folders behind; they carry its number, so the next one clears them away.
"""

import asyncio
import base64
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import git
import structlog
from git.exc import GitCommandError

from executors.build_context import Identity
from paas_runner.errors import Rejected, RunnerError, Transient
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

BRANCH = "refs/heads/master"  # the only one that Clever Cloud's remote accepts
PUSHES_AT_ONCE = 8
PUSH_SECONDS = 60.0
OLDEST_GIT = (2, 31)  # knows GIT_CONFIG_COUNT

_OURS = re.compile(r"paas-runner-push-([0-9]+)-\w+")
_DATE = "946684800 +0000"
_QUIET = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_DEFAULT_HASH": "sha1",
    "GIT_HTTP_LOW_SPEED_LIMIT": "100",
    "GIT_HTTP_LOW_SPEED_TIME": "30",
}
_CONFIGURATION = {"maintenance.auto": "false", "core.hooksPath": "/dev/null", "commit.gpgSign": "false"}


class GitPush:
    """`executors.build_context.Push` by the git program, in threads of its own."""

    def __init__(self) -> None:
        """Check the program; raises `RunnerError` when it is too old."""
        found = git.Git().version_info[:2]
        if found < OLDEST_GIT:
            raise RunnerError(
                f"git {'.'.join(map(str, found))} is too old: "
                f"{'.'.join(map(str, OLDEST_GIT))} or newer is needed to push without showing credentials"
            )
        clear_away_leftovers()
        self._threads = ThreadPoolExecutor(PUSHES_AT_ONCE, thread_name_prefix="push")

    async def __call__(
        self, tree: Mapping[str, bytes], url: str, *, user: str, password: Secret, identity: Identity
    ) -> None:
        """Push in a thread; a canceled call leaves the thread to its own time limit."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, _push, tree, url, user, password, identity)


def _push(tree: Mapping[str, bytes], url: str, user: str, password: Secret, identity: Identity) -> None:
    with push_folder() as folder:
        for name, content in tree.items():
            (folder / name).write_bytes(content)
        here = git.Git(folder)
        here.update_environment(
            **_QUIET, **_configured(_CONFIGURATION), **_signed(identity), GIT_DIR=f"{folder}/.git"
        )
        try:
            here.execute(["git", "init", "-q", "--template=", "."])
            here.execute(["git", "--work-tree=.", "add", "."])
            here.execute(["git", "commit", "-q", "-m", "Job definition"])
        except GitCommandError as error:
            raise Transient(_last_line(error), service="git", op="commit the job") from error
        try:
            here.execute(
                ["git", "push", "-q", "--", url, f"HEAD:{BRANCH}"],
                env=_configured(_CONFIGURATION | _credentials(url, user, password)),
                kill_after_timeout=PUSH_SECONDS,
            )
        except GitCommandError as error:
            _judge(error, service=f"git remote {urlsplit(url).hostname}")


def _signed(identity: Identity) -> dict[str, str]:
    facts = {"NAME": identity.name, "EMAIL": identity.email, "DATE": _DATE}
    return {f"GIT_{who}_{what}": fact for who in ("AUTHOR", "COMMITTER") for what, fact in facts.items()}


def _configured(settings: Mapping[str, str]) -> dict[str, str]:
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _credentials(url: str, user: str, password: Secret) -> dict[str, str]:
    basic = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
    return {f"http.{url}.extraHeader": f"Authorization: Basic {basic}"}


_OTHER_TREE = re.compile(r"^ ! \[rejected\]", re.MULTILINE)
_REFUSED = re.compile(r"^ ! \[remote rejected\]", re.MULTILINE)
_MOVED_MEANWHILE = re.compile(r"reference already exists|cannot lock ref|failed to update ref")
"""A push whose answer was lost, and which git then repeated by itself, meets what it has done."""

_CREDENTIALS = re.compile(r"Authentication failed|could not read Username|returned error: 40[13]")


def _judge(error: GitCommandError, *, service: str) -> None:
    """Return when the remote has its job already; the texts are git's own, `LC_ALL=C`."""
    words = str(error.stderr)
    op = "push the job"
    if _OTHER_TREE.search(words):
        log.info("launched_before")
        return
    if _REFUSED.search(words) and not _MOVED_MEANWHILE.search(words):
        raise Rejected(_last_line(error), service=service, op=op) from error
    if _CREDENTIALS.search(words):
        raise Rejected("the credentials were refused", service=service, op=op, status=401) from error
    raise Transient(_last_line(error), service=service, op=op) from error


def _last_line(error: GitCommandError) -> str:
    """What git said last, without the frame that GitPython puts around it."""
    lines = [line.strip() for line in str(error.stderr).strip().strip("'").splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("remote:", "fatal:", "error:", "!"))]
    return " ".join((telling or lines or ["no reason given"])[-2:])[:300]


@contextmanager
def push_folder() -> Iterator[Path]:
    """A folder that only this user can enter, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"paas-runner-push-{os.getpid()}-") as folder:
        yield Path(folder)


def clear_away_leftovers() -> None:
    """Remove this user's folders whose process is no more."""
    for folder in list(Path(tempfile.gettempdir()).glob("paas-runner-push-*")):
        named = _OURS.fullmatch(folder.name)
        if named and not _alive(int(named[1])) and _is_ours(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    try:
        return folder.lstat().st_uid == os.getuid()
    except FileNotFoundError:  # another service of ours was quicker
        return False


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
