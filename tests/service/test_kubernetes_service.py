"""The unchanged service with hosts on a cluster, in virtual time: jobs end, though it is killed."""

import asyncio
import random
from collections import Counter
from urllib.parse import urlsplit

import pytest

from executors.kubernetes import Kubernetes
from paas_runner.config import load
from paas_runner.pipelines.states import JobState
from paas_runner.sandbox.faults import DropAfter, DropBefore, FaultInjector
from paas_runner.sandbox.kubernetes import PODS, Cluster, LocalRuntime, create_app, inner_runner
from paas_runner.sandbox.scripted import ScriptedInnerRunner
from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import virtual_now
from tests.support.streaming_app import StreamingApp
from tests.support.virtual_world import COORDINATOR, VirtualWorld

KUBERNETES = "http://kubernetes.test"
CONFIG = """
concurrent = 6
check_interval = 3

[[runners]]
  name = "virtual"
  url = "{url}"
  token = "{token}"
  executor = "kubernetes"
  kubeconfig = "{kubeconfig}"
  heptapod_runner_main_image = "inner"
"""
KUBECONFIG = f"""
current-context: c
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
clusters: [{{name: c, cluster: {{server: "{KUBERNETES}"}}}}]
users: [{{name: u, user: {{token: canary-cluster-token}}}}]
"""


class ClusterWorld(VirtualWorld):
    def __init__(self, folder, **options):
        super().__init__(folder, **options)
        inner = ScriptedInnerRunner(clock=virtual_now, transport=lambda _url: self._transport(COORDINATOR))
        self.kubernetes = Cluster(
            clock=virtual_now, rng=self.rng, runtime=LocalRuntime({"inner": inner_runner(inner)})
        )
        self.kubernetes.accounts.add("admin", Secret("canary-cluster-token"))
        self._served = FaultInjector(create_app(self.kubernetes), self.cloud_faults)

    def _transport(self, base_url):
        if urlsplit(base_url).netloc == "kubernetes.test":
            return StreamingApp(self._served)
        return super()._transport(base_url)

    @property
    def executors(self):
        return {"kubernetes": lambda: Kubernetes(environ={})}

    def configuration(self):
        (kubeconfig := self.folder / "kubeconfig").write_text(KUBECONFIG)
        (path := self.folder / "config.toml").write_text(
            CONFIG.format(url=COORDINATOR, token=self.runner.token.reveal(), kubeconfig=kubeconfig)
        )
        return load(path, environ={}, executors=self.executors)

    @property
    def alive(self):
        return self.kubernetes.left

    @property
    def begun(self):
        """How often each pod's program has run."""
        return Counter(run.pod.rpartition("-")[0] for run in self.kubernetes.ledger.runs)

    async def aclose(self):
        await self.kubernetes.aclose()
        await super().aclose()


def test_jobs_end_as_their_scripts_do_and_nothing_is_left(tmp_path):
    async def story(world):
        async with world.service():
            good = world.submit("echo hello", "sleep 60")
            bad = world.submit("exit 3")
            await world.settled(good, bad)
        assert (good.status, bad.status) == (JobState.SUCCESS, JobState.FAILED)
        assert bad.failure_reason == "script_failure"
        assert "hello" in good.trace.decode()
        assert set(world.begun.values()) == {1}

    ClusterWorld.play(tmp_path, story)


def test_a_job_whose_pod_is_evicted_fails_with_the_cause_in_its_log(tmp_path):
    async def story(world):
        async with world.service():
            job = world.submit("sleep 3000")
            while not world.kubernetes.ledger.running:
                await asyncio.sleep(1)
            await asyncio.sleep(60)
            [pod] = world.kubernetes.objects(PODS)
            world.kubernetes.kubelet.evict(pod)
            await world.settled(job)
        assert (job.status, job.failure_reason) == (JobState.FAILED, "runner_system_failure")
        assert "its node ran short of memory" in " ".join(job.trace.decode().split())

    ClusterWorld.play(tmp_path, story)


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in range(1, 8))])
def test_a_service_that_is_killed_again_and_again_runs_each_job_once_and_leaves_nothing(tmp_path, seed):
    async def story(world):
        rng = random.Random(seed)
        for fault in (DropAfter(), DropBefore()):
            world.cloud_faults.add(fault, times=2, path=rng.choice(["/apis/**", "/api/**", "**"]))
        jobs = [world.submit(f"sleep {rng.randrange(1, 90)}", name=f"job {n}") for n in range(6)]
        for _ in range(12):
            serving, _stopping = world.start()
            await asyncio.sleep(rng.choice([0.01, 0.1, 1.0, 5.0, 30.0]) * rng.random())
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)
        async with world.service():
            await world.settled(*jobs)
        assert [job.status for job in jobs] == [JobState.SUCCESS] * len(jobs)
        assert len(world.begun) == len(jobs)
        assert set(world.begun.values()) == {1}

    ClusterWorld.play(tmp_path, story)
