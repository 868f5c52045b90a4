"""The hosts of heptapod-paas-runner, as its state file has them, and ours: each translated into the other.

What it calls a resource depends on the executor that made it (1.1.1: `dump` and `load_…` of its `clever.py`,
`local_docker.py`, `service_docker.py`, `paas_resource.py`):

- `clever-docker`: `id`, `gitlab_namespace`, `weight`, `launched`, `deploy_url`;
- `clever-service-docker`: the same, `netloc` (where its helper service listens) and `paas_token`;
- `service-docker`: `app_id`, `netloc`, `paas_token`, and any other key ends its start;
- `local-docker`: a text.

A helper service knows a job by the name that the program which launched it has for the runner, too.
"""

import math
from collections.abc import Mapping
from typing import Any

import attrs

from paas_runner.job.tracked import Host
from paas_runner.plain_text import short_line

PLACE, TOKEN = "netloc", "paas_token"
RUNNER_NAME = "runner_name"
"""A note of ours: what the helper service of a host calls the runner, where that is not its short token."""

_REMOTE = "deploy_url"
_FIXED_WEIGHT = 1.0
_MOST_CHARACTERS = 80


@attrs.frozen(kw_only=True)
class PeerHost:
    """What one resource tells."""

    host: Host
    tenant: str = ""
    launched: bool = False
    fixed: bool = False
    """Whether it is a helper service that stays, and that one job has after the other."""


def has_helper(host: Host) -> bool:
    """Whether a helper service runs its jobs."""
    return PLACE in host.details


def is_fixed(host: Host) -> bool:
    """Whether it is a host of the executor `service-docker`, over there and here."""
    return has_helper(host) and _REMOTE not in host.details


def exported_host(host: Host, tenant: str, *, launched: bool) -> Any:
    """As 1.1.1 loads it; 0.5.0 knows the first and the last form.

    1.1.1 needs `launched` and computes with `weight`; without one it takes its worst case, which keeps it
    from acquiring jobs until this one has ended. 0.5.0 ignores both.
    """
    if is_fixed(host):
        return {"app_id": host.ref, PLACE: host.details[PLACE], TOKEN: host.details.get(TOKEN)}
    if _REMOTE not in host.details:
        return host.ref
    resource: dict[str, Any] = {**host.details, "gitlab_namespace": tenant or None}
    resource |= {"id": host.ref, "launched": launched}
    return resource if host.weight is None else resource | {"weight": host.weight}


def imported_host(resource: object, runner: str) -> PeerHost:
    """The host of a job that the other program has for `runner`; raises ValueError naming what is wrong.

    All fields are kept as notes, so that they can be given back.
    """
    if isinstance(resource, str) and resource:
        return PeerHost(host=Host(ref=resource))
    if not isinstance(resource, Mapping):
        raise ValueError("`paas_resource` is neither a text nor a table")
    if _is_text(resource, "id"):
        return _application(resource, runner)
    if _is_text(resource, "app_id") and _is_text(resource, PLACE):
        notes = {**_notes(resource, {"app_id"}), RUNNER_NAME: runner}
        return PeerHost(host=Host(ref=resource["app_id"], weight=_FIXED_WEIGHT, details=notes), fixed=True)
    raise ValueError(f"{_called(resource)} is of a kind that is not known")


def _application(resource: Mapping[str, Any], runner: str) -> PeerHost:
    notes = _notes(resource, {"id", "launched", "weight", "gitlab_namespace"})
    if PLACE in notes:
        notes[RUNNER_NAME] = runner
    tenant = resource.get("gitlab_namespace")
    return PeerHost(
        host=Host(ref=resource["id"], weight=_number(resource.get("weight")), details=notes),
        tenant=tenant if isinstance(tenant, str) else "",
        launched=resource.get("launched") is True,
    )


def _is_text(resource: Mapping[str, Any], key: str) -> bool:
    return isinstance(resource.get(key), str) and bool(resource[key])


def _notes(resource: Mapping[str, Any], told: set[str]) -> dict[str, str]:
    return {key: str(value) for key, value in resource.items() if key not in told and value is not None}


def _called(resource: Mapping[str, Any]) -> str:
    """Any name that somebody may look for at the provider."""
    names = (resource[key] for key in ("app_id", "name") if _is_text(resource, key))
    found = next(names, "")
    return f"its host {short_line(found, _MOST_CHARACTERS)}" if found else "its host"


def _number(found: object) -> float | None:
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if math.isfinite(found) else None
