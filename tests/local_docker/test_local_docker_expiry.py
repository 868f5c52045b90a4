"""Hosts on an engine end without the service: by their inner runner, and by the command that a timer calls.

Engine, service, inner runner and their deaths are real; the days that pass are told to the search.
"""

import os
import signal
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from paas_runner.commands.expire import expire, known_installation
from paas_runner.config import load
from paas_runner.executor.contract import installed
from paas_runner.job.lifetime import GRACE, MARGIN, MARGIN_VARIABLE
from paas_runner.service.process import real_edges
from tests.local_docker.conftest import requested
from tests.support.docker_world import docker_world
from tests.support.processes import children, until

DAY = timedelta(days=1)


@pytest.fixture
async def world(tmp_path, engine, host_image):
    async with docker_world(tmp_path, engine=engine, image=host_image) as world:
        yield world


def processes_in(world):
    """The inner runner's guardian and what is below it, of the only host, as this machine numbers them."""
    [host] = world.running
    with world.engine.client() as client:
        guardian = client.inspect_container(host["Id"])["State"]["Pid"]
    return guardian, children(guardian)


@pytest.mark.long
@pytest.mark.process
async def test_a_host_that_does_nothing_any_more_goes_with_all_it_has_and_no_other_does(world):
    """The service is killed, the inner runner and its guardian are stopped; a day later the timer comes."""
    own, stranger = world.engine, uuid.uuid4().hex
    service = await world.start()
    try:
        [stuck] = world.submit(script=(world.saying_that_it_runs, "sleep 600"))
        await world.until(lambda: world.runs, seconds=60)
        guardian, below = processes_in(world)
        for pid in (guardian, *below):
            os.kill(pid, signal.SIGSTOP)
        [young] = world.submit(script=(world.saying_that_it_runs, "sleep 600"), timeout=3 * DAY)
        await world.until(lambda: len(world.runs) == 2, seconds=60)
    finally:
        service._process.kill()
        await service.wait()
    config = load(world.config, environ=os.environ, executors=installed())
    installation = known_installation(config, datetime.now(UTC))
    with own.client() as client:
        labels = {
            "paas-runner.installation": stranger,
            "paas-runner.job": "hpd-job-other-1",
            "paas-runner.ends-at": "2001-01-01T00:00:00Z",
        }
        client.create_volume(labels=labels)
    try:
        early = await expire(config, real_edges(), installation, now=datetime.now(UTC), remove=True)
        assert (early.hosts, early.not_asked) == ([], [])
        found = await expire(config, real_edges(), installation, now=datetime.now(UTC) + DAY, remove=True)
        [gone] = found.hosts
        assert gone.removed
        assert gone.host.name.endswith(f"-{stuck.job_id}")
        assert not own.everything(job=gone.host.name)
        [left] = world.running
        assert left["Names"][0].endswith(f"-{young.job_id}")
        assert len(own.everything(installation=stranger)) == 1
    finally:
        for kind, name in own.everything(installation=stranger):
            assert kind == "volume"
            with own.client() as client:
                client.remove_volume(name)
        await expire(config, real_edges(), installation, now=datetime.now(UTC) + 9 * DAY, remove=True)
        assert not world.alive


@pytest.mark.long
@pytest.mark.process
async def test_the_inner_runner_of_a_container_ends_it_in_time_though_it_hangs(world):
    """Six seconds and a margin of three: its guardian is the container's first process."""
    dockerfile = f"FROM {world._image}\nENV {MARGIN_VARIABLE}=3\n"
    world.configure(image=world.engine.build("paas-runner-test/hurried", dockerfile))
    service = await world.start()
    try:
        [job] = world.submit(script=(world.saying_that_it_runs, "sleep 600"), timeout=timedelta(seconds=6))
        await world.until(lambda: world.runs, seconds=60)
        [program] = processes_in(world)[1]
        os.kill(program, signal.SIGSTOP)
    finally:
        service._process.kill()
        await service.wait()
    await until(lambda: not world.running)
    with world.engine.client() as client:
        filters = {"label": [f"paas-runner.runner={world._runner}"]}
        [host] = client.containers(all=True, filters=filters)
        assert client.inspect_container(host["Id"])["State"]["ExitCode"] == 124
    async with world.service():
        await world.settled([job])


async def test_the_end_of_a_host_is_written_on_all_it_has(docker):
    before = datetime.now(UTC)
    host = await docker.make().provision(requested())
    labels = docker.inspect(host)["Config"]["Labels"]
    end = datetime.fromisoformat(labels["paas-runner.ends-at"])
    wanted = requested().payload.timeout + MARGIN + GRACE
    assert before - timedelta(seconds=1) <= end - wanted <= datetime.now(UTC)
    ends = {"ends-at": labels["paas-runner.ends-at"]}
    assert docker.engine.everything(installation=docker.installation, **ends) == docker.everything()


async def test_what_is_over_is_found_whichever_runner_it_was_made_for(docker):
    executor = docker.make()
    host = await docker.make(short_token="_gone-1-").provision(requested())
    assert await executor.overdue(datetime.now(UTC)) == []
    [found] = await executor.overdue(datetime.now(UTC) + DAY)
    assert (found.ref, found.name) == (host.ref, requested().host_name)
    assert await docker.make(installation=uuid.uuid4().hex).overdue(datetime.now(UTC) + DAY) == []
    await executor.expire(found)
    assert not docker.everything()
    await executor.expire(found)


async def test_what_a_host_has_left_without_its_container_is_found_as_well(docker):
    executor = docker.make()
    host = await executor.provision(requested())
    with docker.client() as client:
        client.remove_container(host.ref, v=False, force=True)
    [found] = await executor.overdue(datetime.now(UTC) + DAY)
    await executor.expire(found)
    assert not docker.everything()
