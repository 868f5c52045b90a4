"""Hosts end without the service: by the cluster's controller, in virtual time on the sandbox's cluster."""

import asyncio
from datetime import timedelta

import attrs
import pytest

from executors.kubernetes import manifest
from executors.kubernetes.executor import WAITS
from executors.kubernetes.settings import KubernetesSettings
from paas_runner.conformance import host_request
from paas_runner.executor.contract import RunnerSection
from paas_runner.sandbox.kubernetes import ClusterOptions
from tests.support.clusters import JOBS, SECRETS, in_cluster

SECTION = RunnerSection(
    name="k8s", url="https://gitlab.example", short_token="abc", forwarded={}, installation="i-1"
)
REQUEST = host_request("abc", 1)
BOUND = REQUEST.payload.timeout + timedelta(minutes=10) + WAITS


def made(image: str, **settings):
    known = KubernetesSettings(**settings)
    flavor = known.sizes[known.default_flavor]
    return manifest.job(REQUEST, SECTION, known, flavor=flavor, image=image, secret="s", waits=WAITS)


@pytest.mark.parametrize("image", ["hangs", "stubborn"])
@pytest.mark.parametrize("launched", [False, True])
def test_a_host_ends_and_all_that_is_its_goes_though_nobody_looks_after_it(image, launched):
    async def story(asked):
        job = await asked.create(JOBS, made(image))
        await asyncio.sleep(5)
        if launched:
            [pod] = await asked.pods()
            uids = {"job_uid": job["metadata"]["uid"], "pod_uid": pod["metadata"]["uid"]}
            name = job["metadata"]["name"]
            await asked.create(SECRETS, manifest.secret("s", {"job.json": b"{}"}, job_name=name, **uids))
        await asyncio.sleep(300)
        assert len(asked.cluster.ledger.running) == launched
        await asyncio.sleep(BOUND.total_seconds() + manifest.GRACE_SECONDS - 300)
        assert asked.cluster.ledger.running == []
        await asyncio.sleep(manifest.KEPT_SECONDS + 60)
        assert asked.cluster.left == []

    in_cluster(story)


def test_the_time_in_a_queue_does_not_count():
    async def story(asked):
        await asked.create(JOBS, made("hangs", queue_name="ci"))
        await asyncio.sleep(20 * 3600)
        assert (await asked.get(f"{JOBS}/hpd-job-abc-1"))["status"].get("conditions", []) != "Failed"
        await asked.patch(f"{JOBS}/hpd-job-abc-1", {"spec": {"suspend": False}})
        await asyncio.sleep(BOUND.total_seconds() - 60)
        assert len(await asked.pods()) == 1
        await asyncio.sleep(120)
        assert await asked.pods() == []

    in_cluster(story)


def test_a_host_that_waits_for_a_node_for_ever_ends_too():
    async def story(asked):
        asked.cluster.options = attrs.evolve(ClusterOptions(), unschedulable=True)
        await asked.create(JOBS, made("hangs"))
        await asyncio.sleep(BOUND.total_seconds() + manifest.KEPT_SECONDS + 60)
        assert asked.cluster.left == []

    in_cluster(story)
