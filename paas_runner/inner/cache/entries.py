"""What a payload says of caches (spec gitlab-runner-api.md §6.3), and the rules for their keys; pure."""

import enum
import posixpath
from collections.abc import Callable

import attrs

from paas_runner.inner.files.selection import Wanted, When, read_wanted, read_when, texts
from paas_runner.inner.job import mappings

PROTECTED = "-protected"
"""How the coordinator ends the keys of protected branches: nobody may ask for one by a variable."""


class Policy(enum.StrEnum):
    """What is done with a cache."""

    PULL = "pull"
    PUSH = "push"
    PULL_PUSH = "pull-push"

    def allows(self, direction: "Policy") -> bool:
        """Whether it is fetched (`PULL`), or saved (`PUSH`)."""
        return self in (direction, Policy.PULL_PUSH)


@attrs.frozen
class Key:
    """A key that can be used as a path and as the name of an object, or none at all: then `text` is empty."""

    text: str
    warning: str = ""


@attrs.frozen(kw_only=True)
class CacheEntry:
    """One cache of a job; variables are expanded."""

    wanted: Wanted
    key: Key
    fallbacks: tuple[Key, ...] = ()
    policy: Policy | None = Policy.PULL_PUSH
    """None for one that is not known."""

    when: When = When.ON_SUCCESS


def read_caches(
    found: object, expand: Callable[[str], str], *, default_key: str, fallback_key: str
) -> tuple[CacheEntry, ...]:
    """The entries of the payload's `cache` that name files.

    `default_key` is for those without one, `fallback_key` the value of `CACHE_FALLBACK_KEY`.
    """
    last = (_fallback(fallback_key),) if fallback_key else ()
    entries = (
        CacheEntry(
            wanted=read_wanted(entry, expand),
            key=read_key(expand(str(entry.get("key") or default_key))),
            fallbacks=(*(read_key(key) for key in texts(entry.get("fallback_keys"), expand)), *last),
            policy=_policy(expand(str(entry.get("policy") or ""))),
            when=read_when(entry),
        )
        for entry in mappings(found)
    )
    return tuple(entry for entry in entries if entry.wanted)


def read_key(raw: str) -> Key:
    """The key in a text: a relative path that leads nowhere else, without white space at its end."""
    plain = raw
    for code, character in (("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%2F", "/"), ("\\", "/"), ("\0", "")):
        plain = plain.replace(code, character)
    key = posixpath.normpath(f"/{plain}").lstrip("/")
    while key != (shorter := key.rstrip().rstrip("/")):
        key = shorter
    if key == raw:
        return Key(key)
    what = f'sanitized to "{key}"' if key else "could not be sanitized"
    return Key(key, f'cache key "{raw}" {what}')


def _fallback(raw: str) -> Key:
    """The key that `CACHE_FALLBACK_KEY` names, unless it is one that is protected."""
    key = read_key(raw)
    if key.text.endswith(PROTECTED):
        return Key("", f'CACHE_FALLBACK_KEY "{key.text}" not allowed to end in "{PROTECTED}"')
    return key


def _policy(text: str) -> Policy | None:
    return next((policy for policy in Policy if policy == text), None) if text else Policy.PULL_PUSH
