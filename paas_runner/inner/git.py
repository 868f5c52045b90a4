"""Git processes of a job: with its variables, and with credentials that no argument, file or URL shows.

The password is in the environment of these processes alone; git gets it by a credential helper that reads it
there, and that is configured by the environment, too. A second helper stays in the repository's own
configuration: it names the variable `CI_JOB_TOKEN`, so that a script's own `git fetch` works, too.
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from urllib.parse import urlsplit

import attrs

from paas_runner import __version__
from paas_runner.inner.ending import StageError, broken, exited
from paas_runner.inner.process import launched
from paas_runner.inner.repository import Repository
from paas_runner.inner.shell import Write

_USER, _PASSWORD = "PAAS_RUNNER_GIT_USER", "PAAS_RUNNER_GIT_PASSWORD"


def _reading(user: str, password: str) -> str:
    """A credential helper (gitcredentials(7)) that says what two words of shell stand for."""
    return f'!f() {{ test "$1" = get && printf "username=%s\\npassword=%s\\n" "{user}" "{password}"; }}; f'


JOB_TOKEN_HELPER = _reading("gitlab-ci-token", "$CI_JOB_TOKEN")


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
        """Run it; raises `StageError` when it fails: what it said is in the trace."""
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
