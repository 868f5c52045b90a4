"""What the inner runner reads from its `runner.toml`: one `[[runners]]` section of GitLab Runner's format."""

import tomllib
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import attrs

from paas_runner.errors import RunnerError

DEFAULT_OUTPUT_LIMIT_KIB = 4096  # spec gitlab-runner-api.md §4.4


class InnerRunnerError(RunnerError):
    """The two files of a deployment do not make a job: nobody can be told but the host's owner."""


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
        url=url.rstrip("/"),
        token=token,
        environment=tuple(str(entry) for entry in section.get("environment") or ()),
        output_limit_bytes=(limit if isinstance(limit, int) and limit > 0 else DEFAULT_OUTPUT_LIMIT_KIB)
        * 1024,
        debug_trace_disabled=section.get("debug_trace_disabled") is True,
        tables={key: table for key, table in section.items() if isinstance(table, dict)},
        **{key: str(section.get(key, "")) for key in _TEXTS},
    )


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
class Workspace:
    """Where projects are, where this one's sources are, and what lies beside them."""

    builds: PurePath
    project: PurePath

    @property
    def files(self) -> PurePath:
        """Where file variables are written (spec gitlab-runner-api.md §10.4)."""
        return self.project.with_name(f"{self.project.name}.tmp")

    @property
    def gitlab_env(self) -> PurePath:
        """What a script writes into this file, as `NAME=value`, the next script has as variables (§10.4)."""
        return self.files / "gitlab_runner_env"


def write_files(files: Mapping[PurePath, str]) -> None:
    """Write a job's file variables; raises OSError, or ValueError for text that no file can hold."""
    for path, content in files.items():
        Path(path).write_text(content, encoding="utf-8")
