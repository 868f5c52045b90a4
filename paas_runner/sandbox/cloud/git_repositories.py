"""Bare repositories on disk, one per application, with the platform's rules on what may be pushed.

Every git process runs in an environment of its own, so that the user's configuration cannot change anything.
Rules and messages: spec clever-cloud-api.md §3.3.
"""

import asyncio
import contextlib
import io
import os
import shutil
import signal
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from paas_runner.errors import RunnerError

_UPDATE = """#!/bin/sh
if [ "$1" != refs/heads/master ]; then
    echo "Error: You tried to push to a custom branch. This is not allowed." >&2
    exit 1
fi
"""

_POST_RECEIVE = """#!/bin/sh
echo "[SUCCESS] The application has successfully been queued for redeploy."
"""

_CONFIG = """[core]
    repositoryformatversion = 0
    filemode = true
    bare = true
    hooksPath = {hooks}
[http]
    receivepack = true
[receive]
    denyDeletes = true
    autogc = false
[gc]
    auto = 0
"""


class GitError(RunnerError):
    """A git process failed where it should not have."""


class GitRepositories:
    """The repositories below `root`, a directory that the caller owns and removes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._hooks = root / "hooks"
        self._creation = asyncio.Lock()
        self.environment: Mapping[str, str] = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(root),
            "LC_ALL": "C",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
        }
        self._hooks.mkdir(parents=True)
        for name, text in (("update", _UPDATE), ("post-receive", _POST_RECEIVE)):
            hook = self._hooks / name
            hook.write_text(text)
            hook.chmod(0o755)

    async def http_backend(self) -> Path:
        """Where git keeps the program that serves repositories over HTTP; raises `GitError` without it."""
        backend = Path((await self._git("--exec-path")).decode().strip()) / "git-http-backend"
        if not backend.exists():
            raise GitError(f"this git has no {backend}")
        return backend

    async def of(self, app_id: str) -> Path:
        """The repository of an application, made when it is first asked for."""
        repository = self.root / f"{app_id}.git"
        async with self._creation:
            if not repository.exists():
                making = repository.with_suffix(".making")
                shutil.rmtree(making, ignore_errors=True)
                await self._git("init", "--quiet", "--bare", "--template=", str(making))
                (making / "HEAD").write_text("ref: refs/heads/master\n")
                (making / "config").write_text(_CONFIG.format(hooks=self._hooks))
                making.rename(repository)
        return repository

    def master(self, repository: Path) -> str | None:
        """The commit that `master` is at; refs are never packed here."""
        ref = repository / "refs" / "heads" / "master"
        return ref.read_text().strip() if ref.exists() else None

    async def files(self, repository: Path, commit: str) -> dict[str, bytes]:
        """The regular files of a commit by their paths."""
        archive = await self._git("--git-dir", str(repository), "archive", "--format=tar", commit)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            contents = ((member.name, tar.extractfile(member)) for member in tar if member.isfile())
            return {name: content.read() for name, content in contents if content is not None}

    async def _git(self, *arguments: str) -> bytes:
        async with self.process("git", *arguments, stderr=asyncio.subprocess.PIPE) as process:
            out, err = await process.communicate()
        if process.returncode:
            raise GitError(f"git {arguments[0]}: {err.decode(errors='replace').strip()}")
        return out

    @contextlib.asynccontextmanager
    async def process(
        self,
        *command: str,
        environment: Mapping[str, str] | None = None,
        stderr: int = asyncio.subprocess.DEVNULL,
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        """A process of git's with pipes; it and its children are gone when the block is left."""
        process = await asyncio.create_subprocess_exec(
            *command,
            env={**self.environment, **(environment or {})},
            cwd=self.root,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            kill(process)
            await process.wait()


def kill(process: asyncio.subprocess.Process) -> None:
    """End it and its children, unless it has ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
