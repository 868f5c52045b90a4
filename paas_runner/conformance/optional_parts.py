"""What is optional, tested where it is offered; a skipped test says what is not.

What the service takes for granted where a part is not offered is tested in its place.
"""

import contextlib

import attrs
import pytest

from paas_runner.conformance.provider import Provider
from paas_runner.conformance.steps import Start, StartsExecutors, decommissioned, launched, provisioned
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import JobRefusedError
from paas_runner.executor.optional import Diagnosing, examination_of, flavors_of, trouble_of, weight_of


@pytest.mark.asyncio
class OptionalParts(StartsExecutors):
    """Flavors, diagnosis, examination."""

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
