"""Statements of who may do what, and what follows from all of them together: a pure decision.

Their order means nothing: a matching Deny refuses, else a matching Allow permits, else nothing does.
"""

import enum
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import attrs

from paas_pipelines.access.identity import PIPELINE, TRIGGER, Identity
from paas_pipelines.access.resources import with_those_around

GROUP = "group:"
_PIPELINES, _TRIGGERS = f"{PIPELINE}/", f"{TRIGGER}/"

READ, START, CANCEL, RERUN, APPROVE = "read", "start", "cancel", "rerun", "approve"
PAUSE, FIRE, AUDIT = "pause", "fire", "audit"
CREDENTIAL_READ, CREDENTIAL_WRITE = "credentialRead", "credentialWrite"
USE, EXECUTOR_RUN = "use", "executorRun"

ROLES: Mapping[str, frozenset[str]] = {
    "read": frozenset({READ}),
    "start": frozenset({READ, START, CANCEL, RERUN}),
    "approve": frozenset({READ, APPROVE}),
    "admin": frozenset(
        {READ, START, CANCEL, RERUN, APPROVE, PAUSE, FIRE, AUDIT, CREDENTIAL_READ, CREDENTIAL_WRITE}
    ),
}
METHODS = ROLES["admin"] | {USE, EXECUTOR_RUN}
OPEN = ROLES["start"] | ROLES["approve"]
"""What a good token is for while no statement names people, as in prunner."""


class Effect(enum.StrEnum):
    """What a statement that matches does."""

    ALLOW = "Allow"
    DENY = "Deny"


@attrs.frozen(kw_only=True)
class Statement:
    """One; all that it has are patterns in which `*` is any text and `?` any character."""

    identity: tuple[str, ...]
    """`name`, `domain/name`, `group:name`, `pipeline/name`, `trigger/pipeline/name`."""

    method: tuple[str, ...] = ()
    role: str = ""
    """Instead of methods."""

    resource: tuple[str, ...]
    effect: Effect = Effect.ALLOW
    place: str = ""
    """Where it stands: for whoever asks why."""

    def __str__(self) -> str:
        what = f"role {self.role}" if self.role else ", ".join(self.method)
        told = f"{self.effect} {', '.join(self.identity)}: {what} of {', '.join(self.resource)}"
        return f"{told} ({self.place})" if self.place else told

    @property
    def names_people(self) -> bool:
        """Whether it is about anybody but pipelines and triggers."""
        return any(not pattern.startswith((_PIPELINES, _TRIGGERS)) for pattern in self.identity)

    def matches(self, identity: Identity, method: str, resource: str) -> bool:
        """Whether it says something of that."""
        return (
            self._has(method)
            and any(self._is(pattern, identity) for pattern in self.identity)
            and any(matching(p, each) for p in self.resource for each in with_those_around(resource))
        )

    def _has(self, method: str) -> bool:
        if self.role:
            return method in ROLES[self.role]
        return any(matching(pattern, method) for pattern in self.method)

    def _is(self, pattern: str, identity: Identity) -> bool:
        """A pipeline is meant by `pipeline/…` alone, but whoever denies something to all means all.

        A trigger is meant by `trigger/…` and by `*`: what everybody may, it may, too.
        """
        if pattern.startswith(GROUP):
            wanted = pattern.removeprefix(GROUP)
            unknown = identity.groups_missing and self.effect is Effect.DENY
            return unknown or any(matching(wanted, group) for group in identity.groups)
        for kind, prefix in ((PIPELINE, _PIPELINES), (TRIGGER, _TRIGGERS)):
            if pattern.startswith(prefix):
                return identity.kind == kind and matching(pattern.removeprefix(prefix), identity.name)
            if identity.kind == kind:
                return pattern == "*" and (kind == TRIGGER or self.effect is Effect.DENY)
        domain, slash, name = pattern.partition("/")
        if slash:  # a name with a slash in it is nobody of that domain
            return (
                bool(identity.domain) and matching(domain, identity.domain) and matching(name, identity.name)
            )
        return pattern == "*" or (not identity.domain and matching(pattern, identity.name))


@attrs.frozen(kw_only=True)
class Verdict:
    """What follows, and from what."""

    allowed: bool
    reason: str
    deciding: tuple[Statement, ...] = ()


def authorize(
    statements: Sequence[Statement], identity: Identity, method: str, resources: Iterable[str]
) -> Verdict:
    """Whether all of it is permitted: of several resources the first refusal counts."""
    verdict = Verdict(allowed=False, reason="nothing is asked for")
    for resource in resources:
        verdict = _decided(statements, identity, method, resource)
        if not verdict.allowed:
            break
    return verdict


def _decided(statements: Sequence[Statement], identity: Identity, method: str, resource: str) -> Verdict:
    found = tuple(each for each in statements if each.matches(identity, method, resource))
    if denying := tuple(each for each in found if each.effect is Effect.DENY):
        return Verdict(allowed=False, reason="a statement denies it", deciding=denying)
    if found:
        return Verdict(allowed=True, reason="a statement allows it", deciding=found)
    if method == EXECUTOR_RUN:
        return Verdict(allowed=True, reason="it is permitted unless a statement denies it")
    if not any(each.names_people for each in statements):
        if method in OPEN:
            return Verdict(allowed=True, reason="no statement names people: a good token is enough")
        return Verdict(
            allowed=False, reason=f"no statement names people, and {method} has to be allowed by one"
        )
    return Verdict(allowed=False, reason="no statement allows it")


def matching(pattern: str, text: str) -> bool:
    """Whether the whole text is as the pattern says."""
    return _compiled(pattern).match(text) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
