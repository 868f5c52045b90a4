"""Which files are definitions: the glob that `path` and `pattern` make together (spec prunner-api.md §1.1).

`**` crosses folders, also none, `{a,b}` alternates, `*`, `?` and `[a-z]` match within a name, hidden ones
too. Symbolic links are followed; a folder is looked through once for what the pattern can still become in it,
so that links in a circle end. A file that is found twice, through links, is one: by its path without them.
"""

import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

from paas_pipelines.definitions.reading import Complaint, DefinitionsError, reason_of

_ANY_DEPTH = "**"
_MOST_ALTERNATIVES = 1000
_WILDCARD = re.compile(r"[*?{\[]")
_BRACES = re.compile(r"\{([^{}]*)\}")

_Segments: TypeAlias = tuple[str, ...]
_States: TypeAlias = frozenset[_Segments]
"""What may still follow: of each alternative that has fitted so far, the segments that are left."""


def find(path: str | os.PathLike[str], pattern: str) -> Sequence[str]:
    """Sorted as bytes; nothing is found by wildcards that fit nothing.

    Raises `DefinitionsError` for a plain name that does not exist, and a folder that cannot be read.
    """
    joined = os.path.normpath("/".join(part for part in (os.fspath(path), pattern) if part))
    segments = joined.split("/")
    first = next((number for number, segment in enumerate(segments) if _WILDCARD.search(segment)), None)
    if first is None or Path(joined).exists():
        if not Path(joined).exists():
            raise _error("file does not exist", joined)
        return [joined]
    root = "/".join(segments[:first]) or ("/" if joined.startswith("/") else ".")
    found: dict[str, str] = {}
    states = frozenset(_alternatives("/".join(segments[first:])))
    for file in sorted(_walked(root, states), key=os.path.islink):  # those that are none come first
        found.setdefault(os.path.realpath(file), file)
    return sorted(found.values(), key=os.fsencode)


def _walked(root: str, states: _States) -> Iterator[str]:
    """Each file that fits; links to folders are followed last."""
    folders = deque([(root, states)])
    seen: set[tuple[int, int, _States]] = set()
    while folders:
        folder, states = folders.popleft()
        prefix = "" if folder == "." else folder.rstrip("/") + "/"
        for entry in _entries(folder, states, seen, is_root=folder == root):
            after = _after(states, entry.name)
            if not after:
                continue
            path, is_link, below = prefix + entry.name, entry.is_symlink(), after - {()}
            if not (os.path.isdir(path) if is_link else entry.is_dir()):  # noqa: PTH112 - it never raises
                if () in after:
                    yield path
            elif below and is_link:
                folders.append((path, below))
            elif below:
                folders.appendleft((path, below))


def _entries(
    folder: str, states: _States, seen: set[tuple[int, int, _States]], *, is_root: bool
) -> Sequence[os.DirEntry[str]]:
    """Of a folder that has not been looked through for these states; none of one that has just vanished."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - of so many folders that a Path for each is felt
        key = (status.st_dev, status.st_ino, states)
        if key in seen:
            return ()
        seen.add(key)
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        if not is_root and isinstance(error, FileNotFoundError | NotADirectoryError):
            return ()
        raise _error(f"open {folder}: {reason_of(error)}", folder) from None


def _after(states: _States, name: str) -> _States:
    """What may follow after a name; nothing at all, the empty segments, where it fits itself."""
    found: set[_Segments] = set()
    for state in states:
        rest = state
        while rest[0] == _ANY_DEPTH:  # never the last one
            found.add(rest)
            rest = rest[1:]
        if fnmatchcase(name, rest[0]):
            found.add(rest[1:])
    return frozenset(found)


def _alternatives(pattern: str) -> Iterator[_Segments]:
    """Of all braces, each combination; a `**` at the end is a `*`, and `[^a]` is `[!a]`."""
    left = [pattern]
    for _ in range(_MOST_ALTERNATIVES):
        if not left:
            return
        text = left.pop()
        if braces := _BRACES.search(text):
            left += [text[: braces.start()] + each + text[braces.end() :] for each in braces[1].split(",")]
        else:
            *above, last = text.replace("[^", "[!").split("/")
            yield (*above, "*" if last == _ANY_DEPTH else last)
    raise _error(f"more than {_MOST_ALTERNATIVES} alternatives", pattern)


def _error(reason: str, file: str) -> DefinitionsError:
    text = f"finding files with glob: {reason}"
    return DefinitionsError(text, Complaint(file=file, text=text))
