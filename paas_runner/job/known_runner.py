"""Which runner a `[[runners]]` section is: the same as before, whatever became of its token or name. Pure.

A runner is known by its key: the short form of the token with which it was first seen. The key is part of
each record and of each host's name, so it outlives the token. A section is the runner that has had its token,
of several the one whose latest it is; else, with a token that was never seen, the one that was last seen with
its address and name, if only this section and only that runner can be meant; else it is a new one. Where that
guess is wrong nothing mixes: a coordinator gives each of its jobs an id of its own. A file that has not
changed means the same runners again.

The short form of a token is public, and the same as GitLab Runner shows.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import attrs

_AHEAD = timedelta(days=30)
_SHARE_AHEAD = 4  # a quarter of its life, where that is longer

_KINDS = r"glrt-(?:t[123]_)?|glrtr-|glcbt-"
_TOKEN_PREFIX = re.compile(rf"{_KINDS}|t[123]_|GR[0-9a-fA-F]{{7}}|[\w-]+?-(?:{_KINDS})", re.ASCII)
_SHORT_TOKEN_LENGTH = 9


@attrs.frozen(kw_only=True)
class RunnerIdentity:
    """The part of a section that identifies its runner; `token` is the short form."""

    token: str
    url: str
    name: str

    @property
    def description(self) -> tuple[str, str]:
        """What stays when a token is rotated."""
        return self.url, self.name


@attrs.frozen(kw_only=True)
class KnownRunner:
    """One runner as it was last seen, and whether the operator has paused it."""

    key: str
    url: str
    name: str
    tokens: tuple[str, ...]
    """The short form of every token that it has had, the latest last."""

    paused: bool = False

    @property
    def description(self) -> tuple[str, str]:
        """Address and name."""
        return self.url, self.name


T = TypeVar("T", RunnerIdentity, KnownRunner)


def recognised(identities: Sequence[RunnerIdentity], known: Sequence[KnownRunner]) -> Sequence[KnownRunner]:
    """The runner of each section, as it is known from now on; all of them have different keys."""
    by_key = {runner.key: runner for runner in known}
    by_token = {token: runner for runner in known for token in runner.tokens}
    by_token |= {runner.tokens[-1]: runner for runner in known}  # a token may have moved from one to another
    claimed: dict[str, RunnerIdentity] = {}

    def claim(identity: RunnerIdentity, runner: KnownRunner | None) -> None:
        if runner and runner.key not in claimed and identity not in claimed.values():
            claimed[runner.key] = identity

    for identity in identities:
        claim(identity, by_key.get(identity.token))
    for identity in identities:
        claim(identity, by_token.get(identity.token))
    rotated = _by_description([identity for identity in identities if identity not in claimed.values()])
    for description, runner in _by_description([each for each in known if each.key not in claimed]).items():
        if description in rotated:
            claim(rotated[description], runner)
    runners = {identity.token: _seen(by_key[key], identity) for key, identity in claimed.items()}
    return [runners.get(identity.token) or _new(identity) for identity in identities]


def remembered(known: Sequence[KnownRunner], present: Sequence[KnownRunner]) -> Sequence[KnownRunner]:
    """All runners that were ever seen, those of the present in their latest form; who is paused stays so."""
    keys = {runner.key for runner in present}
    paused = {runner.key: runner.paused for runner in known}
    latest = [attrs.evolve(runner, paused=paused.get(runner.key, runner.paused)) for runner in present]
    return [*(runner for runner in known if runner.key not in keys), *latest]


def _seen(runner: KnownRunner, identity: RunnerIdentity) -> KnownRunner:
    earlier = tuple(token for token in runner.tokens if token != identity.token)
    return attrs.evolve(runner, url=identity.url, name=identity.name, tokens=(*earlier, identity.token))


def _new(identity: RunnerIdentity) -> KnownRunner:
    return KnownRunner(key=identity.token, url=identity.url, name=identity.name, tokens=(identity.token,))


def _by_description(described: Sequence[T]) -> Mapping[tuple[str, str], T]:
    """Only those that cannot be taken for one another."""
    namesakes = Counter(each.description for each in described)
    return {each.description: each for each in described if namesakes[each.description] == 1}


def created_there(token: str) -> bool:
    """Whether the token is of a runner that was created at the coordinator, which is only verified here.

    An instance may put a word of its own before the usual prefix (GitLab's `instance_token_prefix`).
    """
    prefix = _TOKEN_PREFIX.match(token)
    return prefix is not None and "glrt-" in prefix[0]


def short_token(token: str) -> str:
    """The first 9 characters after a known prefix, the rule R19 of spec gitlab-runner-api.md §1.9.

    A prefix may follow a word of the instance's own; without one it is found as in 1.1.1.
    """
    prefix = _TOKEN_PREFIX.match(token)
    start = prefix.end() if prefix else 0
    return token[start : start + _SHORT_TOKEN_LENGTH]


def peer_name(token: str) -> str:
    """What heptapod-paas-runner calls the runner, in its state file and in its hosts' names (1.1.1)."""
    return token[:8]


@attrs.frozen(kw_only=True)
class TokenLife:
    """When a runner's token stops being good, which most never do.

    GitLab Runner replaces a token by itself when three quarters of its life are over, and writes the next one
    into its configuration. We do not write there: an operator has to, and is told early.
    """

    expires_at: datetime
    obtained_at: datetime | None = None

    def notice(self, now: datetime) -> str:
        """A sentence once it is time to act, empty before."""
        ahead = _AHEAD
        if self.obtained_at is not None:
            ahead = max(ahead, (self.expires_at - self.obtained_at) / _SHARE_AHEAD)
        left = self.expires_at - now
        if left > ahead:
            return ""
        when = f"{self.expires_at:%Y-%m-%d %H:%M %Z}".rstrip()
        if left <= timedelta():
            return f"expired on {when}"
        return f"expires at {when}, in {left.days} d" if left.days else f"expires at {when}, within a day"
