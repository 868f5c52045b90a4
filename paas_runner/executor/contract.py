"""The contract between the service and its executors: what every executor does.

An executor provisions a host for a job, launches the job on it, and decommissions it. The service calls one
verb at a time for one job, records before and after each, and repeats a verb whenever its outcome is unknown;
so every verb must be safe to repeat. What a verb raises decides what happens next:

- `Transient`: tried again later, with growing pauses;
- `Rejected`: the job is reported failed as a system failure, its author reads a short account;
- `JobRefusedError`: the job is reported failed with exactly this failure (the author's mistake, usually).

What an executor may do besides is in `optional`. Third parties add executors as entry points of the group
`paas_runner.executors`, each an `ExecutorKind`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import attrs

from paas_runner.errors import Transient
from paas_runner.http import Connect, Tls
from paas_runner.job.failure import JobRefusedError as JobRefusedError  # noqa: PLC0414 - part of the contract
from paas_runner.job.payload import Payload
from paas_runner.job.tracked import Host, HostName, SeenHost
from paas_runner.secret import Secret
from paas_runner.settings import PluginKind, installed_plugins

ENTRY_POINTS = "paas_runner.executors"


class NoAccountError(Transient):
    """There is no account, at present, through which anything could be done to the host, or another made."""


@attrs.frozen(kw_only=True)
class HostTrace:
    """The job's trace, as far as its host is to know it."""

    traceparent: str
    """W3C's header: programs on the host continue the trace below this."""

    endpoint: str = ""
    """Where the inner runner sends its own spans; empty where it sends none."""

    headers: Mapping[str, Secret] = attrs.field(factory=dict)
    """What it sends along, which a job may be able to read."""


@attrs.frozen(kw_only=True)
class HostRequest:
    """One job for which a host is wanted; `host_name` is the same at every repetition."""

    host_name: HostName
    payload: Payload
    tenant: str = ""
    """Who pays for the host, as `HasTenants.tenant` answered when the job was acquired; else empty."""

    most_weight: float = math.inf
    """No heavier host may be created: so much of the quota is kept for this job."""

    trace: HostTrace | None = None
    """Only when traces are on; the same at every repetition."""

    attempt: int = 0
    """How many tries to provision have failed in a way that is worth repeating."""


@attrs.frozen(kw_only=True)
class ProvisionedHost:
    """A host that exists as far as the service knows: what `provision` made, under whose name, who pays."""

    name: HostName
    job_id: int = 0
    """Of the job that has it, which may not be the one that it was made for; 0 where nobody knows."""

    tenant: str = ""
    host: Host
    hidden: Sequence[str] = attrs.field(default=(), repr=False)
    """What no account of it may show, to be masked before anything is cut: the job's token, masked values."""


@attrs.frozen(kw_only=True)
class Removal:
    """A host that has to go: `host` where the service knows one, else only what has its name."""

    name: HostName
    tenant: str = ""
    namespace_id: int | None = None
    """The coordinator's id of the project's top-level namespace, if it is known: renames leave it."""

    host: Host | None
    search: bool
    """Whether every other host of that name of ours has to go, too: a lost answer may have left one."""


class Executor(Protocol):
    """Hosts for the jobs of one `[[runners]]` section."""

    ready_every: timedelta
    """How often `ready` is to be called."""

    ready_within: timedelta
    """How long a created host may take until `ready`."""

    async def provision(self, request: HostRequest) -> Host:
        """Create and configure a host; called once per job unless the outcome stayed unknown.

        A refusal (`Rejected`, `JobRefusedError`) leaves nothing behind: nothing is removed after it.
        """

    async def adopt(self, request: HostRequest) -> Host | None:
        """The host that an earlier `provision` may have created, its configuration completed; else None."""

    async def ready(self, provisioned: ProvisionedHost) -> Host | bool:
        """Whether the host can take the job now; the host itself where more is known of it by now.

        What is known then is on the disk before `launch` is called.
        """

    async def launch(self, request: HostRequest, host: Host) -> None:
        """Hand over the job; the same job a second time must not run twice."""

    async def hosts(self, tenant: str) -> Sequence[SeenHost]:
        """Every existing host of a tenant with our prefix and this installation's label, recorded or not."""

    async def decommission(self, removal: Removal) -> None:
        """Remove the host; an absent one is a success."""

    async def aclose(self) -> None:
        """Close connections."""


@attrs.frozen(kw_only=True)
class RunnerSection:
    """What an executor may know of the `[[runners]]` section that it serves."""

    name: str
    url: str
    short_token: str
    forwarded: Mapping[str, Any]
    """GitLab Runner's own keys of the section, for the inner runner."""

    installation: str
    """An id of this installation, put on each host as a label of ownership."""

    helper_name: str = attrs.field(default=attrs.Factory(lambda self: self.short_token, takes_self=True))
    """What helper services know the runner by: heptapod-paas-runner's name for it, where it is one runner's
    alone, so that a job there may go from one program to the other."""

    tls: Tls | None = None
    """Certificates for the coordinator, if it needs any of its own."""


class ExecutorKind(PluginKind, Protocol):
    """What an entry point of `paas_runner.executors` names; its keys are added to `[[runners]]`.

    Where hosts of several kinds weigh alike, so that one quota may add them up, each has the same word for
    that in `scale`.
    """

    def build(self, settings: Any, section: RunnerSection, connect: Connect) -> Executor:
        """The executor of one section; touches nothing outside yet."""


def scale_of(kind: ExecutorKind, name: str) -> str:
    """By what its hosts are weighed: weights of one scale can be compared. By default each has its own."""
    return str(getattr(kind, "scale", name))


def installed() -> Mapping[str, Callable[[], ExecutorKind]]:
    """The executors installed on this machine by name; calling a value imports that executor."""
    return installed_plugins(ENTRY_POINTS)
