"""What is optional, tested where it is offered; a skipped test says what is not.

What the service takes for granted where a part is not offered is tested in its place.
"""

import contextlib

import attrs
import pytest

from paas_runner.conformance.provider import Provider
from paas_runner.conformance.steps import Start, StartsExecutors, decommissioned, launched, provisioned
from paas_runner.errors import RemoteError
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import JobRefusedError
from paas_runner.executor.optional import (
    Diagnosing,
    HasSizes,
    Measured,
    examination_of,
    flavors_of,
    trouble_of,
    weight_of,
)


@pytest.mark.asyncio
class OptionalParts(StartsExecutors):
    """Flavors and their sizes, diagnosis, what jobs used, examination."""

    async def test_a_host_that_works_is_in_no_trouble(self, provider: Provider, start: Start) -> None:
        request, executor = provider.request(1), start()
        host = await executor.provision(request)
        await launched(executor, request, host)
        assert await trouble_of(executor, provisioned(request, host)) is None

    async def test_a_host_that_vanished_is_in_trouble_described_in_words(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        if not isinstance(executor, Diagnosing):
            pytest.skip("not offered: diagnosis of launched hosts (Diagnosing)")
        host = await executor.provision(request)
        await launched(executor, request, host)
        await provider.vanish(host.ref)
        assert await executor.trouble(provisioned(request, host))
        await executor.silence(provisioned(request, host))
        await decommissioned(executor, request, host, search=False)

    async def test_what_a_job_has_used_is_numbers_or_unknown_and_its_host_stays(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        if not isinstance(executor, Measured):
            pytest.skip("not offered: what jobs used of their hosts (Measured)")
        host = await executor.provision(request)
        await launched(executor, request, host)
        use = await executor.use(provisioned(request, host))
        assert use is None or (use.memory_bytes >= 0 and use.cpu_seconds >= 0 and use.wall_seconds >= 0)
        assert list(await provider.existing()) == [request.host_name]

    async def test_what_a_vanished_host_would_have_told_is_unknown_or_an_error_in_words(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        if not isinstance(executor, Measured):
            pytest.skip("not offered: what jobs used of their hosts (Measured)")
        host = await executor.provision(request)
        await provider.vanish(host.ref)
        with contextlib.suppress(RemoteError):
            assert await executor.use(provisioned(request, host)) is None

    async def test_every_flavor_whose_size_is_told_is_on_offer(
        self, provider: Provider, start: Start
    ) -> None:
        executor = start()
        if not isinstance(executor, HasSizes):
            pytest.skip("not offered: what flavors have (HasSizes)")
        sizes = await executor.sizes()
        assert {size.name for size in sizes} <= set((await flavors_of(executor)).weights)
        assert all(size.memory_bytes > 0 for size in sizes)
        assert not await provider.existing()

    async def test_there_are_flavors_and_no_job_weighs_more_than_it_may(
        self, provider: Provider, start: Start
    ) -> None:
        executor, payload = start(), provider.request(1).payload
        flavors = await flavors_of(executor)
        assert flavors.weights
        assert all(weight > 0 for weight in flavors.weights.values())
        heaviest = flavors.heaviest()
        with contextlib.suppress(JobRefusedError):
            assert 0 < weight_of(executor, payload, most=heaviest) <= heaviest

    async def test_a_host_weighs_no_more_than_was_promised_for_it(
        self, provider: Provider, start: Start
    ) -> None:
        request, executor = provider.request(1), start()
        heaviest = (await flavors_of(executor)).heaviest()
        promised = weight_of(executor, request.payload, most=heaviest)
        host = await executor.provision(attrs.evolve(request, most_weight=promised))
        assert host.weight is None or host.weight <= promised

    async def test_an_examination_finds_no_fault_with_a_provider_that_works(
        self, provider: Provider, start: Start
    ) -> None:
        results = await examination_of(start())
        assert results
        assert not [result.text for result in results if result.grade is Grade.FAULT]
        assert not await provider.existing()
