"""local-docker on a real engine, with hosts that do what a variable of their job says."""

import random
import uuid
from contextlib import contextmanager

import attrs
import pytest

from executors.local_docker import KIND, LocalDockerSettings
from paas_runner.executor.contract import HostRequest, RunnerSection
from paas_runner.http import Http
from paas_runner.job.tracked import HostName
from tests.support.host_values import removal
from tests.support.records import payload

SHORT_TOKEN = f"_A-{uuid.uuid4().hex[:6]}-"  # no name of an image could have it, nor does another process

STUB = """#!/usr/bin/python3
import json, os, sys
variables = {each["key"]: each["value"] for each in json.load(open(sys.argv[-1]))["variables"]}
os.execv("/bin/sh", ["sh", "-c", variables.get("DO", "true")])
"""


def requested(job_id=42, do="true"):
    """A job whose host runs the script `do`."""
    variables = [{"key": "DO", "value": do}]
    return HostRequest(
        host_name=HostName(f"hpd-job-{SHORT_TOKEN}-{job_id}"), payload=payload(job_id, variables=variables)
    )


@attrs.frozen(kw_only=True)
class Setup:
    """Executors of one installation on one engine; each call of `make` is like a start of the service."""

    engine: object
    image: str
    installation: str
    made: list = attrs.field(factory=list)

    def make(self, *, installation=None, short_token=SHORT_TOKEN, **settings):
        section = RunnerSection(
            name="local",
            url="https://gitlab.example",
            short_token=short_token,
            forwarded={"docker": {"image": "debian:12"}, "environment": ["A=b"]},
            installation=installation or self.installation,
        )
        keys = {"host": self.engine.url, "heptapod_runner_main_image": self.image} | settings
        self.made.append(KIND.build(LocalDockerSettings(**keys), section, Http(rng=random.Random(1))))
        return self.made[-1]

    def everything(self):
        return self.engine.everything(installation=self.installation)

    @contextmanager
    def client(self):
        with self.engine.client() as client:
            yield client

    def inspect(self, host):
        with self.client() as client:
            return client.inspect_container(host.ref)

    def wait(self, host):
        """Until the container has ended; its log."""
        with self.client() as client:
            client.wait(host.ref)
            return client.logs(host.ref).decode()

    async def aclose(self):
        for executor in self.made:
            await executor.aclose()


def stub(engine):
    dockerfile = f"FROM {engine.base}\nVOLUME /builds\nCOPY gitlab-runner /usr/bin/gitlab-runner\n"
    return engine.build("paas-runner-test/stub", dockerfile, gitlab_runner=STUB)


@pytest.fixture(scope="session")
def stub_image(engine):
    return stub(engine)


@pytest.fixture
async def docker(engine, stub_image):
    setup = Setup(engine=engine, image=stub_image, installation=uuid.uuid4().hex)
    yield setup
    for name in {seen.name for seen in await setup.make().hosts("")}:
        await setup.make().decommission(removal(name, search=True))
    await setup.aclose()
