"""The executor `service-docker` at the helper service itself, by both protocols: H130 to H139.

The service has its own listeners on real sockets; only the machine below it is scripted.
"""

import asyncio
import contextlib
import random
from datetime import timedelta

import attrs
import pytest

from executors.helper.contract import (
    HelperBusyError,
    HelperReplacedError,
    TokenRefusedError,
)
from executors.helper.jobs import INSTANCE, key_of, launch_request
from executors.service_docker import ServiceDocker
from executors.service_docker.settings import ServiceDockerSettings
from paas_runner.executor.checks import Grade
from paas_runner.executor.contract import ProvisionedHost, Removal
from paas_runner.helper import grpc_service
from paas_runner.helper.access import Access
from paas_runner.helper.http1 import Http1Verbs
from paas_runner.helper.http1_listener import Http1Listener
from paas_runner.helper.protocol import JobStatus
from paas_runner.http import Http
from paas_runner.job.tracked import Host
from paas_runner.secret import Secret
from tests.executors.test_clever import SECTION, requested
from tests.helper.conftest import TOKEN, settled

FIRST, SECOND = requested(1), requested(2)
KEY = key_of(SECTION, Host(ref="helper"), 1)


@pytest.fixture(params=[True, False], ids=["http1", "grpc"])
def http1(request):
    return request.param


@contextlib.asynccontextmanager
async def _lived(world, http1):
    """One life of the service; the executor that is configured for it."""
    async with world.alive() as service:
        access = Access(service=service, token=Secret(TOKEN))
        listening = (
            Http1Listener.listening(Http1Verbs(access), "127.0.0.1", 0)
            if http1
            else grpc_service.listening(access, "127.0.0.1:0")
        )
        async with listening as port:
            yield _executor(port, http1)


def _executor(port, http1, token=TOKEN):
    settings = ServiceDockerSettings(host=f"127.0.0.1:{port}", http1=http1, token=Secret(token))
    kind = ServiceDocker(second_look_after=timedelta(seconds=0.01))
    return kind.build(settings, SECTION, Http(rng=random.Random(1)))


@pytest.fixture
async def executor(world, http1):
    async with _lived(world, http1) as executor:
        yield executor


@pytest.fixture
async def client(executor):
    async with executor._client(Host(ref="helper")) as client:
        yield client


def _launch(request):
    return launch_request(request, SECTION, Host(ref="helper"), authority_file="")


def _provisioned(request, host):
    return ProvisionedHost(name=request.host_name, job_id=request.payload.job_id, host=host)


async def _ready(executor, request):
    host = await executor.provision(request)
    return await executor.ready(_provisioned(request, host))


def _removal(request, host):
    return Removal(name=request.host_name, host=host, search=False)


async def test_the_client_and_the_service_mean_the_same(world, client):
    free = await client.can_take_job()
    assert (free.takes, free.told.lease, free.told.unclean) == (True, timedelta(minutes=10), False)
    for _ in range(2):
        await client.launch(_launch(FIRST), instance=free.told.instance)
    assert world.host.begun == [1]
    assert not (await client.can_take_job()).takes
    seen = await client.status(KEY)
    assert (seen.status, seen.told.instance) == (JobStatus(running=True), free.told.instance)
    world.host.child.ended.set_result(3)
    await settled()
    assert (await client.status(KEY)).status == JobStatus(running=False, exit_code=3)
    assert not (await client.forget(KEY)).unclean
    assert await client.status(KEY) is None
    await client.forget(KEY)
    assert (await client.can_take_job()).takes


