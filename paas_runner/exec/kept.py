"""What stays in a project's folder from one run to the next: artifacts and caches, in `.paas-runner/exec`.

Copies of the tree are there only while a job runs: whoever is killed leaves one behind, unlocked, and the
next run removes it.
"""

import contextlib
import fcntl
import itertools
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from urllib.parse import quote

import attrs

from paas_runner.errors import RunnerError
from paas_runner.exec.dotenv_report import DOTENV
from paas_runner.inner.files.archive import ArchiveError
from paas_runner.inner.files.folder import Folder
from paas_runner.inner.files.unpack import unpack
from paas_runner.pipelines.reports import Artifact
from paas_runner.pipelines.spec import ARCHIVE

_FOR_OTHERS = {f"{ARCHIVE}.zip": ARCHIVE, f"{DOTENV}.gz": DOTENV}
_ENDINGS = {"gzip": ".gz", "zip": ".zip"}
_READABLE = " :,[]()+@"


@attrs.frozen
class Kept:
    """The folder, which ignores itself in git."""

    root: Path

    @property
    def cache(self) -> Path:
        return self.root / "cache"

    def found(self, name: str) -> dict[str, bytes]:
        """What a job has left for others, by kind: its archive, and its variables."""
        files = {kind: self._place(name) / file for file, kind in _FOR_OTHERS.items()}
        return {kind: file.read_bytes() for kind, file in files.items() if file.is_file()}

    def has(self, name: str) -> bool:
        """Whether a job has left anything for others."""
        return bool(self.found(name))

    def files(self, name: str) -> list[Path]:
        """All that a job has left, seen from the current folder."""
        here = Path.cwd()
        found = sorted(self._place(name).glob("*"))
        return [file.relative_to(here) if file.is_relative_to(here) else file for file in found]

    def unpack(self, names: Iterable[str], target: Path) -> None:
        """Unpack archives one over the other; raises `RunnerError`."""
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name in names:
                if archive := self.found(name).get(ARCHIVE):
                    unpack(BytesIO(archive), Folder(target.resolve()))
        except (OSError, ArchiveError) as error:
            raise RunnerError(f"--artifacts-dir {target}: {error}") from None

    def store(self, name: str, artifacts: Mapping[str, Artifact]) -> None:
        """Have these in the place of those of an earlier run; raises `RunnerError`."""
        place = self._place(name)
        shutil.rmtree(place, ignore_errors=True)
        try:
            for kind, artifact in artifacts.items():
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{kind}{_ENDINGS.get(artifact.form, '')}").write_bytes(artifact.read())
        except OSError as error:
            raise RunnerError(f"{place}: {error.strerror or error}") from None

    @contextlib.contextmanager
    def builds(self) -> Iterator[Path]:
        """A new folder for copies that only this user can enter; raises `RunnerError`.

        Its path is the same in each run, since caches may have it in them, but for one beside another.
        """
        parent = self.root / "builds"
        with contextlib.ExitStack() as stack:
            try:
                parent.mkdir(parents=True, exist_ok=True)
                (self.root.parent / ".gitignore").write_text("*\n")
                with _locked(parent, fcntl.LOCK_EX):  # nobody takes a new one for a left one
                    for left in parent.iterdir():
                        with contextlib.suppress(BlockingIOError), _locked(left):
                            shutil.rmtree(left, ignore_errors=True)
                    places = (parent / str(number) for number in itertools.count())
                    folder = next(each for each in places if not each.exists())
                    folder.mkdir(mode=0o700)
                    stack.enter_context(_locked(folder))
            except OSError as error:
                raise RunnerError(f"{self.root}: {error.strerror or error}") from None
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            yield folder

    def _place(self, name: str) -> Path:
        return self.root / "artifacts" / quote(name, safe=_READABLE)


@contextlib.contextmanager
def _locked(folder: Path, how: int = fcntl.LOCK_EX | fcntl.LOCK_NB) -> Iterator[None]:
    """Raises `BlockingIOError` where somebody else has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
