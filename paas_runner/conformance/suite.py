"""The suite: each verb, each verb twice, after a crash, after a lost answer, beside the hosts of others."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.conformance import steps
from paas_runner.conformance.optional_parts import OptionalParts
from paas_runner.conformance.provider import Call, Provider
from paas_runner.conformance.steps import (
    NO_TENANT,
    THEIRS,
    Start,
    decommissioned,
    handed_over,
    launched,
    ready,
    removal,
    until_none_exists,
)
from paas_runner.errors import RemoteError, Transient
from paas_runner.executor.contract import Executor, HostRequest, JobRefusedError
from paas_runner.job.tracked import Host


@pytest.mark.asyncio
class ExecutorConformance(OptionalParts):
    """Subclass it as `Test…` and give it a fixture `provider`."""

    # --- create ------------------------------------------------------------------------------------------

    async def test_a_provisioned_host_exists_once_under_the_jobs_name_and_becomes_ready(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        await ready(executor, request, await executor.provision(request))
        assert list(await provider.existing()) == [request.host_name]
        assert await provider.launches(request.host_name) == 0

    async def test_a_host_is_plain_data_so_that_a_record_can_hold_it(
        self, provider: Provider, start: Start
    ) -> None:
        host = await start().provision(provider.request(1))
        assert isinstance(host.ref, str)
        assert host.ref
        assert all(isinstance(text, str) for pair in host.details.items() for text in pair)

    async def test_a_host_is_adopted_after_a_crash(self, provider: Provider, start: Start) -> None:
        host = await start().provision(provider.request(1))
        found = await start().adopt(provider.request(1))
        assert found is not None
        assert found.ref == host.ref
        assert len(await provider.existing()) == 1

    async def test_nothing_is_adopted_where_nothing_was_created(
        self, provider: Provider, start: Start
    ) -> None:
        await start().provision(provider.request(1))
        assert await start().adopt(provider.request(2)) is None

    async def test_a_host_whose_creation_was_not_answered_is_adopted(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        host = None
        with provider.losing_the_answer(Call.CREATE), contextlib.suppress(Transient):
            host = await executor.provision(request)
        host = host or await executor.adopt(request)
        assert host is not None
        assert list(await provider.existing()) == [request.host_name]

    async def test_a_creation_that_outlives_its_caller_ends_in_one_launch_and_no_host_left(
        self, provider: Provider, start: Start
    ) -> None:
        request, first, second = provider.request(1), start(), start()
        with provider.slow_creation(steps.SLOW_SECONDS):
            killed = asyncio.ensure_future(first.provision(request))
            await asyncio.sleep(steps.SLOW_SECONDS / 2)
            killed.cancel()
            host = await second.adopt(request) or await second.provision(request)
            await asyncio.sleep(2 * steps.SLOW_SECONDS)
        await launched(second, request, host)
        assert await provider.launches(request.host_name) == 1
        await decommissioned(second, request, host, search=True)
        await until_none_exists(provider)

    async def test_a_refused_creation_is_an_error_in_words_and_leaves_nothing(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        with provider.refusing(), pytest.raises((RemoteError, JobRefusedError)) as caught:
            await executor.provision(request)
        assert str(caught.value).strip()
        assert await executor.adopt(request) is None
        await decommissioned(executor, request, None, search=True)
        await until_none_exists(provider)
        host = await executor.provision(request)
        assert (await provider.existing(), bool(host.ref)) == ([request.host_name], True)

    # --- launch ------------------------------------------------------------------------------------------

    async def test_a_job_is_begun_once_however_often_it_is_launched(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        host = await launched(executor, request, await executor.provision(request))
        await executor.launch(request, host)
        await start().launch(request, host)
        assert await provider.launches(request.host_name) == 1

    async def test_a_launch_that_was_not_answered_may_be_repeated(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        host = await executor.provision(request)
        host = await ready(executor, request, host)
        with provider.losing_the_answer(Call.LAUNCH), contextlib.suppress(Transient):
            await executor.launch(request, host)
        await handed_over(executor, request, host)
        assert await provider.launches(request.host_name) == 1

    # --- list ---------------------------------------------------------------------------------------

    async def test_hosts_are_listed_by_name_reference_and_age(self, provider: Provider, start: Start) -> None:
        executor = start()
        hosts = {
            request.host_name: await executor.provision(request) for request in map(provider.request, (1, 2))
        }
        await launched(executor, provider.request(2), hosts[provider.request(2).host_name])
        listed = {seen.name: seen for seen in await start().hosts(NO_TENANT)}
        assert {name: seen.ref for name, seen in listed.items()} == {
            name: host.ref for name, host in hosts.items()
        }
        assert listed[provider.request(1).host_name].busy is not True
        assert listed[provider.request(2).host_name].busy is not False
        for seen in listed.values():
            assert seen.created_at is None or abs(datetime.now(UTC) - seen.created_at) < timedelta(minutes=5)

    # --- delete ------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("search", [False, True])
    async def test_a_host_may_be_decommissioned_twice(
        self, provider: Provider, start: Start, *, search: bool
    ) -> None:
        request, executor = provider.request(1), start()
        host = await executor.provision(request)
        await launched(executor, request, host)
        for _ in range(2):
            await decommissioned(executor, request, host, search=search)
        await until_none_exists(provider)
        assert await executor.adopt(request) is None

    async def test_a_host_that_was_never_created_is_decommissioned_with_success(
        self, provider: Provider, start: Start
    ) -> None:
        await start().decommission(removal(provider.request(1), None, search=True))
        assert not await provider.existing()

    async def test_a_search_removes_the_host_of_a_lost_record_and_no_other(
        self, provider: Provider, start: Start
    ) -> None:
        executor = start()
        for job_id in (1, 2):
            await executor.provision(provider.request(job_id))
        await decommissioned(start(), provider.request(1), None, search=True)
        assert list(await provider.existing()) == [provider.request(2).host_name]

    async def test_a_deletion_that_was_not_answered_may_be_repeated(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        host = await executor.provision(request)
        with provider.losing_the_answer(Call.DELETE), contextlib.suppress(Transient):
            await executor.decommission(removal(request, host, search=False))
        await decommissioned(executor, request, host, search=False)
        await until_none_exists(provider)

    # --- the hosts of others -----------------------------------------------------------------------------

    async def test_another_installations_host_is_neither_listed_nor_adopted_nor_removed(
        self, provider: Provider, start: Start
    ) -> None:
        request, ours = provider.request(1), start()
        await start(THEIRS).provision(request)
        await _left_alone(provider, ours, request)

    async def test_another_programs_host_of_that_name_is_neither_listed_nor_adopted_nor_removed(
        self, provider: Provider, start: Start
    ) -> None:
        request = provider.request(1)
        await provider.plant(request.host_name)
        await _left_alone(provider, start(), request)


async def _left_alone(provider: Provider, ours: Executor, request: HostRequest) -> None:
    """A host that exists survives all that we do about the job whose name it has."""
    assert not await ours.hosts(NO_TENANT)
    assert await ours.adopt(request) is None
    host: Host | None = None
    with contextlib.suppress(RemoteError):  # where names are unique there cannot be another
        host = await ours.provision(request)
    await decommissioned(ours, request, host, search=True)
    assert list(await provider.existing()) == [request.host_name]
