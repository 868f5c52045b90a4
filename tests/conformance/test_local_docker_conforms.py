"""The conformance suite on local-docker and a real engine, seen through a proxy that can fail."""

import random
import time
import uuid
from contextlib import contextmanager

import pytest

from executors.local_docker import KIND, LocalDockerSettings
from paas_runner.conformance import Call, ExecutorConformance, host_request
from paas_runner.executor.contract import RunnerSection
from paas_runner.http import Http
from paas_runner.sandbox.faults import Answer, Delay, DropAfter, FaultPlan
from tests.support.engine_proxy import engine_behind

CALLS = {
    Call.CREATE: {"method": "POST", "path": "/*/containers/create"},
    Call.LAUNCH: {"method": "POST", "path": "/*/containers/*/start"},
    Call.DELETE: {"method": "DELETE", "path": "/*/containers/*"},
}


class RealEngine:
    """The short token is made for the test: what else is on the engine is nobody's business."""

    def __init__(self, engine, *, behind, faults):
        self._engine = engine
        self._behind = behind
        self._faults = faults
        self._short_token = uuid.uuid4().hex[:12]
        self._began = int(time.time()) - 1

    def executor(self, installation):
        section = RunnerSection(
            name="local",
            url="https://gitlab.example",
            short_token=self._short_token,
            forwarded={},
            installation=installation,
        )
        settings = LocalDockerSettings(
            host=self._behind,
            docker_socket=self._engine.url.removeprefix("unix://"),
            heptapod_runner_main_image="paas-runner-test/endless",
        )
        return KIND.build(settings, section, Http(rng=random.Random(2)))

    def request(self, job_id):
        return host_request(self._short_token, job_id)

    async def existing(self):
        with self._engine.client() as client:
            found = client.containers(all=True, filters={"name": f"^/hpd-job-{self._short_token}-"})
        return [container["Names"][0].removeprefix("/") for container in found]

    async def launches(self, name):
        filters = {"container": name, "event": "start"}
        with self._engine.client() as client:
            return len(list(client.events(since=self._began, until=int(time.time()) + 1, filters=filters)))

    async def plant(self, name):
        with self._engine.client() as client:
            client.create_container(self._engine.base, ["sleep", "600"], name=name)

    async def vanish(self, ref):
        with self._engine.client() as client:
            client.remove_container(ref, force=True)

    def losing_the_answer(self, call):
        return self._fault(DropAfter(), times=1, **CALLS[call])

    def slow_creation(self, seconds):
        return self._fault(Delay(seconds), **CALLS[Call.CREATE])

    def refusing(self):
        body = b'{"message": "mkdir /var/lib/docker/overlay2/x: no space left on device"}'
        headers = {"content-type": "application/json"}
        return self._fault(Answer(500, headers=headers, body=body), **CALLS[Call.CREATE])

    @contextmanager
    def _fault(self, fault, **where):
        rule = self._faults.add(fault, **where)
        try:
            yield
        finally:
            self._faults.remove(rule)

    def clean(self):
        with self._engine.client() as client:
            for container in client.containers(all=True, filters={"name": f"^/hpd-job-{self._short_token}-"}):
                client.remove_container(container["Id"], force=True, v=True)


class TestLocalDocker(ExecutorConformance):
    @pytest.fixture
    async def provider(self, engine):
        endless = "#!/bin/sh\nexec sleep 600\n"
        engine.build(
            "paas-runner-test/endless",
            f"FROM {engine.base}\nCOPY gitlab-runner /usr/bin/gitlab-runner\n",
            gitlab_runner=endless,
        )
        faults = FaultPlan()
        async with engine_behind(faults, engine.url) as behind:
            provider = RealEngine(engine, behind=behind, faults=faults)
            yield provider
            provider.clean()
