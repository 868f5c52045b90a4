"""Whoever asks for something, or uses something: a person, a program with a token, a pipeline."""

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

PIPELINE = "pipeline"
"""The domain and the kind of pipelines that use credentials and executors."""

TRIGGER = "trigger"
"""The domain and the kind of triggers that start runs by themselves."""

MOST_NAME_LETTERS = 255
RESERVED_DOMAINS = (PIPELINE, TRIGGER)
"""No person is of these."""

PROGRAM = "program"
"""The kind of those for whom a program speaks that embeds the server: who may do what is its own affair."""


@attrs.frozen
class Identity:
    """Known by name and domain; `groups` are what whoever vouches for it says of it."""

    name: str
    kind: str = "token"
    """token, login, program, pipeline, trigger, or server for what the server does by itself."""

    domain: str = ""
    groups: tuple[str, ...] = ()
    status: str = "verified"
    """What the system that was asked says of it; nobody else becomes an identity."""

    subject: str = ""
    """What a log-in's provider calls it for good, where names may change; only to compare people."""

    groups_missing: bool = False
    """Whether there may be others than `groups`: each Deny of a group is then taken to mean this one."""

    def __str__(self) -> str:
        """As statements and the audit have it: `domain/name`, or the name where there is no domain."""
        return f"{self.domain}/{self.name}" if self.domain else self.name


def pipeline_identity(pipeline: str) -> Identity:
    """As which a pipeline uses credentials and executors."""
    return Identity(pipeline, kind=PIPELINE, domain=PIPELINE)


def trigger_identity(trigger: str) -> Identity:
    """As which a trigger, `<pipeline>/<trigger>`, starts what its runs call."""
    return Identity(trigger, kind=TRIGGER, domain=TRIGGER)


NOBODY = Identity("")
SERVER = Identity("server", kind="server")
"""What happens by itself: deadlines, schedules, reloads."""


def identity_written(text: str, groups: tuple[str, ...]) -> Identity:
    """Somebody as statements name him: `name`, `domain/name`, `pipeline/name`, `trigger/pipeline/name`."""
    domain, slash, name = text.partition("/")
    if not slash:
        return Identity(text, groups=groups)
    kind = domain if domain in (PIPELINE, TRIGGER) else "token"
    return Identity(name, kind=kind, domain=domain, groups=groups if kind == "token" else ())


def identity_of(claims: Mapping[str, Any], domain: str) -> Identity:
    """Of a token that is good: `sub` is the name, `groups` a list of texts; all else says nothing."""
    subject, groups = claims.get("sub"), claims.get("groups")
    texts = [each for each in groups if isinstance(each, str)] if isinstance(groups, list) else []
    name = _plain(subject) if isinstance(subject, str) else ""
    return Identity(name, domain=domain, groups=groups_of(texts))


def groups_of(texts: Iterable[str]) -> tuple[str, ...]:
    """As statements are compared with them: however their letters are composed."""
    return tuple(dict.fromkeys(unicodedata.normalize("NFC", _plain(each)) for each in texts))


def wrong_with(identity: Identity) -> str:
    """Why nobody may be called so; empty where somebody may.

    What looks like another name, like the server itself, a pipeline or a trigger, or like several lines.
    """
    name = identity.name
    if len(name) > MOST_NAME_LETTERS:
        return f"has more than {MOST_NAME_LETTERS} letters"
    if not name.isprintable() or name != name.strip():
        return "has letters that nobody sees"
    if not unicodedata.is_normalized("NFC", name):
        return "is not composed as Unicode has it (NFC)"
    if not identity.domain and (name == str(SERVER) or name.partition("/")[0] in RESERVED_DOMAINS):
        return "is what something of this server is called"
    return ""


def _plain(text: str) -> str:
    """Without halves of characters, which no file takes."""
    return text.encode(errors="replace").decode()
