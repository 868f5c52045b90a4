"""What an author wants to be kept of a job's files, and after which result of its scripts; pure."""

import enum
from collections.abc import Callable, Mapping
from typing import Any

import attrs


@attrs.frozen(kw_only=True)
class Wanted:
    """Which files; variables are expanded. False when none are named."""

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    untracked: bool = False

    def __bool__(self) -> bool:
        return bool(self.paths) or self.untracked


class When(enum.StrEnum):
    """The values of `when` in the payload's `artifacts` and `cache` (spec gitlab-runner-api.md §6)."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"

    def covers(self, *, succeeded: bool) -> bool:
        """Whether this result is meant."""
        return self is When.ALWAYS or (self is When.ON_SUCCESS) == succeeded


def read_wanted(entry: Mapping[str, Any], expand: Callable[[str], str]) -> Wanted:
    """What an entry of the payload's `artifacts` or `cache` names."""
    return Wanted(
        paths=texts(entry.get("paths"), expand),
        exclude=texts(entry.get("exclude"), expand),
        untracked=entry.get("untracked") is True,
    )


def read_when(entry: Mapping[str, Any]) -> When:
    """The `when` of such an entry; what is not there, or not known, stands for the usual case."""
    return next((when for when in When if when == entry.get("when")), When.ON_SUCCESS)


def texts(found: object, expand: Callable[[str], str]) -> tuple[str, ...]:
    """A list of a payload, expanded; empty for what is none."""
    return tuple(expand(str(item)) for item in found) if isinstance(found, list) else ()
