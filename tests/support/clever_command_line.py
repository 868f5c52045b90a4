"""Clever Cloud's own command line, used by a member of a sandbox's organisation, in a git repository."""

import asyncio
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from paas_runner.sandbox.cloud import Application, CloudOptions
from paas_runner.sandbox.server import Sandbox

DOCKERFILE: Mapping[str, str] = {"Dockerfile": "FROM scratch\n"}


@attrs.frozen(kw_only=True)
class Finished:
    """What one command came to."""

    code: int
    result: str


@attrs.frozen(kw_only=True)
class Clever:
    """Nothing of the machine's user is in its environment: no settings, no credentials, no proxy."""

    sandbox: Sandbox
    folder: Path
    program: Sequence[str]
    environment: Mapping[str, str] = attrs.field(repr=False)

    async def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Run one command, which succeeds, and give what it told."""
        finished = await self.attempt(*arguments, stdin=stdin)
        assert finished.code == 0, finished.result
        return finished.result

    async def attempt(self, *arguments: str, stdin: str = "", **environment: str) -> Finished:
        """Run one command, perhaps in vain."""
        return await self._run((*self.program, *arguments), stdin, environment)

    async def git(self, *arguments: str) -> str:
        finished = await self._run(("git", *arguments))
        assert finished.code == 0, finished.result
        return finished.result.strip()

    async def commit(self, files: Mapping[str, str] = DOCKERFILE) -> str:
        """The id of a new commit that has these files, too."""
        for name, content in files.items():
            (self.folder / name).write_text(content)
        await self.git("add", *files)
        await self.git("commit", "--quiet", "--message", "a commit")
        return await self.git("rev-parse", "HEAD")

    async def create(self, name: str, *more: str) -> Application:
        """A new docker application in the organisation."""
        result = await self("create", "--type", "docker", "--org", self.sandbox.organisation_id, name, *more)
        assert f"Application {name} successfully created!" in result
        return self.applications[-1]

    @property
    def applications(self) -> list[Application]:
        return self.sandbox.cloud.applications(self.sandbox.organisation_id)

    @property
    def accepted(self) -> list[str]:
        """The changing calls that the cloud has accepted."""
        return [call.verb for call in self.sandbox.cloud.ledger.calls]

    def cloud_is(self, options: CloudOptions) -> None:
        """How the cloud behaves from now on."""
        self.sandbox.cloud.options = options

    async def _run(
        self, command: Sequence[str], stdin: str = "", environment: Mapping[str, str] | None = None
    ) -> Finished:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(60):
                result, _ = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return Finished(code=process.returncode or 0, result=result.decode())


def environment(home: Path, more: Mapping[str, str]) -> dict[str, str]:
    """What the command line has instead of its user's environment; its settings are made below `home`."""
    settings = home / "settings" / "clever-cloud"
    settings.mkdir(parents=True)
    (settings / "clever-tools-experimental-features.json").write_text('{"system-git": true}')
    git = Path(shutil.which("git") or "git")
    who = {f"GIT_{role}_NAME": "somebody" for role in ("AUTHOR", "COMMITTER")}
    where = {f"GIT_{role}_EMAIL": "somebody@localhost" for role in ("AUTHOR", "COMMITTER")}
    return {
        "PATH": os.pathsep.join((str(git.parent), os.defpath)),
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(settings.parent),
        "NO_COLOR": "1",
        "TZ": "UTC",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **who,
        **where,
        **more,
    }
