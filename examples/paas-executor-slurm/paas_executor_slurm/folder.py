"""A host's folder in the shared one: the CI job on its way to the node, and what the node writes.

`<shared folder>/<installation>/<host name>/` has runner.toml and job.json, `launched-<Slurm job>` as soon as
that one may begin, `started` as soon as one has begun, and `output-<Slurm job>.log`. It is for the service's
user alone; but CI jobs are that user, too, so no link that one may have put there is followed.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO

import attrs

MOST_LOG_BYTES = 16_384


@attrs.frozen
class HostFolder:
    """Blocking, as any file system; each call may be repeated, and raises OSError."""

    path: Path

    def make(self) -> None:
        """An installation's folder, too."""
        for folder in (self.path.parent, self.path):
            folder.mkdir(mode=0o700, exist_ok=True)

    def hand_over(self, files: Mapping[str, bytes], ref: str) -> bool:
        """The files first, then the word to begin; False, and nothing, where another Slurm job has it."""
        launched = self.path / f"launched-{ref}"
        if not set(self._launched()) <= {launched}:
            return False
        for name, content in files.items():
            fresh = self.path / f"{name}.new"
            with _opened(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path / name)
        launched.touch(mode=0o600)
        return True

    def log(self, ref: str) -> str:
        """The end of what the node wrote; empty where there is nothing."""
        with (
            contextlib.suppress(FileNotFoundError),
            _opened(self.path / f"output-{ref}.log", os.O_RDONLY | os.O_NONBLOCK) as file,
        ):
            file.seek(max(0, os.fstat(file.fileno()).st_size - MOST_LOG_BYTES))
            return file.read(MOST_LOG_BYTES).decode(errors="replace")
        return ""

    def launched(self) -> bool:
        """Whether a job was handed over."""
        return any(self._launched())

    def remove(self) -> None:
        """With all that is in it, and whatever its job has locked; a link that stands in its place."""
        if self.path.is_symlink():
            self.path.unlink()
        for place, folders, _ in os.walk(self.path):
            for folder in (Path(place, name) for name in folders):
                if not folder.is_symlink():
                    folder.chmod(0o700)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.path)

    def _launched(self) -> Iterable[Path]:
        return self.path.glob("launched-*")


def _opened(path: Path, flags: int) -> IO[bytes]:
    return os.fdopen(os.open(path, flags | os.O_NOFOLLOW, 0o600), "wb" if flags & os.O_WRONLY else "rb")
