"""Which files of a job's folder are meant by `paths`, `exclude` and `untracked`, as GitLab Runner finds them.

Directories are taken with all that is in them. Symbolic links are taken as links; only a path that names one
before its last component leads over it, and only within the project. The trace has a line for each path.
"""

import contextlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import attrs

from paas_runner.inner.entries import FileRules
from paas_runner.inner.files.folder import Checkpoint, Folder, in_thread, never_stopping
from paas_runner.inner.files.globs import ANY_DEPTH, Glob, GlobError, Part, escaped, fits, fixed_part, parse
from paas_runner.inner.git_program import Launch, listing_environment
from paas_runner.inner.trace import Narrator


@attrs.frozen
class Note:
    """A line for the trace."""

    text: str
    is_warning: bool = False


@attrs.frozen(kw_only=True)
class Selection:
    """Files, links and directories by their paths in the folder, in order; and notes for the author."""

    files: tuple[str, ...]
    newest: float
    """When the last of them was changed, in seconds since the epoch; 0 for none."""

    notes: tuple[Note, ...]


def select(
    folder: Folder,
    wanted: FileRules,
    untracked: Sequence[str] | None = None,
    checkpoint: Checkpoint = never_stopping,
) -> Selection:
    """Find what is wanted; `untracked` is what git knows nothing of, or None when it could not list it."""
    search = _Search(folder, wanted.exclude, checkpoint)
    for path in wanted.paths:
        search.take_path(path)
    if wanted.untracked:
        search.take_untracked(untracked)
    return search.result()


