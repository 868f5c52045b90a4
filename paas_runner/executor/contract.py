"""The contract between the service and its executors.

An executor provisions a host for a job, launches the job on it, and decommissions it. The service calls one
verb at a time for one job, records before and after each, and repeats a verb whenever its outcome is unknown;
so every verb must be safe to repeat. What a verb raises decides what happens next:

- `Transient`: tried again later, with growing pauses;
- `Rejected`: the job is reported failed as a system failure, its author reads a short account;
- `JobRefusedError`: the job is reported failed with exactly this failure (the author's mistake, usually).

Third parties add executors as entry points of the group `paas_runner.executors`, each an `ExecutorKind`.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol, runtime_checkable

import attrs

from paas_runner.errors import RunnerError
from paas_runner.executor.checks import CheckResult
from paas_runner.http import Connect, Tls
from paas_runner.job.capacity import Flavors
from paas_runner.job.failure import Failure
from paas_runner.job.payload import Payload
from paas_runner.job.tracked import Host, HostName, SeenHost
from paas_runner.settings import PluginKind, installed_plugins

ENTRY_POINTS = "paas_runner.executors"


class JobRefusedError(RunnerError):
    """This job cannot be run as it is; `failure` is what the coordinator and the author are told."""

    def __init__(self, failure: Failure) -> None:
        """Carry the failure; its text is the exception's."""
        super().__init__(failure.text)
        self.failure = failure


@attrs.frozen(kw_only=True)
class HostRequest:
    """One job for which a host is wanted; `host_name` is the same at every repetition."""

    host_name: HostName
    payload: Payload
    tenant: str = ""
    """Who pays for the host, as `Executor.tenant` said when the job was acquired."""

    most_weight: float = math.inf
    """No heavier host may be created: so much of the quota is kept for this job."""

    attempt: int = 0
    """How many tries to provision have failed in a way that is worth repeating."""


class Executor(Protocol):
    """Hosts for the jobs of one `[[runners]]` section."""

    ready_every: timedelta
    """How often `ready` is to be asked."""

    ready_within: timedelta
    """How long a created host may take until `ready`."""

    def tenant(self, payload: Payload) -> str:
        """Who would pay for the job's host: a name, never a credential; empty where all pay alike.

        Raises `JobRefusedError` for a job for which nobody can be found to pay.
        """

    async def sizes(self) -> Flavors:
        """What hosts can be had; kept for a while, so that asking costs little."""

    def weigh(self, payload: Payload, *, most: float) -> float:
        """What the job's host will weigh at most, according to the last `sizes`; never above `most`.

        Raises `JobRefusedError` when the job asks for a size that cannot be had or is heavier than `most`.
        """

    async def provision(self, order: HostRequest) -> Host:
        """Create and configure a host; called once per job unless the outcome stayed unknown."""

    async def adopt(self, order: HostRequest) -> Host | None:
        """The host that an earlier `provision` may have created, its configuration completed; else None."""

    async def ready(self, host: Host, *, tenant: str) -> bool:
        """Whether the host can take the job now."""

    async def launch(self, order: HostRequest, host: Host) -> None:
        """Hand over the job; the same job a second time must not run twice."""

    async def trouble(self, host: Host, *, tenant: str) -> str | None:
        """What happened to a launched host so that its job cannot go on, in words for the job's author.

        None when nothing did, as far as can be told: a job is ended on the strength of the answer.
        """

    async def silence(self, host: Host, *, tenant: str) -> str | None:
        """Why the job of a launched host may have written nothing to its log for too long, for its author.

        None when nothing can be told; no verdict of its own, unlike `trouble`.
        """

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """Every existing host of a tenant with our prefix and this installation's mark, recorded or not."""

    async def decommission(self, name: HostName, host: Host | None, *, tenant: str, search: bool) -> None:
        """Remove the host, an absent one is a success; with `search` also every other host of that name."""

    async def aclose(self) -> None:
        """Close connections."""


@runtime_checkable
class Examinable(Protocol):
    """What an executor may offer beside its verbs, for `paas-runner check`."""

    async def examine(self) -> Sequence[CheckResult]:
        """Whether hosts could be had: credentials, places, sizes; nothing is created or changed.

        What would not work is a result, not an exception. Whoever asks sets a deadline.
        """


@runtime_checkable
class HasTenants(Protocol):
    """What an executor may offer whose hosts can belong to several tenants, for searches for orphans."""

    def tenants_among(self, known: Collection[str]) -> Collection[str]:
        """Those of the known tenants whose hosts can be listed; without any, there is no one to ask."""


@attrs.frozen(kw_only=True)
class RunnerSection:
    """What an executor may know of the `[[runners]]` section that it serves."""

    name: str
    url: str
    short_token: str
    forwarded: Mapping[str, Any]
    """GitLab Runner's own keys of the section, for the inner runner."""

    installation: str
    """An id of this installation, put on each host as a mark of ownership."""

    tls: Tls | None = None
    """Certificates for the coordinator, if it needs any of its own."""


class ExecutorKind(PluginKind, Protocol):
    """What an entry point of `paas_runner.executors` names; its keys are added to `[[runners]]`."""

    def build(self, settings: Any, section: RunnerSection, connect: Connect) -> Executor:
        """The executor of one section; touches nothing outside yet."""


def installed() -> Mapping[str, Callable[[], ExecutorKind]]:
    """The executors installed on this machine by name; calling a value imports that executor."""
    return installed_plugins(ENTRY_POINTS)
