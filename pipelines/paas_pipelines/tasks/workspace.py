"""What a task has on this machine's disk as long as it is at work: a private folder below the data folder.

`output` is where it tells its outputs, `secrets` has the files of its credentials, `files` is its working
directory where it has one. The folder goes when the task has ended; what a crash leaves, at the next start.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from paas_runner.secret import Secret


@attrs.frozen
class Workspaces:
    """All of a server, in one folder that is theirs alone; without one, in the system's temporary folder."""

    folder: Path | None = None

    def sweep(self) -> None:
        """Remove what an earlier server has left: once, before any task is at work."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def fresh(self) -> Iterator["Workspace"]:
        """An empty one, as long as the block lasts; raises OSError."""
        if self.folder is not None:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = Path(tempfile.mkdtemp(prefix="task-", dir=self.folder)).absolute()
        try:
            yield Workspace(path)
        finally:
            _remove(path)


@attrs.frozen
class Workspace:
    """Of one task."""

    path: Path

    @property
    def output(self) -> Path:
        """Where its outputs are written; it exists, and is empty, once it was asked for."""
        path = self.path / "output"
        if not path.exists():
            path.touch(mode=0o600)
        return path

    @property
    def files(self) -> Path:
        """Its working directory; it exists once it was asked for."""
        path = self.path / "files"
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def with_secrets(self, values: Mapping[str, Secret]) -> Mapping[str, str]:
        """A file of mode 0600 for each of them, whose path is the value of the variable; raises OSError."""
        folder = self.path / "secrets"
        if values:
            folder.mkdir(mode=0o700, exist_ok=True)
        found: dict[str, str] = {}
        for number, (name, value) in enumerate(values.items()):
            path = folder / str(number)
            path.touch(mode=0o600)
            path.write_bytes(value.reveal().encode(errors="surrogateescape"))
            found[name] = str(path)
        return found


def _remove(path: Path) -> None:
    """Also folders that the task has closed for itself."""
    for folder, names, _ in os.walk(path):
        for inner in (Path(folder, name) for name in names):
            if not inner.is_symlink():
                with suppress(OSError):
                    inner.chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
