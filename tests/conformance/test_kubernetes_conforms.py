"""The conformance suite on `kubernetes` and the sandbox's cluster, whose node runs the pods' own commands."""

import asyncio
import json
from contextlib import contextmanager

import pytest

from paas_runner.conformance import Call, ExecutorConformance
from paas_runner.sandbox.faults import Answer, Delay, DropAfter
from paas_runner.sandbox.kubernetes import JOBS
from paas_runner.sandbox.kubernetes.deletion import delete
from tests.support.kubernetes_hosts import cluster_with_hosts
from tests.support.scripted_cluster import status

pytestmark = pytest.mark.timeout(60)

CALLS = {
    Call.CREATE: {"method": "POST", "path": "/apis/batch/**/jobs"},
    Call.LAUNCH: {"method": "POST", "path": "/api/v1/**/secrets"},
    Call.DELETE: {"method": "DELETE", "path": "/apis/batch/**"},
}


class SandboxCluster:
    def __init__(self, hosts):
        self._hosts = hosts
        self.executor, self.request = hosts.executor, hosts.request

    async def existing(self):
        return [each["metadata"]["name"] for each in self._hosts.jobs()]

    async def launches(self, name):
        """A Secret may be there before its pod has begun."""
        secret = any(each.startswith("Secret/") for each in self._hosts.cluster.left)
        job_id = int(name.rpartition("-")[2])
        while secret and job_id not in self._hosts.begun():
            await asyncio.sleep(0.01)
        return self._hosts.begun().count(job_id)

    async def plant(self, name):
        template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}
        spec = {"template": template, "suspend": True}
        manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
        self._hosts.cluster.create(JOBS, "default", manifest)

    async def vanish(self, ref):
        delete(self._hosts.cluster.storage, self._hosts.cluster.storage.with_uid(ref))

    def losing_the_answer(self, call):
        return self._fault(DropAfter(), times=1, **CALLS[call])

    def slow_creation(self, seconds):
        return self._fault(Delay(seconds), **CALLS[Call.CREATE])

    def refusing(self):
        code, told = status(403, "Forbidden", "exceeded quota: q, requested: count/jobs.batch=1")
        return self._fault(Answer(code, body=json.dumps(told).encode()), **CALLS[Call.CREATE])

    @contextmanager
    def _fault(self, fault, **where):
        rule = self._hosts.server.faults.add(fault, **where)
        try:
            yield
        finally:
            self._hosts.server.faults.remove(rule)


class TestKubernetes(ExecutorConformance):
    @pytest.fixture
    async def provider(self, tmp_path):
        async with cluster_with_hosts(tmp_path) as hosts:
            yield SandboxCluster(hosts)
