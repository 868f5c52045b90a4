"""The conformance suite on clever-docker and a simulated Clever Cloud."""

import asyncio
import random
from contextlib import contextmanager
from datetime import timedelta

import attrs
import pytest

from executors.clever import CleverDocker
from executors.clever.settings import CleverSettings
from paas_runner.conformance import Call, ExecutorConformance, host_request
from paas_runner.executor.contract import RunnerSection
from paas_runner.http import Http
from paas_runner.sandbox.faults import Answer, Delay, DropAfter
from paas_runner.sandbox.server import Sandbox, SandboxOptions

pytestmark = pytest.mark.timeout(60)

CALLS = {
    Call.CREATE: {"method": "POST", "path": "/v2/**/applications"},
    Call.LAUNCH: {"method": "POST", "path": "/**/git-receive-pack"},
    Call.DELETE: {"method": "DELETE", "path": "/v2/**"},
}


class Endless:
    """What hosts run instead of an inner runner."""

    async def run(self, runner_toml, job_json):
        await asyncio.sleep(3600)


class SimulatedCleverCloud:
    def __init__(self, sandbox):
        self._sandbox = sandbox
        self._cloud = sandbox.cloud

    def executor(self, installation):
        section = RunnerSection(
            name="clever",
            url="https://gitlab.example",
            short_token="abc123xyz",
            forwarded={},
            installation=installation,
        )
        settings = CleverSettings(
            cc_api_url=self._sandbox.cloud_api_url,
            cc_orga_id=self._sandbox.organisation_id,
            cc_token=self._sandbox.cloud_token,
        )
        return CleverDocker(second_look_after=timedelta(seconds=0.1)).build(
            settings, section, Http(rng=random.Random(2))
        )

    def request(self, job_id):
        return host_request("abc123xyz", job_id)

    async def existing(self):
        return [entry.name for entry in self._cloud.ledger.alive]

    async def launches(self, name):
        """A push may be answered before its deployment begins."""
        while any(entry.pushes and not entry.launches for entry in self._named(name) if entry.alive):
            await asyncio.sleep(0.01)
        return sum(entry.launches for entry in self._named(name))

    def _named(self, name):
        return [entry for entry in self._cloud.ledger.created if entry.name == name]

    async def plant(self, name):
        executor = self.executor("nobody")
        host = await executor.provision(self.request(int(name.rpartition("-")[2])))
        await executor.aclose()
        application = self._cloud.application(self._sandbox.organisation_id, host.ref)
        fields = {**application.definition.fields, "description": "made at the console"}
        application.definition = attrs.evolve(application.definition, fields=fields)
        application.env = {}

    async def vanish(self, ref):
        await self._cloud.delete(self._sandbox.organisation_id, ref)

    def losing_the_answer(self, call):
        return self._fault(DropAfter(), times=1, **CALLS[call])

    def slow_creation(self, seconds):
        return self._fault(Delay(seconds), **CALLS[Call.CREATE])

    def refusing(self):
        body = b'{"id": 4014, "message": "You have reached the limit of applications.", "type": "error"}'
        return self._fault(Answer(403, body=body), **CALLS[Call.CREATE])

    @contextmanager
    def _fault(self, fault, **where):
        rule = self._sandbox.cloud_faults.add(fault, **where)
        try:
            yield
        finally:
            self._sandbox.cloud_faults.remove(rule)


class TestCleverDocker(ExecutorConformance):
    @pytest.fixture
    async def provider(self):
        async with Sandbox(SandboxOptions(inner_runner=Endless())) as sandbox:
            yield SimulatedCleverCloud(sandbox)
