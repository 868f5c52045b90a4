"""What an executor may do besides the contract, each part with what holds where it is not offered.

The service asks through the functions here, never the protocols: an executor without a part is asked nothing,
and its hosts are all paid for alike, have one flavor, are not diagnosed, need no credentials that could be
renewed, are refused by the verbs alone, and tell `paas-runner check` no more than their flavors. Tenants are
known from the records alone, no host of another installation is seen, it is not known what jobs use, no
host is used again, none has its end written on it, and there is one for each job within the bounds.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import attrs

from paas_runner.executor.checks import CheckResult, fine
from paas_runner.executor.contract import Executor, HostRequest, ProvisionedHost
from paas_runner.job.limits import Flavors
from paas_runner.job.payload import Payload
from paas_runner.job.tracked import HostName, SeenHost
from paas_runner.job.use import FlavorSize, Use

ONLY_FLAVOR, ONLY_WEIGHT = "M", 1.0  # as 1.1.1 calls and counts the hosts of an executor that has one kind
_ONE_FLAVOR = Flavors(weights={ONLY_FLAVOR: ONLY_WEIGHT}, most_weight=ONLY_WEIGHT)


@runtime_checkable
class HasFewHosts(Protocol):
    """Hosts of which there is a fixed number, whatever the operator's bounds are."""

    hosts_at_once: int
    """So many jobs of the section may have one at the same time."""


@runtime_checkable
class HasTenants(Protocol):
    """Hosts that not all are paid for alike."""

    def tenant(self, payload: Payload) -> str:
        """Who would pay for the job's host: a name, never a credential; empty where all pay alike.

        Raises `JobRefusedError` for a job for which no one can be found to pay.
        """

    def tenants_among(self, known: Collection[str]) -> Collection[str]:
        """Those of the known tenants whose hosts can be listed; without any, there is no one to ask."""


@runtime_checkable
class ListsTenants(Protocol):
    """Tenants that can be found without any record of their jobs."""

    async def all_tenants(self) -> Collection[str]:
        """All who are meant to pay for hosts; raises `Transient` or `Rejected`."""


@runtime_checkable
class ListsOthers(Protocol):
    """Hosts that are this runner's by their name, but not by the label of this installation."""

    async def hosts_of_others(self, tenant: str) -> Sequence[SeenHost]:
        """Those of a tenant with another installation's label, which each of them names.

        Raises `Transient` or `Rejected`. One without any label is nobody's, and not listed.
        """


@runtime_checkable
class HasFlavors(Protocol):
    """Hosts of several flavors, or of another weight than 1."""

    async def flavors(self) -> Flavors:
        """What hosts are on offer; remembered for a while, so that this costs little."""

    def weigh(self, payload: Payload, *, most: float) -> float:
        """What the job's host will weigh at most, according to the last `flavors`; never above `most`.

        Raises `JobRefusedError` when the job asks for a flavor that is not on offer, or heavier than `most`.
        """


@runtime_checkable
class Diagnosing(Protocol):
    """Launched hosts that can be looked at."""

    async def trouble(self, provisioned: ProvisionedHost) -> str | None:
        """What happened to a launched host so that its job cannot go on, in words for the job's author.

        None when nothing did, as far as is known: a job is ended on the strength of the answer.
        """

    async def silence(self, provisioned: ProvisionedHost) -> str | None:
        """Why the job of a launched host may have written nothing to its trace for too long, for its author.

        None when nothing is known; no verdict of its own, unlike `trouble`.
        """


@runtime_checkable
class Foreseeing(Protocol):
    """Refusals that can be known before anything is made."""

    async def foresee(self, request: HostRequest) -> None:
        """Raise what `provision` would, as far as that can be known without making anything.

        Called before it is recorded that a host may exist: a job that is refused here never had any.
        """


@runtime_checkable
class Renewable(Protocol):
    """Hosts that are reached with credentials, which may be replaced while they exist."""

    def follow(self, successor: Executor) -> None:
        """A reload has replaced this executor: reach the hosts of its jobs with the successor's credentials.

        Nothing else changes. It touches nothing outside and raises nothing.
        """


@runtime_checkable
class Measured(Protocol):
    """Hosts that tell what their jobs have used."""

    async def use(self, provisioned: ProvisionedHost) -> Use | None:
        """What the job of a launched host has used, by the inner runner's last word; None when it said none.

        Asked once, when the job has ended and the host is about to be removed, which waits a few seconds for
        the answer and no longer. Raises `Transient` or `Rejected`.
        """


@runtime_checkable
class HasSizes(Protocol):
    """Flavors of which it is known what they offer."""

    async def sizes(self) -> Sequence[FlavorSize]:
        """Those that a job may ask for; raises `Transient` or `Rejected`."""


@runtime_checkable
class Staying(Protocol):
    """Hosts that can outlive their jobs: cleaned after one, they may be given to another.

    Such a host ends by itself when it has not heard of us for the time of its lease, whatever becomes of us.
    """

    async def series(self, request: HostRequest) -> str:
        """Which hosts the job may be given: all those that `provision` made with this as their `series`.

        It names whatever distinguishes hosts but their weight: the account of the payer first of all,
        provider, zone, image; empty where none may be used again.
        """

    async def release(self, provisioned: ProvisionedHost) -> timedelta | None:
        """The job is over: make the host forget it, with all that the job has left there.

        Returns the lease, from now on; None where the host is not to be used again: its job has failed, was
        canceled or is not known there, or it cannot be proved clean. Raises `Transient` while it is still
        busy.
        """

    async def renew(self, provisioned: ProvisionedHost) -> timedelta | None:
        """The lease of a host without a job, renewed; None where the host can take none any more."""


