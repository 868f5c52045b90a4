"""Pods of the simulated cluster on a real Docker engine."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import attrs
import httpx
import pytest

from paas_runner.docker.engine import UNBOUNDED, Address, Engine
from paas_runner.sandbox.kubernetes import PODS, KubernetesServer
from paas_runner.sandbox.kubernetes.docker_runtime import LABEL, DockerRuntime
from tests.support.clusters import JOBS, SECRETS, container, job
from tests.support.engine.at_hand import EngineAtHand

SCRIPT = """cat /given/a; echo " $a" '$$(HOME)'; exit 3"""


@attrs.frozen
class World:
    server: KubernetesServer
    client: httpx.AsyncClient
    engine: EngineAtHand

    async def run(self, script: str, **more: Any) -> None:
        main = container(self.engine.base, command=["sh", "-c", script], **more)
        given = [{"name": "given", "secret": {"secretName": "s"}}]
        body = job(pod={"containers": [main], "volumes": given, "terminationGracePeriodSeconds": 1})
        (await self.client.post(JOBS, json=body)).raise_for_status()

    async def pod(self, *phases: str) -> Any:
        """The only one, as soon as it is in that phase."""
        async with asyncio.timeout(60):
            while True:
                for found in self.server.cluster.objects(PODS):
                    if found["status"]["phase"] in phases:
                        return found
                await asyncio.sleep(0.05)

    @property
    def containers(self) -> list[Any]:
        with self.engine.client() as client:
            return list(client.containers(all=True, filters={"label": LABEL}))


@pytest.fixture
async def world(engine: EngineAtHand) -> AsyncIterator[World]:
    connected = Engine(Address(url=engine.url), seconds=3600, calls_at_once=UNBOUNDED)
    async with KubernetesServer(DockerRuntime(connected)) as server:
        headers = {"Authorization": f"Bearer {server.token.reveal()}"}
        async with httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False) as client:
            secret = {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
            (await client.post(SECRETS, json=secret)).raise_for_status()
            yield World(server, client, engine)
    await connected.aclose()


async def test_a_pod_has_its_secret_its_log_and_its_exit_code(world: World) -> None:
    mounts = [{"name": "given", "mountPath": "/given"}]
    await world.run(SCRIPT, envFrom=[{"secretRef": {"name": "s"}}], volumeMounts=mounts)
    pod = await world.pod("Failed", "Succeeded")
    name = pod["metadata"]["name"]
    assert (await world.client.get(f"/api/v1/namespaces/default/pods/{name}/log")).text == "b b $(HOME)\n"
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    assert world.containers == []


async def test_a_pod_that_is_deleted_is_killed_after_its_grace(world: World) -> None:
    await world.run("trap '' TERM; while sleep 1; do :; done")
    pod = await world.pod("Running")
    while not world.containers:
        await asyncio.sleep(0.05)
    await world.client.delete(f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}")
    async with asyncio.timeout(60):
        while world.containers or world.server.cluster.objects(PODS):
            await asyncio.sleep(0.05)
