"""Whether hosts could be made in a namespace, for `paas-runner check` and registration; nothing is made."""

import math
from collections.abc import Sequence
from contextlib import suppress

from executors.kubernetes import manifest
from executors.kubernetes.room import bounds, narrowest
from executors.kubernetes.settings import KubernetesSettings
from paas_runner.errors import RemoteError
from paas_runner.executor.checks import CheckResult, fault, fine, warning
from paas_runner.kubernetes.answers import RIGHTS, ExistsError, QuotaError
from paas_runner.kubernetes.api import Cluster, Kind, Right

NEEDED = (
    Right("create", Kind.JOB),
    Right("get", Kind.JOB),
    Right("list", Kind.JOB),
    Right("delete", Kind.JOB),
    Right("create", Kind.SECRET),
    Right("list", Kind.POD),
    Right("get", Kind.POD, "log"),
    Right("list", Kind.EVENT),
    Right("list", Kind.QUOTA),
)
"""All that the executor does; packaging/kubernetes/rbac.yaml grants these and no more."""


async def examine(cluster: Cluster, settings: KubernetesSettings) -> Sequence[CheckResult]:
    """What the cluster says of itself, of our rights, and of the room that there is."""
    try:
        found = [fine("cluster", f"{cluster.service} is {await cluster.version()}; {cluster.source}")]
        missing = [str(right) for right in NEEDED if not await cluster.may(right)]
    except RemoteError as error:
        advice = (
            error.advice or "`kubectl version` must work for the service's user with the same configuration"
        )
        return [fault("cluster", str(error), advice)]
    where = f"namespace {cluster.namespace}"
    if missing:
        return [*found, fault("rights", f"missing in {where}: {', '.join(missing)}", RIGHTS)]
    found.append(fine("rights", f"all that are needed in {where}"))
    try:
        found.append(await _room(cluster, settings))
    except RemoteError as error:
        return [*found, fault("quota", str(error), error.advice)]
    try:
        await rehearse(cluster, settings)
    except QuotaError:  # of which there is a line already
        pass
    except RemoteError as error:
        found.append(fault("hosts", f"a Job would be refused: {error}", error.advice))
    return found


async def rehearse(cluster: Cluster, settings: KubernetesSettings) -> None:
    """Raises what the cluster would answer to a Job of the default flavor, of which it makes none.

    It has rights to give in a namespace that is not there, too, and policies that no right tells of.
    """
    pod = manifest.pod(
        settings,
        flavor=settings.sizes[settings.default_flavor],
        image=settings.heptapod_runner_main_image,
        secret="paas-runner-check",  # noqa: S106 - a name
    )
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "paas-runner-check"},
        "spec": {"template": {"spec": pod}},
    }
    with suppress(ExistsError):
        await cluster.create(Kind.JOB, job, dry_run=True)


async def _room(cluster: Cluster, settings: KubernetesSettings) -> CheckResult:
    """For how many hosts of the default flavor."""
    name = settings.default_flavor
    flavor = settings.sizes[name]
    bound = narrowest(list(bounds(await cluster.list(Kind.QUOTA))), flavor)
    if bound is None:
        return fine("quota", f"the namespace {cluster.namespace} has none")
    hosts = math.floor(bound.hosts(flavor))
    text = f"room for {hosts} more hosts of flavor {name}; {bound}"
    if hosts < 1:
        return warning("quota", text, "jobs wait for room; `limit` bounds how many are taken at once")
    return fine("quota", text)