@attrs.frozen(kw_only=True)
class OverdueHost:
    """A host whose written end is over."""

    name: HostName
    ref: str
    ends_at: datetime


@runtime_checkable
class Expiring(Protocol):
    """Hosts with their end written on them, on machines where nobody else would end them.

    Asked by `paas-runner expire`, which has neither the service nor its records.
    """

    async def overdue(self, now: datetime) -> Sequence[OverdueHost]:
        """Those of this installation whose end is over, whichever runner they were made for.

        Raises `Transient` or `Rejected`. One without an end is not among them.
        """

    async def expire(self, host: OverdueHost) -> None:
        """Remove it with all that is its; an absent one is a success. Raises `Transient` or `Rejected`."""


@runtime_checkable
class Examinable(Protocol):
    """Something to tell `paas-runner check`."""

    async def examine(self) -> Sequence[CheckResult]:
        """Whether hosts would be provisioned: credentials, places, flavors; nothing is created or changed.

        What would not work is a result, not an exception. The caller sets a deadline.
        """


def hosts_at_once(executor: Executor) -> int:
    """How many jobs of its section can have a host at the same time; 0 is any number."""
    return executor.hosts_at_once if isinstance(executor, HasFewHosts) else 0


def tenant_of(executor: Executor, payload: Payload) -> str:
    """Who would pay for the job's host; raises `JobRefusedError`."""
    return executor.tenant(payload) if isinstance(executor, HasTenants) else ""


def tenants_among(executor: Executor, known: Collection[str]) -> Sequence[str]:
    """The tenants whose hosts are listed when all hosts of ours are searched for."""
    return sorted(executor.tenants_among(known) if isinstance(executor, HasTenants) else {"", *known})


async def all_tenants_of(executor: Executor) -> Collection[str]:
    """The tenants that are known without records; raises `Transient` or `Rejected`."""
    return await executor.all_tenants() if isinstance(executor, ListsTenants) else ()


async def hosts_of_others(executor: Executor, tenant: str) -> Sequence[SeenHost]:
    """A tenant's hosts with our prefix and another installation's label; raises `Transient`, `Rejected`."""
    return await executor.hosts_of_others(tenant) if isinstance(executor, ListsOthers) else ()


async def flavors_of(executor: Executor) -> Flavors:
    """What hosts are on offer; raises `Transient` or `Rejected`."""
    return await executor.flavors() if isinstance(executor, HasFlavors) else _ONE_FLAVOR


def weight_of(executor: Executor, payload: Payload, *, most: float) -> float:
    """What the job's host will weigh at most; raises `JobRefusedError`."""
    if isinstance(executor, HasFlavors):
        return executor.weigh(payload, most=most)
    return min(ONLY_WEIGHT, most)


async def foresee(executor: Executor, request: HostRequest) -> None:
    """Raises `JobRefusedError`, `Rejected` or `Transient` where it is known that no host would come."""
    if isinstance(executor, Foreseeing):
        await executor.foresee(request)


def follow(executor: Executor, successor: Executor) -> None:
    """Let an executor that was replaced follow its successor's credentials."""
    if isinstance(executor, Renewable):
        executor.follow(successor)


async def trouble_of(executor: Executor, provisioned: ProvisionedHost) -> str | None:
    """Why the job of a launched host cannot go on; raises `Transient` or `Rejected`."""
    return await executor.trouble(provisioned) if isinstance(executor, Diagnosing) else None


async def silence_of(executor: Executor, provisioned: ProvisionedHost) -> str | None:
    """Why the job of a launched host may be silent; raises `Transient` or `Rejected`."""
    return await executor.silence(provisioned) if isinstance(executor, Diagnosing) else None


async def use_of(executor: Executor, provisioned: ProvisionedHost) -> Use | None:
    """What the job of a launched host has used; raises `Transient` or `Rejected`."""
    return await executor.use(provisioned) if isinstance(executor, Measured) else None


async def sizes_of(executor: Executor) -> Sequence[FlavorSize]:
    """What the flavors offer, as far as that is known; raises `Transient` or `Rejected`."""
    return await executor.sizes() if isinstance(executor, HasSizes) else ()


async def series_of(executor: Executor, request: HostRequest) -> str:
    """Which hosts the job may be given; empty for none. Raises as `foresee` does."""
    return await executor.series(request) if isinstance(executor, Staying) else ""


async def release_of(executor: Executor, provisioned: ProvisionedHost) -> timedelta | None:
    """The lease of a host whose job is over, if it may be used again; raises `Transient` or `Rejected`."""
    return await executor.release(provisioned) if isinstance(executor, Staying) else None


async def renewal_of(executor: Executor, provisioned: ProvisionedHost) -> timedelta | None:
    """The renewed lease of a host on standby; None to let it go. Raises `Transient` or `Rejected`."""
    return await executor.renew(provisioned) if isinstance(executor, Staying) else None


async def examination_of(executor: Executor) -> Sequence[CheckResult]:
    """What `paas-runner check` shows of the executor; raises `Transient` or `Rejected`."""
    if isinstance(executor, Examinable):
        return await executor.examine()
    offered = await flavors_of(executor)
    return [fine("sizes", ", ".join(offered.weights) or "all alike")]
