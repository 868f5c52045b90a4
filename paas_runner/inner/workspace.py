"""The folders of one job."""

from collections.abc import Mapping
from pathlib import Path, PurePath

import attrs


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
