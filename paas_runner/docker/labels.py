"""Whose an object on the engine is: labels that it is made with, and the removal of all that has them.

Containers, networks, volumes and images are found by these labels alone, by whichever program they were made:
the service, the build of a host's image, or the inner runner, which is given its host's labels for all that
it makes.
"""

import enum
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar

import attrs
from docker.errors import APIError

from paas_runner.docker.engine import Client

INSTALLATION = "paas-runner.installation"
NO_INSTALLATION = "none"
"""Its value on what was made without a service: whoever finds that over its end removes it."""

RUNNER = "paas-runner.runner"
JOB = "paas-runner.job"
"""The name of the job's host, which is its container's, too."""

ENDS_AT = "paas-runner.ends-at"
"""When the host has to be gone with all that is its, by ISO 8601; what lay before its launch is on top."""

INNER_JOB = "paas-runner.inner-job"
"""The job at its coordinator, on what its inner runner has made."""

HELPER = "paas-runner.helper"
"""The id of the machine whose helper service has begun the job, on the same."""

OBJECT_LABELS_VARIABLE = "PAAS_RUNNER_OBJECT_LABELS"
"""Has the labels (`format_labels`) that an inner runner puts on all that it makes, which so goes with its
host.
"""

RUNNING_STATES = frozenset({"running", "paused", "restarting"})
"""Those of a container whose processes are not over."""

_BETWEEN_ROUNDS_SECONDS = 0.1
_LATER = (403, 404, 409)  # 403: a network that still has containers

P = ParamSpec("P")
T = TypeVar("T")


class Kind(enum.StrEnum):
    """In the order in which they can be removed."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"
    IMAGE = "image"


@attrs.frozen(kw_only=True)
class EngineObject:
    """One of the things that an engine keeps."""

    kind: Kind
    ref: str
    """By which it is asked for and removed."""

    name: str
    """What its maker called it; an image's is its id."""

    labels: Mapping[str, str]
    created_at: datetime | None
    running: bool

    def __str__(self) -> str:
        return f"{self.kind} {self.ref[:12] if self.kind is Kind.CONTAINER else self.name}"


def format_labels(labels: Mapping[str, str]) -> str:
    """`key=value`, separated by commas."""
    return ",".join(f"{name}={value}" for name, value in labels.items())


def parse_labels(text: str) -> dict[str, str]:
    """The labels in such a text, which a person may have written; what is none is left out."""
    pairs = (entry.partition("=") for entry in text.split(","))
    return {name.strip(): value for name, equals, value in pairs if equals and name.strip()}


def labeled(client: Client, labels: Mapping[str, str]) -> Sequence[EngineObject]:
    """All that has these labels, in the order of removal."""
    return [_object(kind, entry) for kind, entry in _listed(client, labels)]


def remove_all(
    client: Client, labels: Mapping[str, str], *, rounds: int, quiet_seconds: float = 0
) -> Sequence[EngineObject]:
    """Remove all that has these labels, until no more has appeared for so long; returns what resists.

    A container that is removed, or a program that has died, may just have asked for another object; and one
    may be in use until others are gone. So all that is there is removed again, at most `rounds` times.
    """
    quiet_since: float | None = None
    while True:
        found = labeled(client, labels)
        if found:
            if not rounds:
                return found
            rounds, quiet_since = rounds - 1, None
            for each in found:
                remove(client, each.kind, each.ref)
        else:
            quiet_since = quiet_since or time.monotonic()
            if time.monotonic() - quiet_since >= quiet_seconds:
                return ()
        time.sleep(_BETWEEN_ROUNDS_SECONDS)


def remove(client: Client, kind: Kind, ref: str) -> None:
    """Remove one object, running or not; what is gone, about to go or still in use is left to itself."""
    match kind:
        case Kind.CONTAINER:
            _tried(client.remove_container, ref, v=True, force=True)
        case Kind.NETWORK:
            _leave(client, ref)
            _tried(client.remove_network, ref)
        case Kind.VOLUME:
            _tried(client.remove_volume, ref, force=True)
        case Kind.IMAGE:
            _tried(client.remove_image, ref, force=True)


def _leave(client: Client, network: str) -> None:
    """Take those off it that do not go with it: a job's network may have the inner runner's own container."""
    found = _tried(client.inspect_network, network) or {}
    for container in found.get("Containers") or ():
        _tried(client.disconnect_container_from_network, container, network, force=True)


def _tried(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    try:
        return call(*args, **kwargs)
    except APIError as error:
        if error.status_code not in _LATER:
            raise
        return None


def _listed(client: Client, labels: Mapping[str, str]) -> Iterator[tuple[Kind, Mapping[str, Any]]]:
    filters = {"label": [f"{name}={value}" for name, value in labels.items()]}
    lists: Mapping[Kind, Callable[[], Sequence[Mapping[str, Any]]]] = {
        Kind.CONTAINER: lambda: client.containers(all=True, filters=filters),
        Kind.NETWORK: lambda: client.networks(filters=filters),
        Kind.VOLUME: lambda: client.volumes(filters=filters).get("Volumes") or (),
        Kind.IMAGE: lambda: client.images(filters=filters),
    }
    for kind, entries in lists.items():
        yield from ((kind, entry) for entry in entries())


def _object(kind: Kind, entry: Mapping[str, Any]) -> EngineObject:
    # A container's other names are links to it: `/other/alias`.
    names = [name.strip("/") for name in entry.get("Names") or () if name.count("/") == 1]
    return EngineObject(
        kind=kind,
        ref=entry["Name"] if kind is Kind.VOLUME else entry["Id"],
        name=next(iter(names), "") if kind is Kind.CONTAINER else str(entry.get("Name") or entry.get("Id")),
        labels=dict(entry.get("Labels") or {}),
        created_at=moment(entry.get("Created") or entry.get("CreatedAt")),
        running=entry.get("State") in RUNNING_STATES,
    )


def moment(stamp: object) -> datetime | None:
    """Lists of containers and images have seconds, all else a text; None for what is no moment."""
    if isinstance(stamp, int):
        return datetime.fromtimestamp(stamp, UTC)
    try:
        return datetime.fromisoformat(str(stamp)).astimezone(UTC)
    except ValueError:
        return None
