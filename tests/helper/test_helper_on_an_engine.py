"""Jobs in containers on one host, one after the other: nothing of the first meets the second (point 3)."""

import os
import signal

import pytest

from paas_runner.docker.labels import HELPER
from tests.helper.test_helper_program import World
from tests.support.helper_program import HelperMachine
from tests.support.inner_program import machine_in
from tests.support.processes import children, until

pytestmark = [pytest.mark.long, pytest.mark.process, pytest.mark.timeout(300)]


@pytest.fixture
async def world(tmp_path, engine):
    (tmp_path / "files").mkdir()
    async with machine_in(tmp_path / "files") as inner:
        found = World(inner, tmp_path / "state")
        found.machine = HelperMachine(
            folder=found.folder, arguments=("--http1",), environment={"DOCKER_HOST": engine.url}
        )
        found.config = (
            f'[[runners]]\nurl = "{inner.url}"\ntoken = "abc"\nexecutor = "docker"\n'
            f'[runners.docker]\nimage = "{engine.base}"\npull_policy = "never"\nvolumes = ["/kept"]\n'
        )
        yield found


async def test_what_a_killed_job_left_on_the_engine_is_removed_before_the_next_one_begins(world, engine):
    async with world.machine.started() as helper:
        assert await helper.can_take_job()
        instance = (await helper.client.get("/can-take-job")).headers["PaaS-Runner-Instance"]
        first, payload = world.acquired("touch /kept/trace /tmp/trace trace", "echo it runs", "sleep 100")
        assert (await helper.launch(payload, world.config)).status_code == 201
        await until(lambda: b"it runs" in first.trace, seconds=60)
        with engine.client() as client:  # as a job's own container might have made them
            labels = {HELPER: instance}
            client.create_volume("left-behind", labels=labels)
            client.create_network("left-behind", labels=labels)
            left = client.create_container(engine.base, ["sleep", "100"], labels=labels)
            client.start(left)
        assert {kind for kind, _ in engine.everything(helper=instance)} == {"container", "network", "volume"}
        [inner_runner] = children(helper.process.pid)
        os.kill(inner_runner, signal.SIGKILL)
        assert await helper.ended(first.job_id) == 137
        assert not await helper.can_take_job()

        assert (await helper.forget(first.job_id)).status_code == 200
        assert engine.everything(helper=instance) == set()
        assert not (world.folder / "job").exists()
        assert await helper.can_take_job()

        second, payload = world.acquired("ls -d /kept/trace /tmp/trace trace && exit 1; echo nothing is left")
        assert (await helper.launch(payload, world.config)).status_code == 201
        assert await helper.ended(second.job_id) == 0, second.trace
        assert b"nothing is left" in second.trace
        assert (await helper.forget(second.job_id)).status_code == 200
        assert engine.everything(helper=instance) == set()


async def test_without_its_engine_a_host_takes_no_job(world):
    world.machine.environment = {"DOCKER_HOST": f"unix://{world.folder}/absent.sock"}
    async with world.machine.started() as helper:
        assert not await helper.can_take_job()