class _Search:
    def __init__(self, folder: Folder, exclude: Iterable[str], checkpoint: Checkpoint) -> None:
        self._folder = folder
        self._checkpoint = checkpoint
        self._notes: list[Note] = []
        self._found: dict[str, os.stat_result] = {}
        self._excluding = [(text, glob) for text in exclude if (glob := self._glob(text)) is not None]
        self._excluded: dict[str, set[str]] = {}

    def take_path(self, text: str) -> None:
        """Add what a path or pattern means, with a note on what was found."""
        glob = self._glob(text)
        if glob is None:
            return
        seen: set[str] = set()
        for parts in glob.alternatives:
            for path in self._matches(parts):
                self._walk(path, seen)
        found = len(seen & self._found.keys())
        if found:
            self._note(f"{text}: found {found} matching artifact files and directories")
        else:
            where = f"the artifact path is relative to the working directory ({self._folder.path})"
            self._warn(f"{text}: no matching files. Ensure that {where}")

    def take_untracked(self, paths: Sequence[str] | None) -> None:
        """Add what git knows nothing of."""
        if paths is None:
            self._warn("untracked: git could not list the files")
            return
        for path in paths:
            self._take(path)
        found = len(self._found.keys() & set(paths))
        if found:
            self._note(f"untracked: found {found} files")
        else:
            self._warn("untracked: no files")

    def result(self) -> Selection:
        """All of it."""
        for rule, paths in self._excluded.items():
            self._note(f"{rule}: excluded {len(paths)} files")
        if any(path.partition("/")[0] == ".git" for path in self._found):
            self._warn("Part of .git directory is on the list of files to archive")
            self._warn("This may introduce unexpected problems")
        return Selection(
            files=tuple(sorted(self._found)),
            newest=max((status.st_mtime for status in self._found.values()), default=0.0),
            notes=tuple(self._notes),
        )

    def _glob(self, text: str) -> Glob | None:
        """The pattern of paths in the folder; None, and a warning, for one that leads out of it."""
        root = str(self._folder.path)
        fixed, pattern = fixed_part(text)
        begin = posixpath.relpath(posixpath.join(root, fixed), root)
        if not text or begin == ".." or begin.startswith("../"):
            self._warn(f"artifact path is not a subpath of project directory: {text}")
            return None
        try:
            return parse(posixpath.normpath(posixpath.join(escaped(begin), pattern)))
        except GlobError as error:
            self._warn(f"{text}: {error}")
            return None

    def _matches(self, parts: tuple[Part, ...]) -> Iterator[str]:
        """What a pattern stands for; of a directory that is meant with all its content, only itself."""
        waiting, seen = [("", 0)], set[tuple[str, int]]()
        while waiting:
            self._checkpoint()
            path, at = waiting.pop()
            if (path, at) in seen:
                continue
            seen.add((path, at))
            if parts[at:] in ((), (".",), (ANY_DEPTH,)):
                yield path
                continue
            part = parts[at]
            if part is ANY_DEPTH:
                waiting += [(path, at + 1), *((below, at) for below in self._directories(path))]
            else:
                waiting += [(below, at + 1) for below in self._fitting(path, part)]

    def _fitting(self, path: str, part: Part) -> list[str]:
        """What is in a directory and fits."""
        if isinstance(part, str):
            below = _below(path, part)
            return [below] if self._status(below) else []
        return [_below(path, name) for name in self._names(path) if fits(part, name)]

    def _walk(self, path: str, seen: set[str]) -> None:
        """Add something with all that is in it."""
        waiting = [path]
        while waiting:
            self._checkpoint()
            path = waiting.pop()
            if path not in seen:
                seen.add(path)
                if path:
                    self._take(path)
                status = self._status(path)
                if status and stat.S_ISDIR(status.st_mode):
                    waiting += [_below(path, name) for name in self._names(path)]

    def _take(self, path: str) -> None:
        """Add one thing, unless it is excluded or cannot be kept."""
        rule = next((text for text, glob in self._excluding if glob.matches(path)), None)
        status = self._status(path)
        if rule is not None:
            self._excluded.setdefault(rule, set()).add(path)
        elif status is None or path in self._found:
            pass
        elif stat.S_IFMT(status.st_mode) not in (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK):
            self._warn(f"{path}: neither a file nor a directory, it is left out")
        elif not _is_text(path):
            self._warn(f"{path}: the name is not UTF-8, it is left out")
        else:
            self._found[path] = status

    def _directories(self, path: str) -> Iterator[str]:
        for name in self._names(path):
            status = self._status(_below(path, name))
            if status and stat.S_ISDIR(status.st_mode):
                yield _below(path, name)

    def _names(self, path: str) -> list[str]:
        """What is in a directory; nothing for what is none, or lies elsewhere."""
        with contextlib.suppress(OSError):
            return self._folder.names(path)
        return []

    def _status(self, path: str) -> os.stat_result | None:
        with contextlib.suppress(OSError):
            return self._folder.status(path)
        return None

    def _note(self, text: str) -> None:
        self._notes.append(Note(text))

    def _warn(self, text: str) -> None:
        self._notes.append(Note(text, is_warning=True))


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _is_text(path: str) -> bool:
    return path == path.encode(errors="ignore").decode()


_UNTRACKED = (
    *("/bin/sh", "-c", 'exec "$@" 2>/dev/null', "untracked"),  # what git complains of is no path
    *("git", "ls-files", "-o", "-z"),
)


async def found(folder: Folder, wanted: FileRules, narrator: Narrator, launch: Launch) -> Selection:
    """What is wanted of a folder, with its notes in the trace."""
    untracked = await _untracked(folder.path, launch) if wanted.untracked else None
    selection = await in_thread(lambda checkpoint: select(folder, wanted, untracked, checkpoint))
    for note in selection.notes:
        (narrator.warning if note.is_warning else narrator.line)(note.text)
    return selection


async def _untracked(folder: Path, launch: Launch) -> Sequence[str] | None:
    """What git knows nothing of, ignored files too; None where git cannot list it."""
    output: list[bytes] = []
    environment = listing_environment(folder)
    try:
        async with launch(_UNTRACKED, folder=folder, environment=environment, write=output.append) as git:
            if await git.wait():
                return None
    except OSError:
        return None
    return [os.fsdecode(name) for name in b"".join(output).split(b"\0") if name]
