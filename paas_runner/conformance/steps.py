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
    return ProvisionedHost(name=request.host_name, tenant=NO_TENANT, host=host)


def removal(request: HostRequest, host: Host | None, *, search: bool) -> Removal:
    return Removal(name=request.host_name, tenant=NO_TENANT, host=host, search=search)


async def ready(executor: Executor, request: HostRequest, host: Host) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while not await executor.ready(provisioned(request, host)):
            await asyncio.sleep(0.05)


async def launched(executor: Executor, request: HostRequest, host: Host) -> None:
    """As the service does it: again when the outcome is unknown."""
    await ready(executor, request, host)
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
