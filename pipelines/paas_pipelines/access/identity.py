"""Whoever asks for something, or uses something: a person, a program with a token, a pipeline."""

from collections.abc import Mapping
from typing import Any

import attrs

PIPELINE = "pipeline"
"""The domain and the kind of pipelines that use credentials and executors."""


@attrs.frozen
class Identity:
    """Known by name and domain; `groups` are what whoever vouches for it says of it."""

    name: str
    kind: str = "token"
    """token, login, pipeline, or server for what the server does by itself."""

    domain: str = ""
    groups: tuple[str, ...] = ()
    status: str = "verified"
    """What the system that was asked says of it; nobody else becomes an identity."""

    def __str__(self) -> str:
        """As statements and the audit have it: `domain/name`, or the name where there is no domain."""
        return f"{self.domain}/{self.name}" if self.domain else self.name


def pipeline_identity(pipeline: str) -> Identity:
    """As which a pipeline uses credentials and executors."""
    return Identity(pipeline, kind=PIPELINE, domain=PIPELINE)


NOBODY = Identity("")
SERVER = Identity("server", kind="server")
"""What happens by itself: deadlines, schedules, reloads."""


def identity_written(text: str, groups: tuple[str, ...]) -> Identity:
    """Somebody as statements name him: `name`, `domain/name`, `pipeline/name`."""
    domain, slash, name = text.partition("/")
    if not slash:
        return Identity(text, groups=groups)
    return pipeline_identity(name) if domain == PIPELINE else Identity(name, domain=domain, groups=groups)


def identity_of(claims: Mapping[str, Any], domain: str) -> Identity:
    """Of a token that is good: `sub` is the name, `groups` a list of texts; all else says nothing."""
    subject, groups = claims.get("sub"), claims.get("groups")
    texts = [each for each in groups if isinstance(each, str)] if isinstance(groups, list) else []
    return Identity(
        _plain(subject) if isinstance(subject, str) else "", domain=domain, groups=tuple(map(_plain, texts))
    )


def _plain(text: str) -> str:
    """Without halves of characters, which no file takes."""
    return text.encode(errors="replace").decode()