async def test_what_the_service_refuses_has_the_meaning_that_it_has_for_the_client(
    world, client, monkeypatch
):
    """H138: one that is busy is asked once more."""
    for module in ("http1", "grpc"):
        monkeypatch.setattr(f"executors.helper.{module}.pause", lambda _: 0)
    with pytest.raises(HelperReplacedError):
        await client.launch(_launch(FIRST), instance="0" * 32)
    await client.launch(_launch(FIRST))
    with pytest.raises(HelperBusyError) as caught:
        await client.launch(_launch(SECOND))
    assert caught.value.retry_after is not None
    await client.forget(KEY)
    instance = (await client.can_take_job()).told.instance
    with pytest.raises(HelperReplacedError):
        await client.launch(_launch(FIRST), instance=instance)
    await client.launch(_launch(SECOND), instance=instance)
    assert world.host.begun == [1, 2]


async def test_a_service_that_cannot_be_cleaned_takes_no_more_and_says_so(world, executor, client):
    world.host.left = "a volume"
    await client.launch(_launch(FIRST))
    assert (await client.forget(KEY)).unclean
    found = await client.can_take_job()
    assert (found.takes, found.told.unclean) == (False, True)
    assert await _ready(executor, SECOND) is False
    assert Grade.FAULT in {result.grade for result in await executor.examine()}


async def test_jobs_of_an_executor_come_one_after_the_other(world, executor):
    """H131, H132, H135: the second is ready when the first is forgotten, which ends it if it runs."""
    first = await _ready(executor, FIRST)
    assert first.details[INSTANCE]
    await executor.launch(FIRST, first)
    await executor.launch(FIRST, first)
    assert await executor.trouble(_provisioned(FIRST, first)) is None
    assert await _ready(executor, SECOND) is False
    assert await _ready(executor, FIRST) is True  # its host without the note: another program's
    await executor.decommission(_removal(FIRST, first))
    assert world.host.child.asked_to_end
    second = await _ready(executor, SECOND)
    await executor.launch(SECOND, second)
    world.host.child.ended.set_result(0)
    await settled()
    assert "exit code 0" in await executor.trouble(_provisioned(SECOND, second))
    await executor.decommission(_removal(SECOND, second))
    await executor.decommission(_removal(SECOND, None))
    assert (world.host.begun, world.host.cleaned) == ([1, 2], 2)


async def test_a_job_is_not_begun_again_where_its_service_was_started_anew(world, http1, tmp_path):
    """On the same machine, and on one that took its place."""
    async with _lived(world, http1) as executor:
        host = await _ready(executor, FIRST)
        await executor.launch(FIRST, host)
        world.host.child.ended.set_result(137)  # all of a machine dies at once
        await settled()
    for folder in (world.folder, tmp_path / "of another machine"):
        async with _lived(attrs.evolve(world, folder=folder), http1) as executor:
            here = executor._called()
            again = Host(ref=host.ref, details={**here, INSTANCE: host.details[INSTANCE]})
            with contextlib.suppress(HelperReplacedError):  # on the same machine the job is there, and over
                await executor.launch(FIRST, again)
            assert await executor.trouble(_provisioned(FIRST, again))
            assert world.host.begun == [1]


async def test_another_token_is_refused_by_every_verb(world, http1):
    async with _lived(world, http1) as executor:
        port = int(executor._place.address.port)
        stranger = _executor(port, http1, token="wrong")
        host = await stranger.provision(FIRST)
        for asked in (
            stranger.ready(_provisioned(FIRST, host)),
            stranger.launch(FIRST, host),
            stranger.decommission(_removal(FIRST, host)),
        ):
            with pytest.raises(TokenRefusedError):
                await asked
        assert world.host.begun == []


async def test_what_is_still_being_removed_when_forgetting_is_answered_keeps_the_place(world, http1):
    world.options["forget_seconds"] = 0.01
    world.host.cleaning.clear()
    async with _lived(world, http1) as executor:
        host = await _ready(executor, FIRST)
        await executor.launch(FIRST, host)
        await executor.decommission(_removal(FIRST, host))
        assert await _ready(executor, SECOND) is False
        world.host.cleaning.set()
        async with asyncio.timeout(30):
            while not await _ready(executor, SECOND):
                await asyncio.sleep(0.01)
