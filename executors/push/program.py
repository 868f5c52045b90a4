"""The push by the git program, through GitPython's `Git`: for whoever sets `paas_push = "program"`.

The credentials travel in the environment of one child process, never in a URL, an argument or a file, and to
no other place than the remote: a push follows no redirect, and speaks that one protocol. GitPython hands its
own environment on to whatever it runs; so `env` stands before git and takes out, by name, all that git would
obey and we did not choose.

GitPython is imported here alone, when it is needed: that takes time, memory and a git program.
"""

import asyncio
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from errno import ENOENT
from pathlib import Path
from typing import IO, TYPE_CHECKING

import structlog

from executors.build_context import Identity
from executors.push.folder import clear_away_leftovers, push_folder
from executors.push.objects import DATE, MESSAGE
from executors.push.protocol import BRANCH
from executors.push.verdicts import Credentials, Verdicts, moved_meanwhile
from paas_runner.errors import RunnerError, Transient
from paas_runner.proxies import Proxies
from paas_runner.secret import Secret

if TYPE_CHECKING:
    from git import Git

log = structlog.stdlib.get_logger(__name__)

PUSHES_AT_ONCE = 8
PUSH_SECONDS = 60.0
OLDEST_GIT = (2, 31)  # knows GIT_CONFIG_COUNT
MOST_WORDS_BYTES = 65_536

_VERSION = re.compile(r"git version (\d+)\.(\d+)")
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


class ProgramPush:
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
        credentials = Credentials(user=user, password=password)
        try:
            await loop.run_in_executor(self._threads, _push, tree, url, credentials, identity)
        except (OSError, RuntimeError) as error:  # a full disk, no more threads, processes or descriptors
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Transient(why, service="the runner's own machine", op="prepare the push") from error

    async def aclose(self) -> None:
        """Nothing is kept between two pushes."""


class _GitError(Exception):
    """The program did not do it: its own words, in English."""


def _git_in(folder: Path) -> "Git":
    """Raises `RunnerError` where there is no git program: GitPython cannot be imported then."""
    try:
        from git import Git
    except ImportError as error:
        raise RunnerError("the program `git` was not found on PATH: install it") from error
    return Git(folder)


def _version() -> tuple[int, int]:
    git = _git_in(Path())
    from git.exc import CommandError

    try:
        shown = git.execute(_command(["--version"], _kept()), env=_kept())
    except (OSError, CommandError) as error:
        raise RunnerError("the program `git` was not found on PATH: install it") from error
    found = _VERSION.match(shown)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _push(tree: Mapping[str, bytes], url: str, credentials: Credentials, identity: Identity) -> None:
    verdicts = Verdicts.of(url, credentials)
    with push_folder() as folder:
        for name, content in tree.items():
            (folder / name).write_bytes(content)
        here = {**_kept(), **_QUIET, **_signed(identity), "GIT_DIR": f"{folder}/.git"}
        here |= _configured(_CONFIGURATION)
        try:
            _git(["init", "-q", "--template=", "."], folder, here)
            _git(["--work-tree=.", "add", "."], folder, here)
            _git(["commit", "-q", "-m", MESSAGE], folder, here)
        except _GitError as error:
            raise Transient(
                verdicts.quoted([_last_line(str(error))]), service="git", op="commit the job"
            ) from error
        header = {f"http.{url}.extraHeader": f"Authorization: {credentials.basic.reveal()}"}
        here |= _configured(_CONFIGURATION | header | _proxy(url))
        here |= {"NO_PROXY": "", "no_proxy": ""}  # git's own rules for it are others
        here["GIT_ALLOW_PROTOCOL"] = "http" if url.startswith("http://") else "https"
        try:
            _git(["push", "-q", "--", url, f"HEAD:{BRANCH}"], folder, here)
        except _GitError as error:
            _judge(str(error), verdicts)


def _git(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    """Run it with just this environment; raises `_GitError`, and OSError where nothing can be run."""
    from git import GitCommandNotFound

    until = time.monotonic() + PUSH_SECONDS
    try:
        process = _git_in(folder).execute(
            _command(["-C", str(folder), *arguments], environment),  # GitPython runs in ours where it is gone
            env=environment,
            as_process=True,
            with_stdout=False,
            start_new_session=True,  # what it starts for a push ends with it
        )
    except GitCommandNotFound as error:
        raise FileNotFoundError(ENOENT, "no program `git` on PATH any more") from error
    program = process.proc
    if program is None or program.stderr is None:
        raise RuntimeError("git has no pipe")
    try:
        words = _words(program.stderr, until)
        status = program.wait(max(until - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        raise _GitError(f"fatal: not done within {PUSH_SECONDS:g} seconds") from None
    finally:
        if program.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()
        program.stderr.close()
    if status:
        raise _GitError(words.decode(errors="replace"))


def _command(arguments: Sequence[str], environment: Mapping[str, str]) -> Sequence[str]:
    """Git without what the environment inherits and `environment` does not have; names alone are shown."""
    inherited = [name for name in os.environ if name and name not in environment]
    return ["env", *(f"--unset={name}" for name in inherited), "git", *arguments]


def _words(pipe: IO[bytes], until: float) -> bytes:
    """What is written until all who could have gone, or the time is up; of too much the end."""
    words = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while poll.poll(max(until - time.monotonic(), 0) * 1000):
        piece = os.read(pipe.fileno(), MOST_WORDS_BYTES)
        if not piece:
            break
        words += piece
        del words[:-MOST_WORDS_BYTES]
    return bytes(words)


def _kept() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.lower() in _KEPT}


def _signed(identity: Identity) -> dict[str, str]:
    facts = {"NAME": identity.name, "EMAIL": identity.email, "DATE": DATE}
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


_OTHER_TREE = re.compile(r"^ ! \[rejected\]", re.MULTILINE)
_REFUSED = re.compile(r"^ ! \[remote rejected\] .*? \((.*)\)$", re.MULTILINE)
_SAID = re.compile(r"^remote: (.*)$", re.MULTILINE)
_UNPACKER = re.compile(r"^error: remote unpack failed: (.*)$", re.MULTILINE)
_CREDENTIALS = re.compile(r"Authentication failed|could not read Username|returned error: 40[13]")
_REDIRECT = re.compile(r"returned error: 30\d")
_ABSENT = re.compile(r"^fatal: repository '.*' not found$|returned error: 4(04|10)", re.MULTILINE)


def _judge(words: str, verdicts: Verdicts) -> None:
    """Return when the remote has its job already; the texts are git's own, `LC_ALL=C`."""
    said = _SAID.findall(words)
    if _OTHER_TREE.search(words):
        log.info("launched_before")
        return
    if unpacking := _UNPACKER.search(words):
        raise verdicts.failed(*said, f"it could not take what was sent: {unpacking[1]}")
    if refused := _REFUSED.search(words):
        # a push whose answer was lost, and which git then repeated by itself, meets what it has done
        if moved_meanwhile(refused[1]):
            raise verdicts.failed(refused[1])
        raise verdicts.refused(refused[1], said)
    if _CREDENTIALS.search(words):
        raise verdicts.credentials_refused()
    if _REDIRECT.search(words):
        raise verdicts.redirected()
    if _ABSENT.search(words):
        raise verdicts.no_repository()
    raise verdicts.failed(_last_line(words))


def _last_line(words: str) -> str:
    """What git said last."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    telling = [line for line in lines if line.startswith(("remote:", "fatal:", "error:", "!"))]
    return " ".join((telling or lines or ["no reason given"])[-2:])
