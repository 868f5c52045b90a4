"""clever-service-docker with the sandbox's own cloud, whose hosts play a helper service of ours."""

import asyncio
import random
from datetime import timedelta

import pytest

from executors.clever_service import KIND
from executors.clever_service.settings import CleverServiceSettings
from paas_runner.executor.contract import ProvisionedHost, Removal
from paas_runner.http import Http
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.server import Sandbox, SandboxOptions
from tests.executors.test_clever import SECTION, requested


class Short:
    """What the helper runs instead of an inner runner."""

    async def run(self, runner_toml, job_json):
        return 0


@pytest.fixture
async def sandbox():
    delays = dict.fromkeys(("boot_delay", "build_delay"), timedelta(milliseconds=10))
    async with Sandbox(SandboxOptions(inner_runner=Short(), cloud=CloudOptions(**delays))) as sandbox:
        yield sandbox


async def test_two_jobs_have_one_application_after_each_other(sandbox):
    """H131, H142."""
    settings = CleverServiceSettings(
        cc_api_url=sandbox.cloud_api_url,
        cc_orga_id=sandbox.organisation_id,
        cc_token=sandbox.cloud_token,
        cc_helper_url=sandbox.helper_url,
    )
    executor = KIND.build(settings, SECTION, Http(rng=random.Random(1)))
    first = requested(1)
    host = await executor.provision(first)
    seen = ProvisionedHost(name=first.host_name, job_id=1, host=host)
    async with asyncio.timeout(60):
        while not (found := await executor.ready(seen)):
            await asyncio.sleep(0.05)
    assert found.details["instance"]
    for job_id in (1, 2):
        await executor.launch(requested(job_id), found)
        seen = ProvisionedHost(name=first.host_name, job_id=job_id, host=found)
        async with asyncio.timeout(60):
            while not await executor.trouble(seen):  # it has ended there: its coordinator is none
                await asyncio.sleep(0.05)
        assert await executor.release(seen)
        assert await executor.renew(seen)
    assert len(sandbox.cloud.ledger.created) == 1
    await executor.decommission(Removal(name=first.host_name, host=found, search=True))
    assert list(sandbox.cloud.ledger.alive) == []
    await executor.aclose()
