"""The simulated cluster on a port: processes, files, cut connections, and nothing left."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import httpx
import pytest
import yaml

from paas_runner.sandbox.faults import Cut
from paas_runner.sandbox.kubernetes import PODS, KubernetesServer, LocalRuntime, inner_runner, own_command
from tests.support.clusters import JOBS, SECRETS, container, job


@attrs.frozen
class World:
    server: KubernetesServer
    client: httpx.AsyncClient

    async def run(self, image: str = "here", **more: Any) -> Any:
        """The job's pod once it is over, or runs for good."""
        given = [{"name": "given", "secret": {"secretName": "s"}}]
        main = container(image, volumeMounts=[{"name": "given", "mountPath": "/given"}], **more)
        (
            await self.client.post(JOBS, json=job(pod={"containers": [main], "volumes": given}))
        ).raise_for_status()
        secret = {"metadata": {"name": "s"}, "stringData": {"runner.toml": "x", "job.json": "{}"}}
        (await self.client.post(SECRETS, json=secret)).raise_for_status()
        return await self.pod("Succeeded", "Failed")

    async def pod(self, *phases: str) -> Any:
        async with asyncio.timeout(60):
            while True:
                for found in self.server.cluster.objects(PODS):
                    if found["status"]["phase"] in phases:
                        return found
                await asyncio.sleep(0.01)

    def path(self, pod: Any) -> str:
        return f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}"


@attrs.frozen
class PlayedInner:
    """In the inner runner's place, which is used by nothing but what a program of the table uses."""

    environment: Any = None
    say: Any = print

    async def run(self, config: str, payload: str, _stops: Any) -> int:
        self.say(f"{config} {payload} {self.environment['A']}")
        return 7


@pytest.fixture
async def world() -> AsyncIterator[World]:
    table = {"here": own_command, "inner": inner_runner(PlayedInner())}  # type: ignore[arg-type]
    async with KubernetesServer(LocalRuntime(table)) as server:
        headers = {"Authorization": f"Bearer {server.token.reveal()}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as client:
            yield World(server, client)
    assert server.cluster.ledger.running == []


async def test_a_command_finds_the_files_of_its_secret(world: World) -> None:
    pod = await world.run(command=["sh", "-c", "cat /given/job.json; exit 3"])
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    assert (await world.client.get(f"{world.path(pod)}/log")).text == "{}"


async def test_a_pod_that_leaves_its_command_to_the_image_is_told_that_there_is_none(world: World) -> None:
    pod = await world.run()
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 127
    said = (await world.client.get(f"{world.path(pod)}/log")).text
    assert said == "here: there are no images here, so a pod has to say its command\n"


async def test_the_inner_runner_gets_its_two_files_and_the_environment(world: World) -> None:
    pod = await world.run("inner", env=[{"name": "A", "value": "b"}])
    assert (await world.client.get(f"{world.path(pod)}/log")).text == "x {} b\n"
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 7


async def test_a_deleted_pod_is_terminated_and_what_it_has_started_is_killed(world: World) -> None:
    running = asyncio.create_task(world.run(command=["sh", "-c", "sleep 600 & echo x; wait"]))
    pod = await world.pod("Running")
    await world.client.delete(world.path(pod))
    async with asyncio.timeout(60):
        while world.server.cluster.objects(PODS):
            await asyncio.sleep(0.01)
    assert [each.code for each in world.server.cluster.ledger.runs] == [143]
    running.cancel()


async def test_a_log_is_cut_on_a_real_connection(world: World) -> None:
    pod = await world.run(command=["echo", "0123456789"])
    world.server.faults.add(Cut(after_bytes=4), path="**/log", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        await world.client.get(f"{world.path(pod)}/log")
    assert (await world.client.get(f"{world.path(pod)}/log")).text == "0123456789\n"


async def test_a_watch_ends_with_the_server(world: World) -> None:
    async with world.client.stream("GET", JOBS, params={"watch": "true"}) as answer:
        await world.client.post(JOBS, json=job(suspend=True))
        assert json.loads(await anext(answer.aiter_lines()))["type"] == "ADDED"
        await world.server.restart()
    assert (await world.client.get(f"{JOBS}/a")).status_code == 200


async def test_the_kubeconfig_is_its_owners_and_says_where_and_who(world: World, tmp_path: Path) -> None:
    world.server.write_kubeconfig(tmp_path / "config")
    assert (tmp_path / "config").stat().st_mode & 0o777 == 0o600
    config = yaml.safe_load((tmp_path / "config").read_text())
    assert config["clusters"][0]["cluster"] == {"server": world.server.url}
    assert config["users"][0]["user"] == {"token": world.server.token.reveal()}
