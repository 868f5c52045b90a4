"""Hosts whose written end is over, by their labels: for a program that is not the service.

Of this installation only, whichever runner they were made for: that may be gone from the configuration; and
containers that were made without any installation (`docker/place.py`). What has no end written on it, made by
an older version, is left to the search for orphans.
"""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from paas_runner.docker.engine import Client
from paas_runner.docker.labels import (
    ENDS_AT,
    INSTALLATION,
    JOB,
    NO_INSTALLATION,
    EngineObject,
    Kind,
    labeled,
    moment,
    remove_all,
)
from paas_runner.executor.optional import OverdueHost
from paas_runner.job.lifetime import last_moment
from paas_runner.job.tracked import HostName

_NEVER = datetime(1970, 1, 1, tzinfo=UTC)  # a container that was never started says year 1

Inspect = Callable[[EngineObject], Mapping[str, Any]]


def overdue_hosts(client: Client, installation: str, now: datetime) -> Sequence[OverdueHost]:
    """All of them on the engine."""
    found = [
        each for owner in (installation, NO_INSTALLATION) for each in labeled(client, {INSTALLATION: owner})
    ]
    return list(overdue_among(found, now, lambda host: client.inspect_container(host.ref)))


def remove_host(client: Client, installation: str, name: HostName, *, rounds: int) -> Sequence[EngineObject]:
    """Remove all that a host consists of, what its inner runner has made, too; returns what resists."""
    owners = (installation, NO_INSTALLATION)
    left = [remove_all(client, {INSTALLATION: owner, JOB: name}, rounds=rounds) for owner in owners]
    return list(itertools.chain(*left))


def overdue_among(found: Sequence[EngineObject], now: datetime, inspect: Inspect) -> Iterator[OverdueHost]:
    named = sorted((each for each in found if each.labels.get(JOB)), key=_name)
    for name, objects in itertools.groupby(named, key=_name):
        host = _judged(HostName(name), list(objects), now, inspect)
        if host and host.ends_at <= now:
            yield host


def _judged(
    name: HostName, found: Sequence[EngineObject], now: datetime, inspect: Inspect
) -> OverdueHost | None:
    """A host with its last moment; None where none is written. Pure but for the look at one that may be over.

    Its container says it; where that is gone, the latest end of what it has left.
    """
    container = next((each for each in found if each.kind is Kind.CONTAINER and each.name == name), None)
    ends = [moment(each.labels.get(ENDS_AT)) for each in ([container] if container else found)]
    known = [end for end in ends if end]
    if len(known) < len(ends):
        return None
    shown, end = container or found[0], max(known)
    if container and end <= now:
        facts = inspect(container)
        started = moment(facts["State"].get("StartedAt"))
        end = last_moment(
            end,
            created_at=moment(facts.get("Created")),
            started_at=started if started and started > _NEVER else None,
        )
    return OverdueHost(name=name, ref=shown.ref, ends_at=end)


def _name(found: EngineObject) -> str:
    return found.labels[JOB]
