"""The real kubectl on the simulated cluster, unmodified."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import attrs
import pytest

from paas_runner.sandbox.kubernetes import KubernetesServer, LocalRuntime, own_command
from tests.support.kubernetes_clients import kubernetes_clients

JOB = """
apiVersion: batch/v1
kind: Job
metadata:
  name: hello
  labels: {app: hello}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: main
        image: busybox
        command: [sh, -c, "echo one; sleep 0.5; echo $WORD; cat /secrets/file"]
        envFrom: [{secretRef: {name: given}}]
        volumeMounts: [{name: given, mountPath: /secrets}]
      volumes: [{name: given, secret: {secretName: given}}]
---
apiVersion: v1
kind: Secret
metadata: {name: given}
stringData: {WORD: two, file: three}
"""

pytestmark = pytest.mark.long


@attrs.frozen
class Kubectl:
    """The program, with a configuration for one cluster."""

    program: Path
    config: Path

    async def __call__(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        process = await asyncio.create_subprocess_exec(
            self.program,
            *arguments,
            env={"KUBECONFIG": str(self.config), "HOME": str(self.config.parent), "PATH": os.environ["PATH"]},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(stdin.encode())
        assert (process.returncode != 0) == fails, output.decode()
        return output.decode()


@pytest.fixture
async def kubectl(pytestconfig: pytest.Config, tmp_path: Path) -> AsyncIterator[Kubectl]:
    program = kubernetes_clients(pytestconfig) / "bin/kubectl"
    async with KubernetesServer(LocalRuntime({"busybox": own_command}), tls=True) as server:
        server.write_kubeconfig(tmp_path / "config")
        yield Kubectl(program, tmp_path / "config")
    assert server.cluster.ledger.running == []


async def test_a_job_is_applied_watched_read_described_and_deleted(kubectl: Kubectl) -> None:
    assert "job.batch/hello created" in await kubectl("apply", "-f", "-", stdin=JOB)
    await kubectl("wait", "--for=jsonpath={.status.ready}=1", "job/hello", "--timeout=10s")
    assert await kubectl("logs", "-f", "job/hello") == "one\ntwo\nthree"
    assert "condition met" in await kubectl("wait", "--for=condition=complete", "job/hello", "--timeout=10s")
    head, row = (await kubectl("get", "jobs", "-o", "wide")).splitlines()
    assert head.split() == ["NAME", "STATUS", "COMPLETIONS", "DURATION", "AGE", "CONTAINERS", "IMAGES"]
    assert row.split()[:3] == ["hello", "Complete", "1/1"]
    assert "Completed" in await kubectl("get", "pods", "-l", "job-name=hello")
    described = await kubectl("describe", "job/hello")
    assert "1 Succeeded / 0 Failed" in described
    assert "SuccessfulCreate" in described
    assert "Controlled By:  Job/hello" in await kubectl("describe", "pods")
    assert "unchanged" in await kubectl("apply", "-f", "-", stdin=JOB)
    await kubectl("delete", "job", "hello", "--cascade=foreground")
    assert "No resources" in await kubectl("get", "all")


async def test_what_is_wrong_is_told_as_the_server_tells_it(kubectl: Kubectl) -> None:
    unknown = JOB.replace("backoffLimit", "backofLimit")
    told = await kubectl("create", "-f", "-", stdin=unknown, fails=True)
    assert 'strict decoding error: unknown field "spec.backofLimit"' in told
    wrong = JOB.replace("restartPolicy: Never", "restartPolicy: Always")
    told = await kubectl("create", "-f", "-", stdin=wrong, fails=True)
    assert 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"' in told
    assert "already exists" in await kubectl("create", "-f", "-", stdin=JOB, fails=True)


async def test_a_dry_run_makes_nothing(kubectl: Kubectl) -> None:
    told = await kubectl("create", "-f", "-", "--dry-run=server", stdin=JOB)
    assert "job.batch/hello created (server dry run)" in told
    assert "No resources" in await kubectl("get", "jobs,secrets")


async def test_a_job_is_suspended_labeled_and_seen_as_it_is(kubectl: Kubectl) -> None:
    await kubectl("create", "-f", "-", stdin=JOB.replace("sleep 0.5", "sleep 60"))
    await kubectl("patch", "job", "hello", "-p", '{"spec":{"suspend":true}}')
    await kubectl("label", "job", "hello", "color=red", "app-")
    await kubectl("wait", "--for=condition=suspended", "job/hello", "--timeout=10s")
    found = json.loads(await kubectl("get", "job", "hello", "-o", "json"))
    assert found["metadata"]["labels"] == {"color": "red"}
    assert found["spec"]["suspend"] is True
    await kubectl("delete", "jobs,secrets", "--all", "--grace-period=0", "--force")
    assert "No resources" in await kubectl("get", "jobs,secrets,pods")
