"""What the suite's tests do with an executor, each step as the service does it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import TypeAlias

import pytest

from paas_runner.conformance.provider import Provider
from paas_runner.errors import RemoteError, Transient
from paas_runner.executor.contract import Executor, HostRequest, ProvisionedHost, Removal
from paas_runner.job.tracked import Host

Start: TypeAlias = Callable[..., Executor]

OURS, THEIRS = "installation-1", "installation-2"
READY_SECONDS = 30.0
REPEATED_SECONDS = 30.0  # how long a verb whose outcome is unknown is repeated
SLOW_SECONDS = 1.0
NO_TENANT = ""  # jobs of the suite say nothing about who pays


class StartsExecutors:
    """Needs a fixture `provider`."""

    @pytest.fixture
    async def start(self, provider: Provider) -> AsyncIterator[Start]:
        """Gives an executor as after a start of the service; all of them are closed in the end."""
        started: list[Executor] = []

        def start(installation: str = OURS) -> Executor:
            started.append(provider.executor(installation))
            return started[-1]

        yield start
        for executor in started:
            await executor.aclose()


def provisioned(request: HostRequest, host: Host) -> ProvisionedHost:
    job_id = request.payload.job_id
    return ProvisionedHost(name=request.host_name, job_id=job_id, tenant=NO_TENANT, host=host)


def removal(request: HostRequest, host: Host | None, *, search: bool) -> Removal:
    return Removal(name=request.host_name, tenant=NO_TENANT, host=host, search=search)


async def ready(executor: Executor, request: HostRequest, host: Host) -> Host:
    """The host that takes the job, with what is known of it by then."""
    async with asyncio.timeout(READY_SECONDS):
        while not (found := await executor.ready(provisioned(request, host))):
            await asyncio.sleep(0.05)
    return host if found is True else found


async def launched(executor: Executor, request: HostRequest, host: Host) -> Host:
    """As the service does it; returns the host that took the job, with what was known of it by then."""
    host = await ready(executor, request, host)
    await handed_over(executor, request, host)
    return host


async def handed_over(executor: Executor, request: HostRequest, host: Host) -> None:
    """Launched on a host that is ready: again when the outcome is unknown."""
    async with asyncio.timeout(REPEATED_SECONDS):
        while True:
            with contextlib.suppress(Transient):
                return await executor.launch(request, host)
            await asyncio.sleep(0.1)


async def decommissioned(
    executor: Executor, request: HostRequest, host: Host | None, *, search: bool
) -> None:
    """As the service does it: until it has succeeded."""
    async with asyncio.timeout(REPEATED_SECONDS):
        while True:
            with contextlib.suppress(RemoteError):
                return await executor.decommission(removal(request, host, search=search))
            await asyncio.sleep(0.1)


async def until_none_exists(provider: Provider) -> None:
    async with asyncio.timeout(REPEATED_SECONDS):
        while await provider.existing():
            await asyncio.sleep(0.05)
