"""How a job is run: what the host's owner says in `runner.toml`, and what the job's variables say.

`runner.toml` has exactly one `[[runners]]` section of GitLab Runner's format. A variable that makes no sense
counts as absent and is warned of, as GitLab Runner does.
"""

import enum
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from paas_runner.errors import RunnerError
from paas_runner.job.durations import nanoseconds

T = TypeVar("T")
DEFAULT_OUTPUT_LIMIT_KIB = 4096  # spec gitlab-runner-api.md §4.4
AFTER_SCRIPT_SECONDS = 300.0
MOST_ATTEMPTS = 10
ATTEMPTS = ("GET_SOURCES_ATTEMPTS", "RESTORE_CACHE_ATTEMPTS", "ARTIFACT_DOWNLOAD_ATTEMPTS")
_TEXTS = (
    "name",
    "executor",
    "builds_dir",
    "cache_dir",
    "clone_url",
    "pre_get_sources_script",
    "post_get_sources_script",
    "pre_build_script",
    "post_build_script",
)


@attrs.frozen(kw_only=True)
class Timings:
    """All in seconds."""

    interval: float = 3.0  # between pieces of the trace, unless the coordinator asks for another
    keep_alive: float = 30.0  # of silence, at most
    shortest_keep_alive: float = 5.0  # the same, where the coordinator wants pieces of the trace often
    first_backoff: float = 1.0  # after a failed try; it doubles
    longest_backoff: float = 60.0
    report_timeout: float = 1800.0  # to report the result
    hurried_report_timeout: float = 20.0  # the same, when the host is about to end
    grace: float = 10.0  # between SIGTERM and SIGKILL
    hurried_grace: float = 2.0  # the same, when the host is about to end
    stage_backoff: float = 5.0  # before a stage is tried again; it grows

    def keep_alive_for(self, interval: float) -> float:
        """How long to be silent where the coordinator asked for this interval between pieces of the trace.

        GitLab asks for a short one while someone looks at the job, who may cancel it, and a job that writes
        nothing learns of that by its signs of life alone (spec gitlab-runner-api.md §4.3).
        """
        return min(self.keep_alive, max(interval, self.shortest_keep_alive))


class InnerRunnerError(RunnerError):
    """The two files of a deployment do not make a job: there is no coordinator to report it to."""


@attrs.frozen(kw_only=True)
class RunnerSection:
    """The keys that have a meaning here; all others are ignored, as GitLab Runner does."""

    url: str
    token: str
    name: str = ""
    executor: str = ""
    environment: tuple[str, ...] = ()
    output_limit_bytes: int = DEFAULT_OUTPUT_LIMIT_KIB * 1024
    builds_dir: str = ""
    cache_dir: str = ""
    clone_url: str = ""
    pre_get_sources_script: str = ""
    post_get_sources_script: str = ""
    pre_build_script: str = ""
    post_build_script: str = ""
    debug_trace_disabled: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    authority: str = attrs.field(default="", repr=False)
    """The certificates in `ca_file`, once it was read."""

    tables: Mapping[str, Mapping[str, Any]] = attrs.field(factory=dict, repr=False)
    """The tables of the section by name (`docker`, `cache`), as they are: they hold credentials."""


def read_section(text: str) -> RunnerSection:
    """The only section of `text`; raises `InnerRunnerError`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InnerRunnerError(f"runner.toml is no TOML: {error}") from None
    sections = document.get("runners")
    if not isinstance(sections, list) or len(sections) != 1 or not isinstance(sections[0], dict):
        raise InnerRunnerError("runner.toml must have exactly one [[runners]] section")
    section: dict[str, Any] = sections[0]
    url, token = section.get("url"), section.get("token")
    if not isinstance(url, str) or not isinstance(token, str) or not url.startswith(("http://", "https://")):
        raise InnerRunnerError("runner.toml: the section needs `url` (http or https) and `token`")
    limit = section.get("output_limit")
    return RunnerSection(
        url=url.rstrip("/").removesuffix("/ci"),  # as GitLab Runner does
        token=token,
        environment=tuple(str(entry) for entry in section.get("environment") or ()),
        output_limit_bytes=(limit if isinstance(limit, int) and limit > 0 else DEFAULT_OUTPUT_LIMIT_KIB)
        * 1024,
        debug_trace_disabled=section.get("debug_trace_disabled") is True,
        ca_file=str(section.get("tls-ca-file") or ""),
        cert_file=str(section.get("tls-cert-file") or ""),
        key_file=str(section.get("tls-key-file") or ""),
        tables={key: table for key, table in section.items() if isinstance(table, dict)},
        **{key: str(section.get(key, "")) for key in _TEXTS},
    )


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


def read_settings(variable: Callable[[str], str], *, may_fetch: bool) -> Settings:
    """Read them by name, empty for what is not there; `may_fetch` is the payload's `allow_git_fetch`."""
    reader = _VariableReader(variable)
    default = GitStrategy.FETCH if may_fetch else GitStrategy.CLONE
    found = Settings(
        git_strategy=reader.read("GIT_STRATEGY", GitStrategy, default),
        git_checkout=reader.read("GIT_CHECKOUT", _truth, default=True),
        git_depth=reader.read("GIT_DEPTH", _count, None),
        git_clean_flags=reader.flags("GIT_CLEAN_FLAGS", "-ffdx"),
        git_fetch_flags=reader.flags("GIT_FETCH_EXTRA_FLAGS", "--prune --quiet"),
        submodules=reader.read("GIT_SUBMODULE_STRATEGY", Submodules, Submodules.NONE),
        submodule_depth=reader.read("GIT_SUBMODULE_DEPTH", _count, None),
        submodule_paths=tuple(variable("GIT_SUBMODULE_PATHS").split()),
        submodule_update_flags=tuple(variable("GIT_SUBMODULE_UPDATE_FLAGS").split()),
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


class _VariableReader:
    """Reads variables one by one and remembers what could not be understood."""

    def __init__(self, variable: Callable[[str], str]) -> None:
        self._variable = variable
        self.warnings: list[str] = []

    def read(self, name: str, meaning: Callable[[str], T], default: T) -> T:
        """What the variable means, or the default when it is empty or means nothing."""
        text = self._variable(name).strip()
        if not text:
            return default
        try:
            return meaning(text)
        except ValueError:
            self.warnings.append(f"{name} is ignored: `{text}` is not understood; {default} is used instead")
            return default

    def flags(self, name: str, default: str) -> tuple[str, ...]:
        """Options for git; `none` stands for none at all."""
        text = self._variable(name).strip() or default
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
