"""Pipelines out of a folder: the `.gitlab-ci.yml` itself, and what it includes of the files beside it.

Authors are not trusted: nothing outside of the folder is read, no link is followed and no device opened.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import attrs

from paas_runner.errors import RunnerError
from paas_runner.pipelines.complaints import PipelineError
from paas_runner.pipelines.gitlab_ci.bounds import MOST_BYTES
from paas_runner.pipelines.gitlab_ci.pipeline import load_pipeline
from paas_runner.pipelines.spec import Pipeline

MOST_FILES_LOOKED_AT = 20_000
_PIECES = re.compile(r"\*\*|\*|[^*]")
_ENDINGS = (".yml", ".yaml")


def load_file(path: Path) -> Pipeline:
    """The pipeline of a file; its folder is the root of the repository.

    Raises `RunnerError` that names the file, with the warnings that may tell the cause.
    """
    try:
        return load_pipeline(read_text(path), RepositoryFolder(path.parent))
    except OSError as error:
        raise RunnerError(f"{path}: {error.strerror or error}") from error
    except PipelineError as error:
        raise RunnerError(
            "\n".join([f"{path}: {error}", *(f"  warning: {w}" for w in error.warnings)])
        ) from error


def read_text(path: Path) -> str:
    """What is in a file; raises OSError and `PipelineError`."""
    with path.open("rb") as file:
        return _decoded(file.read(MOST_BYTES + 1))


@attrs.frozen
class RepositoryFolder:
    """The files of a folder for `include: local`, by path or pattern."""

    root: Path

    def __call__(self, path: str) -> Iterator[tuple[str, str]]:
        """Each file's path from the root, and its text; raises `PipelineError` for what may not be read."""
        if ".." in PurePosixPath(path).parts:
            raise PipelineError("`..` would lead out of the repository")
        names = sorted(self._matching(path)) if "*" in path else [path]
        for name in names:
            if (text := self._text(name)) is not None:
                yield name, text

    def _matching(self, pattern: str) -> Iterator[str]:
        pieces = _PIECES.findall(pattern)
        looked_at = 0
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name != ".git"]
            looked_at += len(folders) + len(names)
            if looked_at > MOST_FILES_LOOKED_AT:
                raise PipelineError(f"the folder has more than {MOST_FILES_LOOKED_AT} files")
            for name in names:
                path = Path(folder, name).relative_to(self.root).as_posix()
                if name.endswith(_ENDINGS) and _matches(path, pieces):
                    yield path

    def _text(self, path: str) -> str | None:
        """The text of a regular file; None where there is nothing."""
        try:
            with os.fdopen(_opened(self.root, PurePosixPath(path).parts), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise PipelineError("it is no regular file")
                return _decoded(file.read(MOST_BYTES + 1))
        except OSError as error:
            if self._behind_link(path):
                raise PipelineError(f"no link is followed, and `{path}` is one or lies behind one") from error
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                return None
            raise PipelineError(error.strerror or str(error)) from error
        except ValueError:  # a NUL in its name
            return None

    def _behind_link(self, path: str) -> bool:
        file = self.root / path
        return any(
            part.is_symlink()
            for part in (file, *file.parents)
            if part != self.root and part.is_relative_to(self.root)
        )


def _opened(root: Path, parts: Sequence[str]) -> int:
    """A descriptor of the file, reached folder by folder from the root without following a link."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)


def _decoded(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise PipelineError(f"it is larger than {MOST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PipelineError(f"it is not UTF-8: {error.reason} at byte {error.start}") from error


def _matches(path: str, pieces: Sequence[str]) -> bool:
    """Whether the pattern's pieces fit, in one pass: `*` stops at `/`, `**` does not."""
    places = _after_stars({0}, pieces)
    for char in path:
        stay = {
            i for i in places if i < len(pieces) and (pieces[i] == "**" or (pieces[i] == "*" and char != "/"))
        }
        step = {i + 1 for i in places if i < len(pieces) and pieces[i] == char}
        places = _after_stars(stay | step, pieces)
    return len(pieces) in places


def _after_stars(places: set[int], pieces: Sequence[str]) -> set[int]:
    """With the places that are reached when stars stand for nothing."""
    reached = set(places)
    for place in sorted(places):
        while place < len(pieces) and pieces[place] in ("*", "**"):
            place += 1  # noqa: PLW2901 - from each place along the stars
            reached.add(place)
    return reached
