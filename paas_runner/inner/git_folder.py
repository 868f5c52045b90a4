"""The `.git` of a job's folder, made ours before git reads it.

A hook of the job, or an earlier job, may have left one whose settings name programs and whose links lead
elsewhere. What is only data (objects, refs, the index) is kept: to fetch again what is there already would be
slow. Settings are written anew; a folder that is unlike one that `git init` makes is not used at all.
"""

import os
import stat
from collections.abc import Iterator, Sequence

from paas_runner.inner.files.folder import Folder

_GIT = ".git"
_LOCKS = ("index.lock", "shallow.lock", "HEAD.lock", "config.lock")  # of a git that was killed in the middle
_SETTINGS = ("config", "config.worktree", "hooks", "info", "worktrees", "modules")
_BORROWED = ("commondir", "gitdir", "objects/info/alternates", "objects/info/http-alternates")
_PARTS = {_GIT: stat.S_IFDIR, f"{_GIT}/HEAD": stat.S_IFREG, f"{_GIT}/objects": stat.S_IFDIR}
_ORDINARY = (stat.S_IFREG, stat.S_IFDIR)
_FETCHED_ON_DEMAND = ".promisor"


def taken_over(folder: Folder, *, nested: bool) -> bool:
    """Leave a `.git` without any settings, or none at all; whether there is one; raises OSError.

    Repositories within the folder are removed when they are in the way: if `nested`, and if the settings of
    submodules were in `.git`, without which nothing can be done with them.
    """
    there = _exists(folder, _GIT)
    ordinary = there and _is_ordinary(folder)
    if nested or (there and not ordinary) or _exists(folder, f"{_GIT}/modules"):
        _forget_nested(folder)
    if not ordinary:
        _removed(folder, _GIT)
        return False
    if _exists(folder, f"{_GIT}/info/sparse-checkout"):
        _removed(folder, f"{_GIT}/index")  # it says that files are left out on purpose
    for name in (*_LOCKS, *_SETTINGS):
        _removed(folder, f"{_GIT}/{name}")
    return True


def write_settings(folder: Folder, settings: Sequence[tuple[str, str]]) -> None:
    """Write a repository's settings, over any; raises OSError."""
    text = "".join(f"[{_section(name)}]\n\t{_key(name)} = {_quoted(value)}\n" for name, value in settings)
    folder.write(f"{_GIT}/config", text.encode())


def repository_settings(object_format: str, url: str) -> list[tuple[str, str]]:
    """What `git init` and `git remote add` would write."""
    kind = [("extensions.objectFormat", object_format)] if object_format != "sha1" else []
    return [
        ("core.repositoryFormatVersion", "1" if kind else "0"),
        *kind,
        ("core.fileMode", "true"),
        ("core.bare", "false"),
        ("core.logAllRefUpdates", "true"),
        ("remote.origin.url", url),
        ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"),
    ]


def clear(folder: Folder, *, keeping: str = "") -> None:
    """Remove all that is in the folder; raises OSError."""
    for name in folder.names("."):
        if name != keeping:
            folder.remove_tree(name)


def is_shallow(folder: Folder) -> bool:
    """Whether history is cut off."""
    return _exists(folder, f"{_GIT}/shallow")


def _is_ordinary(folder: Folder) -> bool:
    """Whether it is a folder of files and folders, complete in itself."""
    if any(_kind(folder, name) != kind for name, kind in _PARTS.items()):
        return False
    return not any(_exists(folder, f"{_GIT}/{name}") for name in _BORROWED) and all(
        kind in _ORDINARY and not name.endswith(_FETCHED_ON_DEMAND) for name, kind in _walk(folder, _GIT)
    )


def _walk(folder: Folder, path: str) -> Iterator[tuple[str, int]]:
    """The names of all that is below, and what each is."""
    with folder.parent(f"{path}/.") as (directory, name):
        for _, folders, files, descriptor in os.fwalk(name, dir_fd=directory):
            for each in (*folders, *files):
                yield each, stat.S_IFMT(os.stat(each, dir_fd=descriptor, follow_symlinks=False).st_mode)


def _forget_nested(folder: Folder) -> None:
    """Remove submodules and other repositories within."""
    nested: list[str] = []
    with folder.parent("./.") as (directory, name):
        for place, folders, files, _ in os.fwalk(name, dir_fd=directory):
            if place == ".":
                folders[:] = [each for each in folders if each != _GIT]
            elif _GIT in folders or _GIT in files:
                nested.append(place)
                folders.clear()
    for place in nested:
        _removed(folder, place)


def _removed(folder: Folder, path: str) -> None:
    folder.remove_tree(path)
    if _exists(folder, path):
        raise PermissionError(f"`{path}` was left here by another job and cannot be removed")


def _exists(folder: Folder, path: str) -> bool:
    return _kind(folder, path) is not None


def _kind(folder: Folder, path: str) -> int | None:
    """What there is, as `stat.S_IFMT` says it; None for nothing."""
    try:
        return stat.S_IFMT(folder.status(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _section(name: str) -> str:
    """The heading of a setting, `core` or `remote "origin"`."""
    section, _, rest = name.partition(".")
    middle = rest.rpartition(".")[0]
    return f"{section} {_quoted(middle)}" if middle else section


def _key(name: str) -> str:
    return name.rpartition(".")[2]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
