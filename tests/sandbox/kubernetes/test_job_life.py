"""Jobs from their creation to their removal, in virtual time."""

import asyncio
from itertools import pairwise

import pytest

from paas_runner.sandbox.kubernetes import ClusterOptions
from tests.support.clusters import JOBS, PODS, Asked, conditions, in_cluster, job


def test_a_job_runs_one_pod_and_is_complete() -> None:
    async def story(asked: Asked) -> None:
        made = await asked.create(JOBS, job())
        await asyncio.sleep(1)
        [pod] = await asked.pods()
        assert pod["status"]["phase"] == "Running"
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "a"
        assert pod["metadata"]["labels"]["controller-uid"] == made["metadata"]["uid"]
        assert pod["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
        await asyncio.sleep(2)
        found = await asked.get(f"{JOBS}/a")
        assert conditions(found) == {
            "SuccessCriteriaMet": "CompletionsReached",
            "Complete": "CompletionsReached",
        }
        assert (found["status"]["succeeded"], found["status"]["active"]) == (1, 0)
        [pod] = await asked.pods()
        [status] = pod["status"]["containerStatuses"]
        assert status["state"]["terminated"]["reason"] == "Completed"
        assert await asked.log(pod["metadata"]["name"]) == "one\ntwo\n"

    in_cluster(story)


@pytest.mark.parametrize(("image", "code", "reason"), [("fails", 3, "Error"), ("oom", 137, "OOMKilled")])
def test_a_job_fails_with_its_only_pod(image: str, code: int, reason: str) -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image=image))
        await asyncio.sleep(5)
        found = await asked.get(f"{JOBS}/a")
        assert conditions(found)["Failed"] == "BackoffLimitExceeded"
        [pod] = await asked.pods()
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (pod["status"]["phase"], ended["exitCode"], ended["reason"]) == ("Failed", code, reason)

    in_cluster(story)


def test_a_failed_pod_is_replaced_after_a_growing_pause() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="fails", backoffLimit=2))
        await asyncio.sleep(60)
        begins = [each.started_at for each in asked.cluster.ledger.runs]
        assert [(b - a).total_seconds() for a, b in pairwise(begins)] == [11, 21]
        assert (await asked.get(f"{JOBS}/a"))["status"]["failed"] == 3

    in_cluster(story)


def test_a_suspended_job_has_no_pod_until_it_is_resumed() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(suspend=True))
        await asyncio.sleep(5)
        assert await asked.pods() == []
        assert conditions(await asked.get(f"{JOBS}/a")) == {"Suspended": "JobSuspended"}
        answer = await asked.patch(f"{JOBS}/a", {"spec": {"suspend": False}}, "strategic-merge-patch")
        assert answer.json()["metadata"]["generation"] == 2
        await asyncio.sleep(5)
        assert "Complete" in conditions(await asked.get(f"{JOBS}/a"))

    in_cluster(story)


def test_a_job_that_is_suspended_loses_its_pod_and_counts_no_failure() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="hangs"))
        await asyncio.sleep(1)
        await asked.patch(f"{JOBS}/a", {"spec": {"suspend": True}})
        await asyncio.sleep(1)
        found = await asked.get(f"{JOBS}/a")
        assert await asked.pods() == []
        assert conditions(found) == {"Suspended": "JobSuspended"}
        assert "startTime" not in found["status"]

    in_cluster(story)


def test_a_job_ends_at_its_deadline() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="stubborn", activeDeadlineSeconds=60))
        await asyncio.sleep(61)
        assert conditions(await asked.get(f"{JOBS}/a")) == {"FailureTarget": "DeadlineExceeded"}
        await asyncio.sleep(30)
        assert conditions(await asked.get(f"{JOBS}/a"))["Failed"] == "DeadlineExceeded"

    in_cluster(story)


def test_a_job_expires_with_all_that_is_its() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(ttlSecondsAfterFinished=100))
        await asyncio.sleep(90)
        assert asked.cluster.left != []
        await asyncio.sleep(20)
        assert asked.cluster.left == []

    in_cluster(story)


def test_a_deleted_pod_of_a_job_without_retries_is_its_failure() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="hangs"))
        await asyncio.sleep(1)
        [pod] = await asked.pods()
        await asked.client.delete(f"{PODS}/{pod['metadata']['name']}")
        await asyncio.sleep(1)
        assert conditions(await asked.get(f"{JOBS}/a"))["Failed"] == "BackoffLimitExceeded"
        assert await asked.pods() == []

    in_cluster(story)


@pytest.mark.parametrize(("policy", "begins"), [("TerminatingOrFailed", 2), ("Failed", 1)])
def test_a_pod_is_replaced_when_its_policy_says(policy: str, begins: int) -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="stubborn", backoffLimit=3, podReplacementPolicy=policy))
        await asyncio.sleep(1)
        [pod] = await asked.pods()
        await asked.client.delete(f"{PODS}/{pod['metadata']['name']}")
        await asyncio.sleep(15)
        assert len(asked.cluster.ledger.runs) == begins
        await asyncio.sleep(60)
        assert len(asked.cluster.ledger.runs) == 2

    in_cluster(story)


def test_an_evicted_pod_says_why() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="hangs"))
        await asyncio.sleep(1)
        asked.cluster.kubelet.evict((await asked.pods())[0])
        await asyncio.sleep(1)
        [pod] = await asked.pods()
        assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "Evicted")
        assert conditions(pod)["DisruptionTarget"] == "TerminationByKubelet"

    in_cluster(story)


def test_a_lost_node_is_noticed_after_minutes() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="hangs", backoffLimit=1))
        await asyncio.sleep(1)
        asked.cluster.kubelet.lose_node()
        await asyncio.sleep(1)
        [pod] = await asked.pods()
        assert (pod["status"]["phase"], asked.cluster.ledger.running) == ("Running", [])
        await asyncio.sleep(360)
        [other] = await asked.pods()
        assert other["metadata"]["uid"] != pod["metadata"]["uid"]

    in_cluster(story)


def test_a_pod_waits_for_room_and_says_so() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job())
        await asyncio.sleep(5)
        [pod] = await asked.pods()
        [condition] = pod["status"]["conditions"]
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert "FailedScheduling" in await asked.reasons()
        asked.cluster.options = ClusterOptions()
        await asyncio.sleep(20)
        assert "Complete" in conditions(await asked.get(f"{JOBS}/a"))

    in_cluster(story, ClusterOptions(unschedulable=True))
