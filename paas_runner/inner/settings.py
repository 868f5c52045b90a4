"""How a job wants its stages to be run: what its variables say to the runner itself.

A value that makes no sense counts as absent and is warned of, as GitLab Runner does.
"""

import enum
from collections.abc import Callable, Mapping
from typing import TypeVar

import attrs

from paas_runner.inner.variables import JobVariables
from paas_runner.job.durations import nanoseconds

T = TypeVar("T")

AFTER_SCRIPT_SECONDS = 300.0
MOST_ATTEMPTS = 10


class GitStrategy(enum.StrEnum):
    """How a job's folder gets its sources (`GIT_STRATEGY`)."""

    CLONE = "clone"
    FETCH = "fetch"
    NONE = "none"
    EMPTY = "empty"


class Submodules(enum.StrEnum):
    """Which submodules are checked out, too (`GIT_SUBMODULE_STRATEGY`)."""

    NONE = "none"
    NORMAL = "normal"
    RECURSIVE = "recursive"


@attrs.frozen(kw_only=True)
class Settings:
    """The variables with a meaning for the runner, read."""

    git_strategy: GitStrategy
    git_checkout: bool
    git_depth: int | None
    git_clean_flags: tuple[str, ...]
    git_fetch_flags: tuple[str, ...]
    submodules: Submodules
    submodule_depth: int | None
    submodule_paths: tuple[str, ...]
    submodule_update_flags: tuple[str, ...]
    submodule_force_https: bool
    lfs_skip_smudge: bool
    attempts: Mapping[str, int]
    """By the name of the variable, e.g. `GET_SOURCES_ATTEMPTS`."""

    script_seconds: float | None
    after_script_seconds: float
    after_script_ignore_errors: bool
    debug_trace: bool
    debug_services: bool
    warnings: tuple[str, ...]


def read_settings(variables: JobVariables, *, may_fetch: bool) -> Settings:
    """Read them; `may_fetch` is the payload's `allow_git_fetch`."""
    reader = _Reader(variables)
    default = GitStrategy.FETCH if may_fetch else GitStrategy.CLONE
    found = Settings(
        git_strategy=reader.read("GIT_STRATEGY", GitStrategy, default),
        git_checkout=reader.read("GIT_CHECKOUT", _truth, default=True),
        git_depth=reader.read("GIT_DEPTH", _count, None),
        git_clean_flags=reader.flags("GIT_CLEAN_FLAGS", "-ffdx"),
        git_fetch_flags=reader.flags("GIT_FETCH_EXTRA_FLAGS", "--prune --quiet"),
        submodules=reader.read("GIT_SUBMODULE_STRATEGY", Submodules, Submodules.NONE),
        submodule_depth=reader.read("GIT_SUBMODULE_DEPTH", _count, None),
        submodule_paths=tuple(variables.get("GIT_SUBMODULE_PATHS").split()),
        submodule_update_flags=tuple(variables.get("GIT_SUBMODULE_UPDATE_FLAGS").split()),
        submodule_force_https=reader.read("GIT_SUBMODULE_FORCE_HTTPS", _truth, default=False),
        lfs_skip_smudge=reader.read("GIT_LFS_SKIP_SMUDGE", _truth, default=False),
        attempts={name: reader.read(name, _attempts, 1) for name in ATTEMPTS},
        script_seconds=reader.read("RUNNER_SCRIPT_TIMEOUT", seconds, None),
        after_script_seconds=reader.read("RUNNER_AFTER_SCRIPT_TIMEOUT", seconds, AFTER_SCRIPT_SECONDS),
        after_script_ignore_errors=reader.read("AFTER_SCRIPT_IGNORE_ERRORS", _truth, default=True),
        debug_trace=reader.read("CI_DEBUG_TRACE", _truth, default=False),
        debug_services=reader.read("CI_DEBUG_SERVICES", _truth, default=False),
        warnings=(),
    )
    return attrs.evolve(found, warnings=tuple(reader.warnings))


ATTEMPTS = ("GET_SOURCES_ATTEMPTS", "RESTORE_CACHE_ATTEMPTS", "ARTIFACT_DOWNLOAD_ATTEMPTS")


class _Reader:
    """Reads variables one by one and remembers what could not be understood."""

    def __init__(self, variables: JobVariables) -> None:
        self._variables = variables
        self.warnings: list[str] = []

    def read(self, name: str, meaning: Callable[[str], T], default: T) -> T:
        """What the variable means, or the default when it is empty or means nothing."""
        text = self._variables.get(name).strip()
        if not text:
            return default
        try:
            return meaning(text)
        except ValueError:
            self.warnings.append(f"{name} is ignored: `{text}` is not understood; {default} is used instead")
            return default

    def flags(self, name: str, default: str) -> tuple[str, ...]:
        """Options for git; `none` stands for none at all."""
        text = self._variables.get(name).strip() or default
        return () if text == "none" else tuple(text.split())


def seconds(text: str) -> float:
    """A duration as Go writes it, `1h30m`; raises ValueError, also for none at all."""
    span = nanoseconds(text)
    if span <= 0:
        raise ValueError(text)
    return span / 1e9


def _truth(text: str) -> bool:
    """As Go's `strconv.ParseBool`, whatever the case."""
    match text.lower():
        case "1" | "t" | "true":
            return True
        case "0" | "f" | "false":
            return False
    raise ValueError(text)


def _count(text: str) -> int | None:
    if not text.isascii() or not text.isdigit():
        raise ValueError(text)
    return int(text)


def _attempts(text: str) -> int:
    number = _count(text) or 0
    if not 1 <= number <= MOST_ATTEMPTS:
        raise ValueError(text)
    return number
