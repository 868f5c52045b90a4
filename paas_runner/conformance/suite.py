"""The suite: each verb, each verb twice, after a crash, after a lost answer, beside the hosts of others."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import pytest

from paas_runner.conformance.provider import Call, Provider
from paas_runner.errors import RemoteError, Transient
from paas_runner.executor.contract import Executor, HostRequest, JobRefusedError
from paas_runner.job.tracked import Host, HostName

Start: TypeAlias = Callable[..., Executor]

OURS, THEIRS = "installation-1", "installation-2"
READY_SECONDS, PATIENCE_SECONDS, SLOW_SECONDS = 30.0, 30.0, 1.0
NOBODY = ""  # the tenant: jobs of the suite say nothing about who pays


@pytest.mark.asyncio
class ExecutorConformance:
    """Subclass it as `Test…` and give it a fixture `provider`."""

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

    # --- create ------------------------------------------------------------------------------------------

    async def test_a_provisioned_host_exists_once_under_the_jobs_name_and_becomes_ready(
        self, provider: Provider, start: Start
    ) -> None:
        order, executor = provider.order(1), start()
        await _ready(executor, await executor.provision(order))
        assert list(await provider.existing()) == [order.host_name]
        assert await provider.launches(order.host_name) == 0

    async def test_a_host_is_plain_data_so_that_a_record_can_hold_it(
        self, provider: Provider, start: Start
    ) -> None:
        host = await start().provision(provider.order(1))
        assert isinstance(host.ref, str)
        assert host.ref
        assert all(isinstance(text, str) for pair in host.details.items() for text in pair)

    async def test_a_host_is_adopted_after_a_crash(self, provider: Provider, start: Start) -> None:
        host = await start().provision(provider.order(1))
        found = await start().adopt(provider.order(1))
        assert found is not None
        assert found.ref == host.ref
        assert len(await provider.existing()) == 1

    async def test_nothing_is_adopted_where_nothing_was_created(
        self, provider: Provider, start: Start
    ) -> None:
        await start().provision(provider.order(1))
        assert await start().adopt(provider.order(2)) is None

    async def test_a_host_whose_creation_was_not_answered_is_adopted(
        self, provider: Provider, start: Start
    ) -> None:
        order, executor = provider.order(1), start()
        host = None
        with provider.losing_the_answer(Call.CREATE), contextlib.suppress(Transient):
            host = await executor.provision(order)
        host = host or await executor.adopt(order)
        assert host is not None
        assert list(await provider.existing()) == [order.host_name]

    async def test_a_creation_that_outlives_its_caller_ends_in_one_launch_and_no_host_left(
        self, provider: Provider, start: Start
    ) -> None:
        order, first, second = provider.order(1), start(), start()
        with provider.slow_creation(SLOW_SECONDS):
            killed = asyncio.ensure_future(first.provision(order))
            await asyncio.sleep(SLOW_SECONDS / 2)
            killed.cancel()
            host = await second.adopt(order) or await second.provision(order)
            await asyncio.sleep(2 * SLOW_SECONDS)
        await _launched(second, order, host)
        assert await provider.launches(order.host_name) == 1
        await _decommissioned(second, order.host_name, host, search=True)
        await _until_none_exists(provider)

    async def test_a_refused_creation_is_an_error_in_words_and_leaves_nothing(
        self, provider: Provider, start: Start
    ) -> None:
        order, executor = provider.order(1), start()
        with provider.refusing(), pytest.raises((RemoteError, JobRefusedError)) as caught:
            await executor.provision(order)
        assert str(caught.value).strip()
        assert await executor.adopt(order) is None
        await _decommissioned(executor, order.host_name, None, search=True)
        await _until_none_exists(provider)
        host = await executor.provision(order)
        assert (await provider.existing(), bool(host.ref)) == ([order.host_name], True)

    # --- launch ------------------------------------------------------------------------------------------

    async def test_a_job_is_begun_once_however_often_it_is_launched(
        self, provider: Provider, start: Start
    ) -> None:
        order, executor = provider.order(1), start()
        host = await executor.provision(order)
        await _launched(executor, order, host)
        await executor.launch(order, host)
        await start().launch(order, host)
        assert await provider.launches(order.host_name) == 1

    async def test_a_launch_that_was_not_answered_may_be_repeated(
        self, provider: Provider, start: Start
    ) -> None:
        order, executor = provider.order(1), start()
        host = await executor.provision(order)
        await _ready(executor, host)
        with provider.losing_the_answer(Call.LAUNCH), contextlib.suppress(Transient):
            await executor.launch(order, host)
        await _launched(executor, order, host)
        assert await provider.launches(order.host_name) == 1

    # --- list, watch ---------------------------------------------------------------------------------------

    async def test_hosts_are_listed_by_name_reference_and_age(self, provider: Provider, start: Start) -> None:
        executor = start()
        hosts = {order.host_name: await executor.provision(order) for order in map(provider.order, (1, 2))}
        await _launched(executor, provider.order(2), hosts[provider.order(2).host_name])
        listed = {seen.name: seen for seen in await start().hosts(NOBODY)}
        assert {name: seen.ref for name, seen in listed.items()} == {
            name: host.ref for name, host in hosts.items()
        }
        assert listed[provider.order(1).host_name].busy is not True
        assert listed[provider.order(2).host_name].busy is not False
        for seen in listed.values():
            assert seen.created_at is None or abs(datetime.now(UTC) - seen.created_at) < timedelta(minutes=5)

    async def test_a_host_that_works_is_in_no_trouble(self, provider: Provider, start: Start) -> None:
        order, executor = provider.order(1), start()
        host = await executor.provision(order)
        await _launched(executor, order, host)
        assert await executor.trouble(host, tenant=NOBODY) is None

    async def test_a_host_that_vanished_is_in_trouble_told_in_words(
        self, provider: Provider, start: Start
    ) -> None:
        order, executor = provider.order(1), start()
        host = await executor.provision(order)
        await _launched(executor, order, host)
        await provider.vanish(host.ref)
        assert await executor.trouble(host, tenant=NOBODY)
        await _decommissioned(executor, order.host_name, host, search=False)

    async def test_there_are_sizes_and_no_job_weighs_more_than_it_may(
        self, provider: Provider, start: Start
    ) -> None:
        executor, payload = start(), provider.order(1).payload
        sizes = await executor.sizes()
        assert sizes.weights
        assert all(weight > 0 for weight in sizes.weights.values())
        with contextlib.suppress(JobRefusedError):
            assert 0 < executor.weigh(payload, most=sizes.heaviest()) <= sizes.heaviest()

    # --- delete ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("search", [False, True])
    async def test_a_host_may_be_decommissioned_twice(
        self, provider: Provider, start: Start, *, search: bool
    ) -> None:
        order, executor = provider.order(1), start()
        host = await executor.provision(order)
        await _launched(executor, order, host)
        for _ in range(2):
            await _decommissioned(executor, order.host_name, host, search=search)
        await _until_none_exists(provider)
        assert await executor.adopt(order) is None

    async def test_a_host_that_was_never_created_is_decommissioned_with_success(
        self, provider: Provider, start: Start
    ) -> None:
        await start().decommission(provider.order(1).host_name, None, tenant=NOBODY, search=True)
        assert not await provider.existing()

    async def test_a_search_removes_the_host_of_a_lost_record_and_no_other(
        self, provider: Provider, start: Start
    ) -> None:
        executor = start()
        for job_id in (1, 2):
            await executor.provision(provider.order(job_id))
        await _decommissioned(start(), provider.order(1).host_name, None, search=True)
        assert list(await provider.existing()) == [provider.order(2).host_name]

    async def test_a_deletion_that_was_not_answered_may_be_repeated(
        self, provider: Provider, start: Start
    ) -> None:
        order, executor = provider.order(1), start()
        host = await executor.provision(order)
        with provider.losing_the_answer(Call.DELETE), contextlib.suppress(Transient):
            await executor.decommission(order.host_name, host, tenant=NOBODY, search=False)
        await _decommissioned(executor, order.host_name, host, search=False)
        await _until_none_exists(provider)

    # --- the hosts of others -----------------------------------------------------------------------------

    async def test_another_installations_host_is_neither_listed_nor_adopted_nor_removed(
        self, provider: Provider, start: Start
    ) -> None:
        order, ours = provider.order(1), start()
        await start(THEIRS).provision(order)
        await _left_alone(provider, ours, order)

    async def test_somebody_elses_host_of_that_name_is_neither_listed_nor_adopted_nor_removed(
        self, provider: Provider, start: Start
    ) -> None:
        order = provider.order(1)
        await provider.plant(order.host_name)
        await _left_alone(provider, start(), order)


async def _left_alone(provider: Provider, ours: Executor, order: HostRequest) -> None:
    """A host that exists survives all that we do about the job whose name it has."""
    assert not await ours.hosts(NOBODY)
    assert await ours.adopt(order) is None
    host: Host | None = None
    with contextlib.suppress(RemoteError):  # where names are unique there cannot be another
        host = await ours.provision(order)
    await _decommissioned(ours, order.host_name, host, search=True)
    assert list(await provider.existing()) == [order.host_name]


async def _ready(executor: Executor, host: Host) -> None:
    async with asyncio.timeout(READY_SECONDS):
        while not await executor.ready(host, tenant=NOBODY):
            await asyncio.sleep(0.05)


async def _launched(executor: Executor, order: HostRequest, host: Host) -> None:
    """As the service does it: again when the outcome is unknown."""
    await _ready(executor, host)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(Transient):
                return await executor.launch(order, host)
            await asyncio.sleep(0.1)


async def _decommissioned(executor: Executor, name: HostName, host: Host | None, *, search: bool) -> None:
    """As the service does it: until it has succeeded."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(RemoteError):
                return await executor.decommission(name, host, tenant=NOBODY, search=search)
            await asyncio.sleep(0.1)


async def _until_none_exists(provider: Provider) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await provider.existing():
            await asyncio.sleep(0.05)
