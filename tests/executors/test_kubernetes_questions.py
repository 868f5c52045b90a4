"""What registration asks for `kubernetes`, and what an account says of a pod that waits."""

import random

import attrs
import pytest

from executors.kubernetes import Kubernetes
from executors.kubernetes.account import Facts
from paas_runner.executor.contract import RunnerSection
from paas_runner.executor.questions import AnswerRefusedError, QuestionContext
from paas_runner.http import Http
from tests.support.kubernetes_hosts import cluster_with_hosts

SECTION = RunnerSection(name="k", url="https://x", short_token="abc", forwarded={}, installation="i")


async def checked(namespace: str, environ, **settings) -> str:
    context = QuestionContext(
        section=SECTION, settings={**settings, "namespace": namespace}, connect=Http(rng=random.Random(1))
    )
    [question] = [each for each in Kubernetes(environ=environ).questions if each.key == "namespace"]
    assert question.check
    return await question.check(context, namespace)


async def test_the_cluster_is_asked_for_its_version_and_for_our_rights(tmp_path):
    async with cluster_with_hosts(tmp_path) as hosts:
        hosts.server.write_kubeconfig(tmp_path / "config")
        said = await checked("default", {"KUBECONFIG": str(tmp_path / "config")})
    assert "is v1.34.1; namespace default: all rights that are needed" in said


async def test_a_namespace_that_is_not_there_is_asked_for_again(tmp_path):
    async with cluster_with_hosts(tmp_path) as hosts:
        hosts.server.write_kubeconfig(tmp_path / "config")
        with pytest.raises(AnswerRefusedError, match='namespaces "absent" not found') as caught:
            await checked("absent", {"KUBECONFIG": str(tmp_path / "config")})
    assert caught.value.again == ""


async def test_no_cluster_is_an_answer_that_is_refused(tmp_path):
    with pytest.raises(AnswerRefusedError, match="no cluster is named") as caught:
        await checked("ci", {"HOME": str(tmp_path)})
    assert caught.value.again == "kubeconfig"


async def test_that_the_secret_was_missing_before_the_launch_is_no_cause():
    def event(message):
        return {"type": "Warning", "reason": "FailedMount", "message": message}

    pod = {"status": {"phase": "Pending"}}
    missing = event('MountVolume.SetUp failed for volume "job": secret "hpd-job-a-1-x" not found')
    facts = Facts(name="hpd-job-a-1", job={"spec": {}}, pod=pod, events=[missing])
    assert "FailedMount" not in facts.cause.text
    assert "cannot be mounted" not in facts.cause.text
    assert "cannot be mounted: no disk" in attrs.evolve(facts, events=[event("no disk")]).cause.text
