"""Labels on all that is made for a job, so that whoever comes later can remove it, and that removal.

Every object has the label of its job at its coordinator, and those that the host's owner wants
(`PAAS_RUNNER_OBJECT_LABELS`: `key=value`, separated by commas), by which an executor finds it.
"""

import time
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeVar

from docker import APIClient
from docker.errors import APIError

P = ParamSpec("P")
T = TypeVar("T")

OWNER_VARIABLE = "PAAS_RUNNER_OBJECT_LABELS"
JOB = "paas-runner.inner-job"

_BETWEEN_ROUNDS_SECONDS = 0.1
_MOST_ROUNDS = 50
_LATER = (403, 404, 409)  # 403: a network with containers


def job_mark(url: str, job_id: int) -> str:
    """The value of the label `JOB`: no other job of any coordinator has it."""
    return f"{url}/jobs/{job_id}"


def object_labels(url: str, job_id: int, environment: Mapping[str, str]) -> dict[str, str]:
    """All labels of what is made for a job."""
    pairs = (entry.partition("=") for entry in environment.get(OWNER_VARIABLE, "").split(","))
    wanted = {key.strip(): value for key, equals, value in pairs if equals and key.strip()}
    return {**wanted, JOB: job_mark(url, job_id)}


def remove_all(client: APIClient, mark: str, *, quiet_seconds: float) -> list[str]:
    """Remove what the job with this mark has on the engine, until no more has appeared for so long.

    Somebody who died may just have asked the engine for more of it. Returns what resists.
    """
    quiet_since: float | None = None
    rounds = 0
    while rounds < _MOST_ROUNDS:
        left = _removed(client, mark)
        if left:
            quiet_since, rounds = None, rounds + 1
        else:
            quiet_since = quiet_since or time.monotonic()
            if time.monotonic() - quiet_since >= quiet_seconds:
                return []
        time.sleep(_BETWEEN_ROUNDS_SECONDS)
    return left


def _removed(client: APIClient, mark: str) -> list[str]:
    """Ask once for the removal of all; returns what there was, by kind and name."""
    wanted = {"label": f"{JOB}={mark}"}
    found: list[str] = []
    for container in client.containers(all=True, filters=wanted):
        found.append(f"container {container['Id'][:12]}")
        _tried(client.remove_container, container["Id"], v=True, force=True)
    for network in client.networks(filters=wanted):
        found.append(f"network {network['Name']}")
        _leave(client, network["Id"])
        _tried(client.remove_network, network["Id"])
    for volume in client.volumes(filters=wanted).get("Volumes") or ():
        found.append(f"volume {volume['Name']}")
        _tried(client.remove_volume, volume["Name"], force=True)
    return found


def _leave(client: APIClient, network: str) -> None:
    """Take those off it that are not the job's: the inner runner's own container."""
    told = _tried(client.inspect_network, network) or {}
    for container in told.get("Containers") or ():
        _tried(client.disconnect_container_from_network, container, network, force=True)


def _tried(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """What is gone, about to go or still in use is left to the next round."""
    try:
        return call(*args, **kwargs)
    except APIError as error:
        if error.status_code not in _LATER:
            raise
        return None
