"""The push that launches a job: one commit on `master`, the same tree always as the same commit.

Author and committer are configured, the dates are fixed, so one configuration gives the same tree the same
id: pushing a job again answers "up to date", and a commit that differs is refused, because the host has its
job already. The credentials travel in the environment of one child process, never in a URL, an argument or a
file, and to no other place than the remote: a push follows no redirect, and speaks that one protocol.
"""

import asyncio
import base64
import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from executors.build_context import Identity
from executors.push_folder import clear_away_leftovers, push_folder
from paas_runner.errors import Rejected, RunnerError, Transient
from paas_runner.proxies import Proxies
from paas_runner.secret import Secret

log = structlog.stdlib.get_logger(__name__)

BRANCH = "refs/heads/master"  # the only one that Clever Cloud's remote accepts
PUSHES_AT_ONCE = 8
PUSH_SECONDS = 60.0
OLDEST_GIT = (2, 31)  # knows GIT_CONFIG_COUNT

_VERSION = re.compile(r"git version (\d+)\.(\d+)")
_DATE = "946684800 +0000"
_KEPT = frozenset(
    {"path", "http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"}
)
"""Of our own environment, in lower case: the ways to a remote. Git gets nothing else that it would obey."""

_QUIET = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_DEFAULT_HASH": "sha1",
    "GIT_HTTP_LOW_SPEED_LIMIT": "100",
    "GIT_HTTP_LOW_SPEED_TIME": "30",
}
_CONFIGURATION = {
    "maintenance.auto": "false",
    "core.hooksPath": "/dev/null",
    "commit.gpgSign": "false",
    "http.followRedirects": "false",
}


class GitPush:
    """`executors.build_context.Push` by the git program, in threads of its own."""

    def __init__(self) -> None:
        """Check the program; raises `RunnerError` when there is none, or it is too old."""
        found = _version()
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
        try:
            await loop.run_in_executor(self._threads, _push, tree, url, user, password, identity)
        except (OSError, RuntimeError) as error:  # a full disk, no more threads, processes or descriptors
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Transient(why, service="the runner's own machine", op="prepare the push") from error


class _GitError(Exception):
    """The program did not do it: its own words, in English."""


def _version() -> tuple[int, int]:
    try:
        shown = subprocess.run(["git", "--version"], env=_kept(), capture_output=True, check=True, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RunnerError("the program `git` was not found on PATH: install it") from error
    found = _VERSION.match(shown.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _push(tree: Mapping[str, bytes], url: str, user: str, password: Secret, identity: Identity) -> None:
    with push_folder() as folder:
        for name, content in tree.items():
            (folder / name).write_bytes(content)
        here = {**_kept(), **_QUIET, **_signed(identity), "GIT_DIR": f"{folder}/.git"}
        here |= _configured(_CONFIGURATION)
        try:
            _git(["init", "-q", "--template=", "."], folder, here)
            _git(["--work-tree=.", "add", "."], folder, here)
            _git(["commit", "-q", "-m", "Job definition"], folder, here)
        except _GitError as error:
            raise Transient(_last_line(str(error)), service="git", op="commit the job") from error
        here |= _configured(_CONFIGURATION | _credentials(url, user, password) | _proxy(url))
        here |= {"NO_PROXY": "", "no_proxy": ""}  # git's own rules for it are others
        here["GIT_ALLOW_PROTOCOL"] = "http" if url.startswith("http://") else "https"
        try:
            _git(["push", "-q", "--", url, f"HEAD:{BRANCH}"], folder, here)
        except _GitError as error:
            _judge(str(error), service=f"git remote {urlsplit(url).hostname}")


def _git(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Run it with just this environment; raises `_GitError`, and OSError where nothing can be run."""
    with subprocess.Popen(
        ["git", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # what it starts for a push ends with it
    ) as process:
        try:
            _, words = process.communicate(timeout=PUSH_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise _GitError(f"fatal: not done within {PUSH_SECONDS:g} seconds") from None
    if process.returncode:
        raise _GitError(words.decode(errors="replace"))


def _kept() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower() in _KEPT}


def _signed(identity: Identity) -> dict[str, str]:
    facts = {"NAME": identity.name, "EMAIL": identity.email, "DATE": _DATE}
    return {f"GIT_{who}_{what}": fact for who in ("AUTHOR", "COMMITTER") for what, fact in facts.items()}


def _configured(settings: Mapping[str, str]) -> dict[str, str]:
    environment = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return environment


def _proxy(url: str) -> dict[str, str]:
    """The one through which the service would reach that address; empty is none, whatever is in git's env."""
    proxy = Proxies(environ=os.environ).of(url)
    return {"http.proxy": proxy.reveal() if proxy else ""}


def _credentials(url: str, user: str, password: Secret) -> dict[str, str]:
    basic = base64.b64encode(f"{user}:{password.reveal()}".encode()).decode()
    return {f"http.{url}.extraHeader": f"Authorization: Basic {basic}"}


_OTHER_TREE = re.compile(r"^ ! \[rejected\]", re.MULTILINE)
_REFUSED = re.compile(r"^ ! \[remote rejected\]", re.MULTILINE)
_MOVED_MEANWHILE = re.compile(r"reference already exists|cannot lock ref|failed to update ref")
"""A push whose answer was lost, and which git then repeated by itself, meets what it has done."""

_CREDENTIALS = re.compile(r"Authentication failed|could not read Username|returned error: 40[13]")


_REDIRECT = re.compile(r"returned error: 30\d")


def _judge(words: str, *, service: str) -> None:
    """Return when the remote has its job already; the texts are git's own, `LC_ALL=C`."""
    op = "push the job"
    if _OTHER_TREE.search(words):
        log.info("launched_before")
        return
    if _REFUSED.search(words) and not _MOVED_MEANWHILE.search(words):
        raise Rejected(_last_line(words), service=service, op=op)
    if _CREDENTIALS.search(words):
        raise Rejected("the credentials were refused", service=service, op=op, status=401)
    if _REDIRECT.search(words):
        raise Transient(
            "it redirects the push to another address, where it does not go", service=service, op=op
        )
    raise Transient(_last_line(words), service=service, op=op)


def _last_line(words: str) -> str:
    """What git said last."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("remote:", "fatal:", "error:", "!"))]
    return " ".join((telling or lines or ["no reason given"])[-2:])[:300]
