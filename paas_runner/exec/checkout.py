"""A job's copy of the working tree as it is: tracked files with their changes, new ones that are not ignored.

The tree itself is never touched. The copy's `.git` is made anew, as GitLab has it for HEAD: so deep as
`GIT_DEPTH` says, HEAD detached; what was changed since shows as changed. Submodules come as the job wants.
"""

import functools
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from paas_runner.errors import RunnerError
from paas_runner.exec.facts import Facts, git

OWN = ".paas-runner"
USUAL_DEPTH = "20"
_LISTED = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")


def check_out(facts: Facts, target: Path, variables: Mapping[str, str]) -> None:
    """Make and fill the folder `target`, as the job's variables want it; raises `RunnerError`."""
    target.mkdir(parents=True)
    if variables.get("GIT_STRATEGY") in ("none", "empty"):
        return
    with_submodules = variables.get("GIT_SUBMODULE_STRATEGY", "none")
    listed = _tracked(facts.root, with_submodules) if facts.is_repository else _found(facts.root)
    real = functools.cache(lambda folder: folder.resolve())
    for name in listed:
        source = facts.root / name
        try:
            if real(source.parent) == real(facts.root) / Path(name).parent:  # else it is removed for git, too
                _copied(source, target / name)
        except OSError as error:
            raise RunnerError(f"{source} cannot be copied: {error.strerror or error}") from None
    if facts.is_repository:
        _with_history(facts, target, variables.get("GIT_DEPTH") or USUAL_DEPTH)


def _copied(source: Path, copy: Path) -> None:
    if source.is_symlink() or source.is_file():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, copy, follow_symlinks=False)
    elif source.is_dir():
        copy.mkdir(parents=True, exist_ok=True)  # a submodule that is not wanted


def _tracked(root: Path, submodules: str) -> Iterator[str]:
    """The files of a repository, those of its submodules too; one that is not wanted is a folder."""
    for name in dict.fromkeys(git(root, *_LISTED).split("\0")):
        if not name or name.split("/")[0] == OWN or name.endswith("/"):  # a repository that is no submodule
            continue
        yield name
        if submodules in ("normal", "recursive") and (root / name / ".git").exists():
            below = _tracked(root / name, submodules if submodules == "recursive" else "none")
            yield from (f"{name}/{each}" for each in below)


def _found(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [each for each in folders if each not in (".git", OWN)]
        links = [each for each in folders if Path(folder, each).is_symlink()]
        yield from (Path(folder, each).relative_to(root).as_posix() for each in (*names, *links))


def _with_history(facts: Facts, target: Path, depth: str) -> None:
    kind = ("--object-format=sha256",) if len(facts.sha) == 64 else ()
    git(target, "init", "-q", "--template=", *kind)
    git(target, "remote", "add", "origin", facts.variables["CI_REPOSITORY_URL"])
    if not facts.sha:
        return
    limit = (f"--depth={depth}",) if depth.isdigit() and int(depth) else ()
    ref = f"+HEAD:refs/remotes/origin/{facts.variables['CI_COMMIT_REF_NAME']}"
    quiet = ("-c", "gc.auto=0", "-c", "protocol.file.allow=always")
    git(target, *quiet, "fetch", "-q", "--update-shallow", *limit, facts.root.as_uri(), ref)
    git(target, "update-ref", "--no-deref", "HEAD", facts.sha)
    git(target, "reset", "-q")
