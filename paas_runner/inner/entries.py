"""What a payload says of files to be kept: artifacts and caches, their paths, names and rules; pure.

Spec gitlab-runner-api.md §6.1 to §6.3.
"""

import enum
import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import attrs

from paas_runner.inner.job import mappings, texts
from paas_runner.secret import Secret

PROTECTED = "-protected"
"""How the coordinator ends the keys of protected branches: no variable may name one."""
_SUFFIXES = {"zip": ".zip", "gzip": ".gz"}


class When(enum.StrEnum):
    """The values of `when` in the payload's `artifacts` and `cache` (spec gitlab-runner-api.md §6)."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"

    def covers(self, *, succeeded: bool) -> bool:
        """Whether this result is meant."""
        return self is When.ALWAYS or (self is When.ON_SUCCESS) == succeeded


@attrs.frozen(kw_only=True)
class FileRules:
    """Which files; variables are expanded. False when none are named."""

    paths: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    untracked: bool = False

    def __bool__(self) -> bool:
        return bool(self.paths) or self.untracked


@attrs.frozen(kw_only=True)
class ArtifactEntry:
    """One archive or report (spec gitlab-runner-api.md §6.1); variables are expanded."""

    wanted: FileRules
    when: When = When.ON_SUCCESS
    name: str = "artifacts"
    kind: str = "archive"
    """The `artifact_type`, e.g. `junit`."""

    format: str = "zip"
    """The `artifact_format` as it came."""

    expire_in: str = ""

    @property
    def filename(self) -> str:
        """What the uploaded file is called."""
        name = self.name.rstrip("/").rpartition("/")[2]
        return (name if name not in ("", ".") else "default") + _SUFFIXES.get(self.format, "")

    @property
    def query(self) -> dict[str, str]:
        """The parameters of its upload; those without a value are left out."""
        found = {"artifact_format": self.format, "artifact_type": self.kind, "expire_in": self.expire_in}
        return {name: value for name, value in found.items() if value}


@attrs.frozen(kw_only=True)
class Dependency:
    """Another job whose artifacts this one gets, and the token that opens them."""

    job_id: int
    name: str
    token: Secret


class CachePolicy(enum.StrEnum):
    """What is done with a cache."""

    PULL = "pull"
    PUSH = "push"
    PULL_PUSH = "pull-push"

    def allows(self, direction: "CachePolicy") -> bool:
        """Whether it is fetched (`PULL`), or saved (`PUSH`)."""
        return self in (direction, CachePolicy.PULL_PUSH)


@attrs.frozen
class CacheKey:
    """A key that can be used as a path and as the name of an object, or none at all: then `text` is empty."""

    text: str
    warning: str = ""


@attrs.frozen(kw_only=True)
class CacheEntry:
    """One cache of a job; variables are expanded."""

    wanted: FileRules
    key: CacheKey
    fallbacks: tuple[CacheKey, ...] = ()
    policy: CachePolicy | None = CachePolicy.PULL_PUSH
    """None for one that is not known."""

    when: When = When.ON_SUCCESS


E = TypeVar("E", ArtifactEntry, CacheEntry)


def due(entries: Iterable[E], *, succeeded: bool) -> tuple[E, ...]:
    """The entries that are looked at after such a result of the scripts."""
    return tuple(entry for entry in entries if entry.when.covers(succeeded=succeeded))


def read_artifacts(found: object, expand: Callable[[str], str]) -> tuple[ArtifactEntry, ...]:
    """The entries of the payload's `artifacts`; those that name no files are left out."""
    entries = (
        ArtifactEntry(
            wanted=read_file_rules(entry, expand),
            when=read_when(entry),
            name=expand(str(entry.get("name") or "artifacts")),
            kind=str(entry.get("artifact_type") or "archive"),
            format=str(entry.get("artifact_format") or "zip"),
            expire_in=str(entry.get("expire_in") or ""),
        )
        for entry in mappings(found)
    )
    return tuple(entry for entry in entries if entry.wanted)


def read_dependencies(found: object) -> tuple[Dependency, ...]:
    """The entries of the payload's `dependencies` that have artifacts (spec gitlab-runner-api.md §6.2)."""
    return tuple(
        Dependency(
            job_id=entry["id"],
            name=str(entry.get("name", "")),
            token=Secret(str(entry.get("token", ""))),
        )
        for entry in mappings(found)
        if isinstance(entry.get("id"), int) and any(file.get("filename") for file in _file(entry))
    )


def read_caches(
    found: object, expand: Callable[[str], str], *, default_key: str, fallback_key: str
) -> tuple[CacheEntry, ...]:
    """The entries of the payload's `cache` that name files.

    `default_key` is for those without one, `fallback_key` the value of `CACHE_FALLBACK_KEY`.
    """
    last = (_fallback(fallback_key),) if fallback_key else ()
    entries = (
        CacheEntry(
            wanted=read_file_rules(entry, expand),
            key=read_key(expand(str(entry.get("key") or default_key))),
            fallbacks=(*(read_key(key) for key in texts(entry.get("fallback_keys"), expand)), *last),
            policy=_policy(expand(str(entry.get("policy") or ""))),
            when=read_when(entry),
        )
        for entry in mappings(found)
    )
    return tuple(entry for entry in entries if entry.wanted)


def read_key(raw: str) -> CacheKey:
    """The key in a text: a relative path that leads nowhere else, without white space at its end."""
    plain = raw
    for code, character in (("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%2F", "/"), ("\\", "/"), ("\0", "")):
        plain = plain.replace(code, character)
    key = posixpath.normpath(f"/{plain}").lstrip("/")
    while key != (shorter := key.rstrip().rstrip("/")):
        key = shorter
    if key == raw:
        return CacheKey(key)
    what = f'sanitized to "{key}"' if key else "could not be sanitized"
    return CacheKey(key, f'cache key "{raw}" {what}')


def _fallback(raw: str) -> CacheKey:
    """The key that `CACHE_FALLBACK_KEY` names, unless it is one that is protected."""
    key = read_key(raw)
    if key.text.endswith(PROTECTED):
        return CacheKey("", f'CACHE_FALLBACK_KEY "{key.text}" not allowed to end in "{PROTECTED}"')
    return key


def _policy(text: str) -> CachePolicy | None:
    return next((policy for policy in CachePolicy if policy == text), None) if text else CachePolicy.PULL_PUSH


def read_file_rules(entry: Mapping[str, Any], expand: Callable[[str], str]) -> FileRules:
    """What an entry of the payload's `artifacts` or `cache` names."""
    return FileRules(
        paths=texts(entry.get("paths"), expand),
        exclude=texts(entry.get("exclude"), expand),
        untracked=entry.get("untracked") is True,
    )


def read_when(entry: Mapping[str, Any]) -> When:
    """The `when` of such an entry; what is not there, or not known, stands for the usual case."""
    return next((when for when in When if when == entry.get("when")), When.ON_SUCCESS)


def _file(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return mappings([entry.get("artifacts_file")])
