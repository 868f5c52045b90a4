"""The conformance suite on clever-service-docker, a simulated Clever Cloud, and helpers of both kinds."""

import asyncio
import random
from contextlib import contextmanager
from datetime import timedelta

import attrs
import pytest

from executors.clever_service import CleverService
from executors.clever_service.settings import CleverServiceSettings
from paas_runner.conformance import Call, ExecutorConformance, host_request
from paas_runner.executor.contract import RunnerSection
from paas_runner.http import Http
from paas_runner.sandbox.cloud import CloudOptions
from paas_runner.sandbox.faults import Answer, Delay, DropAfter
from tests.executors.conftest import simulated_cloud
from tests.support.helper_hosts import HelperHosts

pytestmark = pytest.mark.timeout(60)


class CloudWithHelpers:
    def __init__(self, clever, hosts):
        self._clever, self._hosts = clever, hosts

    def executor(self, installation):
        section = RunnerSection(
            name="clever",
            url="https://gitlab.example",
            short_token="abc123xyz",
            forwarded={},
            installation=installation,
        )
        settings = CleverServiceSettings(
            cc_api_url=self._clever.url,
            cc_orga_id=self._clever.organisation,
            cc_token=self._clever.token,
            cc_helper_url=self._hosts.url,
        )
        return CleverService(second_look_after=timedelta(seconds=0.1)).build(
            settings, section, Http(rng=random.Random(2))
        )

    def request(self, job_id):
        return host_request("abc123xyz", job_id)

    async def existing(self):
        return [entry.name for entry in self._clever.cloud.ledger.alive]

    async def launches(self, name):
        return sum(len(helper.launched) for of, helper in self._hosts.all if of == name)

    async def plant(self, name):
        executor = self.executor("nobody")
        host = await executor.provision(self.request(int(name.rpartition("-")[2])))
        await executor.aclose()
        application = self._clever.cloud.application(self._clever.organisation, host.ref)
        fields = {**application.definition.fields, "description": "made at the console"}
        application.definition = attrs.evolve(application.definition, fields=fields)
        application.env = {}

    async def vanish(self, ref):
        await self._clever.cloud.delete(self._clever.organisation, ref)

    def losing_the_answer(self, call):
        if call is Call.LAUNCH:
            return _fault(self._hosts.faults, DropAfter(), times=1, method="POST", path="/*/launch-job")
        if call is Call.DELETE:
            return self._fault(DropAfter(), times=1, method="DELETE", path="/v2/**")
        return self._fault(DropAfter(), times=1, method="POST", path="/v2/**/applications")

    def slow_creation(self, seconds):
        return self._fault(Delay(seconds), method="POST", path="/v2/**/applications")

    def refusing(self):
        body = b'{"id": 4014, "message": "You have reached the limit of applications.", "type": "error"}'
        return self._fault(Answer(403, body=body), method="POST", path="/v2/**/applications")

    def _fault(self, fault, **where):
        return _fault(self._clever.faults, fault, **where)


@contextmanager
def _fault(plan, fault, **where):
    rule = plan.add(fault, **where)
    try:
        yield
    finally:
        plan.remove(rule)


class TestCleverService(ExecutorConformance):
    @pytest.fixture(params=[True, False], ids=["ours", "reference"])
    async def provider(self, request, tmp_path):
        options = CloudOptions(**dict.fromkeys(("boot_delay", "build_delay"), timedelta(milliseconds=50)))
        hosts = HelperHosts(extended=request.param)
        async with hosts.listening(), simulated_cloud(tmp_path, options, hosts.program) as clever:
            yield CloudWithHelpers(clever, hosts)
            await asyncio.sleep(0)
