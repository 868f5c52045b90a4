"""Git's processes for a job's folder: what they run, read and obey is ours, not the author's.

They may run beside the job's container, with rights and files that the job must not have. So each gets an
environment of its own. Of the author's variables it has those that say how to reach a server or what to show,
and only with a value that can do nothing else; what could name a program, a file or another repository is set
here, over any configuration that is in the folder.

No argument, file or URL shows the repository's credentials: the password is in the environment of git's
processes alone; git gets it by a credential helper that reads it there, and that is configured by the
environment, too. A second helper stays in the repository's own configuration: it names the variable
`CI_JOB_TOKEN`, so that a script's own `git fetch` works, too.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import PurePath
from typing import Protocol
from urllib.parse import urlsplit

import attrs

from paas_runner import __version__
from paas_runner.inner.ending import StageError, broken, exited
from paas_runner.inner.git import CI_USER, Repository
from paas_runner.inner.process import RunningProgram, Write

_USER, _PASSWORD = "PAAS_RUNNER_GIT_USER", "PAAS_RUNNER_GIT_PASSWORD"
_NOWHERE = "/nonexistent"

_TEXT, _TRUTH, _NUMBER = r"[^\0\n]*", "(?i:0|1|2|true|false)", "[0-9]{1,9}"
_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_OF_THE_AUTHOR: Mapping[str, str] = {
    **{name: _TEXT for proxy in _PROXIES for name in (proxy, proxy.upper())},
    **dict.fromkeys(("GIT_HTTP_LOW_SPEED_LIMIT", "GIT_HTTP_LOW_SPEED_TIME"), _NUMBER),
    **dict.fromkeys(("GIT_TRACE", "GIT_TRACE_CURL", "GIT_TRACE_PACKET", "GIT_TRACE_PERFORMANCE"), _TRUTH),
    **dict.fromkeys(("GIT_CURL_VERBOSE", "GIT_SSL_NO_VERIFY"), _TRUTH),
}
"""Variables that git may have, and what their values may be: GIT_TRACE may name no file."""

_SETTINGS = (
    ("init.defaultBranch", "none"),
    ("fetch.recurseSubmodules", "false"),
    ("submodule.recurse", "false"),
    ("gc.autoDetach", "false"),
    ("http.userAgent", f"paas-runner-inner/{__version__}"),
    ("safe.directory", "*"),
    ("credential.interactive", "never"),
    ("credential.helper", ""),
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.sshCommand", "false"),
    ("core.gitProxy", "none"),
    ("core.askPass", ""),
    ("core.editor", "false"),
    ("core.pager", "cat"),
    ("core.attributesFile", os.devnull),
    ("core.excludesFile", os.devnull),
    ("core.alternateRefsCommand", "true"),
    ("protocol.ext.allow", "never"),
    ("protocol.file.allow", "never"),
)


class Launch(Protocol):
    """Starts a program of ours, in a place with such a folder; as `process.launched`."""

    def __call__(
        self, command: Sequence[str], *, folder: PurePath, environment: Mapping[str, str], write: Write
    ) -> AbstractAsyncContextManager[RunningProgram]:
        """Leaving the context kills it; raises OSError and ValueError."""


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
    launch: Launch

    async def code(self, *arguments: str) -> int:
        """Run it; returns its exit code. Raises `StageError` where it cannot be run."""
        try:
            async with self.launch(
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


def fetching_environment(
    author: Mapping[str, str],
    repository: Repository,
    rewritten: Sequence[tuple[str, str]],
    *,
    folder: PurePath,
    certificates: str,
    authorities: Mapping[str, str],
) -> dict[str, str]:
    """The environment of git processes that get sources.

    Of each pair, the second is replaced by the first in URLs. `certificates` is a file with trusted ones,
    `authorities` has such files by the URLs that they are for.
    """
    settings = [*_SETTINGS]
    if urlsplit(repository.url).scheme in ("http", "https"):
        helper = _reading(f"${_USER}", f"${_PASSWORD}")
        section = f"credential.{repository.origin}.helper"
        settings += [(section, ""), (section, helper)]  # the first forgets all others
    settings += [(f"http.{url}.sslCAInfo", file) for url, file in authorities.items()]
    settings += [(f"url.{better}.insteadOf", prefix) for better, prefix in rewritten]
    return {
        **_environment(folder, settings),
        **_harmless(author),
        **({"GIT_SSL_CAINFO": certificates} if certificates else {}),
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_LFS_SKIP_SMUDGE": "1",
        _USER: repository.user,
        _PASSWORD: repository.password.reveal(),
    }


def listing_environment(folder: PurePath) -> dict[str, str]:
    """The environment of a git process that looks at a folder which scripts have had, and fetches nothing."""
    return {**_environment(folder, _SETTINGS), "GIT_ALLOW_PROTOCOL": "", "GIT_NO_LAZY_FETCH": "1"}


def _environment(folder: PurePath, settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """What all have; a repository above the folder is none of ours."""
    numbered = {
        f"GIT_CONFIG_{word}_{number}": text
        for number, pair in enumerate(settings)
        for word, text in zip(("KEY", "VALUE"), pair, strict=True)
    }
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "HOME": _NOWHERE,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
        **numbered,
    }


def _harmless(author: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in author.items()
        if name in _OF_THE_AUTHOR and re.fullmatch(_OF_THE_AUTHOR[name], value)
    }
