"""A simulated Clever Cloud on a loopback port, with a real git remote."""

import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from paas_runner.http import Http
from paas_runner.sandbox.cloud import Cloud, CloudOptions, GitRemote, HostFiles, create_app
from paas_runner.sandbox.faults import FaultInjector, FaultPlan
from paas_runner.secret import Secret
from paas_runner.server.listening import Listener


@attrs.define
class SimulatedCloud:
    cloud: Cloud
    url: str
    organisation: str
    token: Secret
    faults: FaultPlan
    launched: list[HostFiles]

    @property
    def requests(self):
        return self.cloud.ledger.requests


@asynccontextmanager
async def simulated_cloud(folder: Path, options: CloudOptions, program=None):
    launched: list[HostFiles] = []

    async def ends_at_once(host: HostFiles) -> int:
        launched.append(host)
        return 0

    token = Secret("cloud-token-canary")
    cloud = Cloud(
        clock=lambda: datetime.now(UTC),
        rng=random.Random(1),
        program=program or ends_at_once,
        options=options,
    )
    organisation = cloud.add_organisation("Example", token).id
    remote = await GitRemote.open(cloud, folder / "git")
    faults = FaultPlan()
    listener = Listener(FaultInjector(create_app(cloud, remote=remote), faults))
    await listener.start()
    try:
        yield SimulatedCloud(cloud, f"{listener.url}/v2", organisation, token, faults, launched)
    finally:
        await listener.stop()
        await remote.aclose()
        await cloud.aclose()


@pytest.fixture
def cloud_options():
    return CloudOptions()


@pytest.fixture
async def clever(tmp_path, cloud_options):
    async with simulated_cloud(tmp_path, cloud_options) as cloud:
        yield cloud


@pytest.fixture
def connect():
    return Http(rng=random.Random(2))
