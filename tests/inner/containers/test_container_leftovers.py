"""What is left on the engine when the inner runner dies: nothing for long."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from paas_runner.docker.labels import INNER_JOB, OBJECT_LABELS_VARIABLE
from paas_runner.inner.containers.leftovers import job_label, object_labels
from paas_runner.pipelines.payload import job_payload
from paas_runner.pipelines.spec import ServiceSpec
from paas_runner.pipelines.states import JobState
from paas_runner.sandbox.control_api import create_coordinator_app
from paas_runner.server.listening import Listener
from tests.inner.containers.conftest import Docker, until
from tests.support.hosts import GRACEFUL, script
from tests.support.live_records import LiveJob, submitted


@pytest.fixture
async def listener(docker: Docker) -> AsyncIterator[Listener]:
    listener = Listener(create_coordinator_app(docker.world.coordinator))
    await listener.start()
    yield listener
    await listener.stop()


@contextlib.asynccontextmanager
async def program(
    docker: Docker, listener: Listener, folder: Path, *lines: str, **more: Any
) -> AsyncIterator[tuple[LiveJob, asyncio.subprocess.Process]]:
    """The inner runner as a process of its own."""
    coordinator = docker.world.coordinator
    job = submitted(coordinator, script(*lines, **more))
    assert coordinator.acquire(docker.world.runner.runner_id, features=GRACEFUL) == job
    payload = job_payload(job, url=listener.url, options=coordinator.options)
    (folder / "job.json").write_text(json.dumps(payload))
    (folder / "runner.toml").write_text(docker.toml().replace(docker.url, listener.url))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "paas_runner.inner", "exec-fetched-job"),
        *("--config", str(folder / "runner.toml"), str(folder / "job.json")),
    )
    try:
        yield job, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_kill_9_in_the_middle_of_a_script_leaves_nothing(docker, greeter, listener, tmp_path) -> None:
    lines = ("echo ready", "sleep 600")
    async with program(docker, listener, tmp_path, *lines, services=(ServiceSpec(name=greeter),)) as (
        job,
        process,
    ):
        await until(lambda: b"\nready" in job.trace)
        assert len(docker.left()) == 3
        process.kill()
        await process.wait()
        await until(lambda: not docker.left(), seconds=10)
    assert job.status is JobState.RUNNING


@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.2, 1.6])
async def test_kill_9_at_any_time_leaves_nothing(docker, greeter, listener, tmp_path, seconds) -> None:
    services = (ServiceSpec(name=greeter), ServiceSpec(name=greeter, alias="other"))
    async with program(docker, listener, tmp_path, "sleep 600", services=services) as (_, process):
        await asyncio.sleep(seconds)
        keepers = [each for program in children(process.pid) for each in children(int(program.name))]
        process.kill()
        await process.wait()
        await until(lambda: not any(keeper.exists() for keeper in keepers), seconds=30)
        assert docker.left() == set()


def children(parent: int) -> list[Path]:
    """Where the machine tells of each process that was started by another."""
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return [Path("/proc") / child for child in found]


async def test_sigterm_ends_a_job_in_good_order(docker, listener, tmp_path) -> None:
    async with program(docker, listener, tmp_path, "echo ready; sleep 600") as (job, process):
        await until(lambda: b"\nready" in job.trace)
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 1
    assert job.failure_reason == "runner_system_failure"
    assert b"aborted: terminated" in job.trace
    assert docker.left() == set()


async def test_what_an_earlier_run_of_the_same_job_left_is_removed_before_it_begins(docker) -> None:
    async with docker.running("true", change=lambda payload: left_behind(docker, payload)) as (job, _):
        pass
    assert job.status is JobState.SUCCESS


def left_behind(docker: Docker, payload: dict[str, Any]) -> None:
    """As after the death of runner and keeper together."""
    labels = {**job_label(docker.url, payload["id"]), "paas-runner.owner": docker.owner}
    with docker.engine.client() as client:
        network = client.create_network(f"left-behind-{docker.owner}", labels=labels)
        client.create_volume(labels=labels)
        host_config = client.create_host_config(network_mode=f"left-behind-{docker.owner}")
        container = client.create_container(
            docker.engine.base, ["sleep", "600"], labels=labels, host_config=host_config
        )
        client.start(container)
        assert client.inspect_network(network["Id"])["Containers"]


async def test_nothing_of_another_job_is_touched(docker) -> None:
    other = {**job_label(docker.url, 4711), "paas-runner.owner": docker.owner}
    with docker.engine.client() as client:
        volume = client.create_volume(labels=other)["Name"]
        with pytest.raises(AssertionError):
            await docker.ran("true")
        assert docker.left() == {("volume", volume)}
        client.remove_volume(volume)


def test_the_owners_labels_are_on_everything() -> None:
    given = {OBJECT_LABELS_VARIABLE: "a.b=c, d=e=f,,g"}
    job = "https://gitlab.test/jobs/7"
    assert object_labels("https://gitlab.test", 7, given) == {"a.b": "c", "d": "e=f", INNER_JOB: job}
    assert object_labels("https://gitlab.test", 7, {}) == {INNER_JOB: job}
