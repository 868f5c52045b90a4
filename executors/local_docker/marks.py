"""Whose a thing on the engine is: labels that it carries from its first moment, and all that has them.

Containers, networks, volumes and images of a job are found by these labels alone, whoever made them: we, the
build of the host's image, or the inner runner, which hands its host's labels on to all that it makes.
"""

import enum
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
from docker import APIClient
from docker.errors import APIError

from paas_runner.errors import Transient
from paas_runner.job.tracked import HostName

INSTALLATION = "paas-runner.installation"
RUNNER = "paas-runner.runner"
JOB = "paas-runner.job"
"""The name of the job's host, which is its container's, too."""

_ROUNDS = 5  # a container that dies may just have asked for another
_BETWEEN_ROUNDS_SECONDS = 0.2
_LATER = (403, 404, 409)  # 403: a network that still has containers


class Kind(enum.StrEnum):
    """In the order in which they can be removed."""

    CONTAINER = "container"
    NETWORK = "network"
    VOLUME = "volume"
    IMAGE = "image"


@attrs.frozen(kw_only=True)
class Belonging:
    """A thing on the engine that has our labels."""

    kind: Kind
    ref: str
    host_name: HostName
    """Of the host that it belongs to, or that it is."""

    created_at: datetime | None
    running: bool
    is_host: bool


def belongings(client: APIClient, labels: Mapping[str, str]) -> Sequence[Belonging]:
    """All that has these labels, in the order of removal."""
    wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
    listed: Mapping[Kind, Iterable[Mapping[str, Any]]] = {
        Kind.CONTAINER: client.containers(all=True, filters=wanted),
        Kind.NETWORK: client.networks(filters=wanted),
        Kind.VOLUME: client.volumes(filters=wanted).get("Volumes") or (),
        Kind.IMAGE: client.images(filters=wanted),
    }
    return [_belonging(kind, entry) for kind, entries in listed.items() for entry in entries]


def remove_all(client: APIClient, labels: Mapping[str, str]) -> None:
    """Remove all that has these labels, however often more of it appears; raises `Transient` if it stays."""
    found = belongings(client, labels)
    for _ in range(_ROUNDS):
        if not found:
            return
        for belonging in found:
            remove(client, belonging.kind, belonging.ref)
        found = belongings(client, labels)
        if found:
            time.sleep(_BETWEEN_ROUNDS_SECONDS)
    left = ", ".join(f"{belonging.kind} {belonging.ref}" for belonging in found)
    if left:
        raise Transient(f"still there: {left}", service="Docker engine", op="remove the host")


def remove(client: APIClient, kind: Kind, ref: str) -> None:
    """Remove one thing, running or not; what is gone, about to go or still in use is left to itself."""
    removals: Mapping[Kind, Callable[[], None]] = {
        Kind.CONTAINER: lambda: client.remove_container(ref, v=True, force=True),
        Kind.NETWORK: lambda: client.remove_network(ref),
        Kind.VOLUME: lambda: client.remove_volume(ref, force=True),
        Kind.IMAGE: lambda: client.remove_image(ref, force=True),
    }
    try:
        removals[kind]()
    except APIError as error:
        if error.status_code not in _LATER:
            raise


def _belonging(kind: Kind, entry: Mapping[str, Any]) -> Belonging:
    host_name = HostName((entry.get("Labels") or {}).get(JOB, ""))
    return Belonging(
        kind=kind,
        ref=entry["Name"] if kind is Kind.VOLUME else entry["Id"],
        host_name=host_name,
        created_at=_moment(entry.get("Created") or entry.get("CreatedAt")),
        running=entry.get("State") in ("running", "paused", "restarting"),
        is_host=kind is Kind.CONTAINER and f"/{host_name}" in (entry.get("Names") or ()),
    )


def _moment(told: object) -> datetime | None:
    """Containers and images tell seconds, networks and volumes a text."""
    if isinstance(told, int):
        return datetime.fromtimestamp(told, UTC)
    try:
        return datetime.fromisoformat(str(told)).astimezone(UTC)
    except ValueError:
        return None
