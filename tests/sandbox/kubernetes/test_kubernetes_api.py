"""The API of the simulated cluster: objects, refusals, selection, watches, logs; in virtual time."""

import asyncio
import base64
from datetime import timedelta
from typing import Any

import httpx
import pytest

from paas_runner.sandbox.faults import Answer, Cut, DropAfter
from paas_runner.sandbox.kubernetes import QUOTAS, SECRETS, ClusterOptions, Rule, Script
from tests.support.clusters import JOBS, PODS, Asked, conditions, container, in_cluster, job
from tests.support.clusters import SECRETS as SECRET_URL

WITH_SECRET = {
    "containers": [container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}}])]
}
MOUNTED = {
    "containers": [container(volumeMounts=[{"name": "v", "mountPath": "/v"}])],
    "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
}


def secret(name: str = "s", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "stringData": {"a": "b"}, **more}


def quota(**hard: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "q"},
        "spec": {"hard": {k.replace("__", "/").replace("_", "."): v for k, v in hard.items()}},
    }


def test_every_request_needs_a_token_and_a_right() -> None:
    async def story(asked: Asked) -> None:
        answer = await asked.client.get(JOBS, headers={"Authorization": "Bearer wrong"})
        assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")
        limited = asked.with_rules(Rule(verbs=("get", "list"), resources=("jobs",), namespace="default"))
        assert (await limited.get(JOBS)).status_code == 200
        refusal = (await limited.post(JOBS, json=job())).json()
        assert refusal["message"] == (
            'jobs.batch is forbidden: User "system:serviceaccount:default:limited" cannot create resource '
            '"jobs" in API group "batch" in the namespace "default"'
        )
        attributes = {"verb": "create", "group": "batch", "resource": "jobs", "namespace": "default"}
        for verb, allowed in (("create", False), ("list", True)):
            body = {"spec": {"resourceAttributes": {**attributes, "verb": verb}}}
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            assert (await limited.post(path, json=body)).json()["status"]["allowed"] is allowed

    in_cluster(story)


def test_what_is_made_twice_or_absent_is_refused_with_its_name() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(suspend=True))
        twice = await asked.refused(JOBS, job(suspend=True))
        assert (twice["code"], twice["reason"]) == (409, "AlreadyExists")
        assert twice["details"] == {"name": "a", "kind": "jobs", "group": "batch"}
        absent = (await asked.client.get(f"{JOBS}/b")).json()
        assert (absent["code"], absent["message"]) == (404, 'jobs.batch "b" not found')
        nowhere = await asked.refused("/api/v1/namespaces/other/secrets", secret())
        assert nowhere["message"] == 'namespaces "other" not found'

    in_cluster(story)


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        (job("Upper"), "metadata.name", "FieldValueInvalid"),
        (job("a" * 64), "spec.template.labels", "FieldValueInvalid"),
        (job(backoffLimit=-1), "spec.backoffLimit", "FieldValueInvalid"),
        (job(pod={"containers": []}), "spec.template.spec.containers", "FieldValueRequired"),
        (job(pod={"restartPolicy": "Always"}), "spec.template.spec.restartPolicy", "FieldValueRequired"),
        (job(podReplacementPolicy="Often"), "spec.podReplacementPolicy", "FieldValueNotSupported"),
        (
            job(pod={"containers": [container(volumeMounts=[{"name": "v", "mountPath": "/v"}])]}),
            "spec.template.spec.containers[0].volumeMounts[0].name",
            "FieldValueNotFound",
        ),
        (
            job(
                pod={
                    "containers": [container(resources={"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}})]
                }
            ),
            "spec.template.spec.containers[0].resources.requests",
            "FieldValueInvalid",
        ),
        (
            {**job(), "metadata": {"name": "a", "labels": {"x": "not a label"}}},
            "metadata.labels",
            "FieldValueInvalid",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(body: Any, field: str, reason: str) -> None:
    async def story(asked: Asked) -> None:
        status = await asked.refused(JOBS, body)
        assert (status["code"], status["reason"]) == (422, "Invalid")
        assert [(each["field"], each["reason"]) for each in status["details"]["causes"]] == [(field, reason)]

    in_cluster(story)


def test_unknown_fields_are_dropped_told_or_refused() -> None:
    async def story(asked: Asked) -> None:
        body = {**job(), "spec": {**job()["spec"], "extra": 1, "suspend": True}}
        strict = await asked.refused(JOBS, body, fieldValidation="Strict")
        assert (strict["code"], strict["message"]) == (
            400,
            'strict decoding error: unknown field "spec.extra"',
        )
        answer = await asked.client.post(JOBS, json=body)
        assert answer.headers["warning"] == '299 - "unknown field \\"spec.extra\\""'
        assert "extra" not in answer.json()["spec"]
        typed = await asked.refused(JOBS, job(backoffLimit="3"))
        assert (
            "cannot unmarshal string into Go struct field spec.backoffLimit of type int" in typed["message"]
        )

    in_cluster(story)


def test_secrets_keep_texts_as_base64_and_their_bounds() -> None:
    async def story(asked: Asked) -> None:
        made = await asked.create(SECRET_URL, secret(immutable=True))
        assert (made["data"], made["type"]) == ({"a": "Yg=="}, "Opaque")
        changed = await asked.patch(f"{SECRET_URL}/s", {"stringData": {"a": "c"}})
        assert (changed.status_code, changed.json()["details"]["causes"][0]["field"]) == (422, "data")
        large = {"b": base64.b64encode(bytes(2**20 + 1)).decode()}
        assert (await asked.refused(SECRET_URL, {**secret("t"), "data": large}))["reason"] == "Invalid"
        wrong = await asked.refused(SECRET_URL, {**secret("u"), "data": {"b": "?"}})
        assert "illegal base64 data" in wrong["message"]

    in_cluster(story)


def test_changes_need_the_latest_version_where_one_is_named() -> None:
    async def story(asked: Asked) -> None:
        made = await asked.create(JOBS, job(suspend=True))
        await asked.patch(f"{JOBS}/a", {"metadata": {"labels": {"x": "1"}}})
        stale = await asked.client.put(f"{JOBS}/a", json=made)
        assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")
        fixed = await asked.patch(f"{JOBS}/a", {"spec": {"template": {"spec": {"hostNetwork": True}}}})
        assert fixed.json()["details"]["causes"][0]["field"] == "spec.template"
        other = await asked.client.request("DELETE", f"{JOBS}/a", json={"preconditions": {"uid": "other"}})
        assert other.status_code == 409

    in_cluster(story)


def test_a_dry_run_checks_all_and_makes_nothing() -> None:
    async def story(asked: Asked) -> None:
        made = await asked.create(JOBS, job(), dryRun="All")
        assert made["metadata"]["uid"]
        assert (await asked.refused(JOBS, job("Upper"), dryRun="All"))["code"] == 422
        await asked.create(SECRET_URL, secret())
        await asked.client.delete(f"{SECRET_URL}/s", params={"dryRun": "All"})
        assert asked.cluster.left == ["Secret/s"]

    in_cluster(story)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("x=1", "ac"),
        ("x!=1", "bd"),
        ("x in (1,2),!y", "ab"),
        ("x", "abc"),
        ("y=", "c"),
        ("!x", "d"),
        ("x notin (1)", "bd"),
    ],
)
def test_labels_select(selector: str, names: str) -> None:
    async def story(asked: Asked) -> None:
        for name, labels in {"a": {"x": "1"}, "b": {"x": "2"}, "c": {"x": "1", "y": ""}, "d": {}}.items():
            await asked.create(SECRET_URL, {"metadata": {"name": name, "labels": labels}})
        found = await asked.get(SECRET_URL, labelSelector=selector)
        assert "".join(each["metadata"]["name"] for each in found["items"]) == names

    in_cluster(story)


def test_fields_select_and_lists_come_in_pages() -> None:
    async def story(asked: Asked) -> None:
        for name in "abc":
            await asked.create(SECRET_URL, {"metadata": {"name": name}})
        found = await asked.get(SECRET_URL, fieldSelector="metadata.name!=b")
        assert [each["metadata"]["name"] for each in found["items"]] == ["a", "c"]
        assert (await asked.client.get(SECRET_URL, params={"fieldSelector": "data=x"})).status_code == 400
        page = await asked.get(SECRET_URL, limit=2)
        assert page["metadata"]["remainingItemCount"] == 1
        token = page["metadata"]["continue"]
        rest = await asked.get(SECRET_URL, limit=2, **{"continue": token})
        assert [each["metadata"]["name"] for each in rest["items"]] == ["c"]
        await asked.create(SECRET_URL, {"metadata": {"name": "d"}})
        asked.cluster.storage.forget()
        expired = await asked.client.get(SECRET_URL, params={"continue": token})
        assert (expired.status_code, expired.json()["reason"]) == (410, "Expired")

    in_cluster(story)


def test_a_watch_tells_what_comes_changes_and_goes() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(SECRET_URL, {"metadata": {"name": "a", "labels": {"x": "1"}}})
        async with asked.watching(SECRET_URL, labelSelector="x=1", timeoutSeconds=60) as events:
            assert (await anext(events))["type"] == "ADDED"
            await asked.create(SECRET_URL, {"metadata": {"name": "b"}})
            await asked.patch(f"{SECRET_URL}/b", {"metadata": {"labels": {"x": "1"}}})
            await asked.patch(f"{SECRET_URL}/a", {"metadata": {"labels": {"x": "2"}}})
            await asked.client.delete(f"{SECRET_URL}/b")
            told = [(each["type"], each["object"]["metadata"]["name"]) async for each in events]
        assert told == [("ADDED", "b"), ("DELETED", "a"), ("DELETED", "b")]

    in_cluster(story)


def test_a_watch_goes_on_from_a_version_until_that_is_forgotten() -> None:
    async def story(asked: Asked) -> None:
        version = (await asked.get(JOBS))["metadata"]["resourceVersion"]
        await asked.create(JOBS, job())
        async with asked.watching(JOBS, resourceVersion=version, timeoutSeconds=1) as events:
            assert (await anext(events))["type"] == "ADDED"
        asked.cluster.storage.forget()
        async with asked.watching(JOBS, resourceVersion=version) as events:
            [error] = [each async for each in events]
        assert (error["type"], error["object"]["code"], error["object"]["reason"]) == (
            "ERROR",
            410,
            "Expired",
        )

    in_cluster(story)


def test_bookmarks_come_while_nothing_happens() -> None:
    async def story(asked: Asked) -> None:
        given = {"allowWatchBookmarks": "true", "sendInitialEvents": "true", "timeoutSeconds": 150}
        async with asked.watching(JOBS, **given) as events:
            told = [each async for each in events]
        assert {each["type"] for each in told} == {"BOOKMARK"}
        assert told[0]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert len(told) == 4

    in_cluster(story)


def test_owners_go_before_after_or_without_what_they_own() -> None:
    async def story(asked: Asked) -> None:
        for policy, left in (("Background", []), ("Foreground", []), ("Orphan", ["Pod"])):
            await asked.create(JOBS, job(image="hangs"))
            await asyncio.sleep(1)
            answer = await asked.client.delete(f"{JOBS}/a", params={"propagationPolicy": policy})
            assert answer.json()["kind"] == ("Status" if policy == "Background" else "Job")
            await asyncio.sleep(31)
            assert [each.partition("/")[0] for each in asked.cluster.left] == left

    in_cluster(story)


def test_an_object_with_a_finalizer_stays_until_that_is_taken_off() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(SECRET_URL, {"metadata": {"name": "s", "finalizers": ["x.test/wait"]}})
        kept = (await asked.client.delete(f"{SECRET_URL}/s")).json()
        assert (kept["kind"], "deletionTimestamp" in kept["metadata"]) == ("Secret", True)
        await asked.patch(f"{SECRET_URL}/s", {"metadata": {"finalizers": None}})
        assert asked.cluster.left == []

    in_cluster(story)


def test_a_collection_is_deleted_by_its_labels() -> None:
    async def story(asked: Asked) -> None:
        for name, labels in {"a": {"x": "1"}, "b": {}}.items():
            await asked.create(SECRET_URL, {"metadata": {"name": name, "labels": labels}})
        answer = await asked.client.delete(SECRET_URL, params={"labelSelector": "x=1"})
        assert answer.json()["kind"] == "SecretList"
        assert asked.cluster.left == ["Secret/b"]

    in_cluster(story)


def test_events_are_counted_and_go_after_an_hour() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(pod=MOUNTED))
        await asyncio.sleep(60)
        events = (await asked.get("/api/v1/namespaces/default/events"))["items"]
        assert {each["reason"]: each["count"] for each in events}["FailedMount"] == 7
        await asyncio.sleep(7200)
        assert await asked.reasons() == ["FailedMount"]

    in_cluster(story)


def test_a_secret_goes_with_the_job_that_owns_it() -> None:
    async def story(asked: Asked) -> None:
        made = await asked.create(JOBS, job(suspend=True))
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "a", "uid": made["metadata"]["uid"]}
        await asked.create(SECRET_URL, {"metadata": {"name": "s", "ownerReferences": [owner]}})
        await asked.client.delete(f"{JOBS}/a")
        await asyncio.sleep(1)
        assert asked.cluster.objects(SECRETS) == []

    in_cluster(story)


def test_a_quota_keeps_jobs_and_pods_out_and_counts_them() -> None:
    async def story(asked: Asked) -> None:
        path = "/api/v1/namespaces/default/resourcequotas"
        await asked.create(path, quota(count__jobs_batch="2", requests_cpu="1", requests_memory="1Gi"))
        needs = {"requests": {"cpu": "600m", "memory": "512Mi"}}
        pod = {"containers": [container("hangs", resources=needs)]}
        for name in "ab":
            await asked.create(JOBS, job(name, pod=pod))
        await asyncio.sleep(3)
        third = await asked.refused(JOBS, job("c", pod=pod))
        assert third["message"] == (
            'jobs.batch "c" is forbidden: exceeded quota: q, requested: count/jobs.batch=1, '
            "used: count/jobs.batch=2, limited: count/jobs.batch=2"
        )
        assert len(await asked.pods()) == 1
        assert "FailedCreate" in await asked.reasons()
        [found] = asked.cluster.objects(QUOTAS)
        assert found["status"]["used"] == {
            "count/jobs.batch": "2",
            "requests.cpu": "600m",
            "requests.memory": "512Mi",
        }
        await asked.client.delete(f"{JOBS}/a")
        await asyncio.sleep(90)
        assert [each["metadata"]["labels"]["job-name"] for each in await asked.pods()] == ["b"]

    in_cluster(story)


@pytest.mark.parametrize(
    ("pod", "event", "waiting"),
    [(MOUNTED, "FailedMount", "ContainerCreating"), (WITH_SECRET, "Failed", "CreateContainerConfigError")],
)
def test_a_pod_waits_for_its_secret(pod: Any, event: str, waiting: str) -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(pod=pod))
        await asyncio.sleep(2)
        [found] = await asked.pods()
        assert found["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == waiting
        assert event in await asked.reasons()
        await asked.create(SECRET_URL, secret())
        await asyncio.sleep(60)
        assert "Complete" in conditions(await asked.get(f"{JOBS}/a"))

    in_cluster(story)


def test_an_image_that_cannot_be_pulled_is_tried_again() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job())
        await asyncio.sleep(0.5)
        [pod] = await asked.pods()
        name = pod["metadata"]["name"]
        assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"
        waits = (await asked.client.get(f"{PODS}/{name}/log")).json()
        assert waits["message"] == f'container "main" in pod "{name}" is waiting to start: ErrImagePull'
        await asyncio.sleep(2)
        [pod] = await asked.pods()
        assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] == "ImagePullBackOff"
        asked.cluster.options = ClusterOptions()
        await asyncio.sleep(60)
        assert "Complete" in conditions(await asked.get(f"{JOBS}/a"))

    in_cluster(story, ClusterOptions(pulls_fail=frozenset({"hello"})))


def test_logs_are_read_by_their_end_their_time_and_on() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job())
        await asyncio.sleep(1)
        name = (await asked.pods())[0]["metadata"]["name"]
        assert await asked.log(name) == "one\n"
        assert await asked.log(name, follow="true", timestamps="true") == (
            "2026-01-01T00:00:00.000000000Z one\n2026-01-01T00:00:02.000000000Z two\n"
        )
        assert await asked.log(name, tailLines=1) == "two\n"
        assert await asked.log(name, sinceTime="2026-01-01T00:00:01Z") == "two\n"
        assert await asked.log(name, sinceSeconds=1) == "two\n"
        assert await asked.log(name, limitBytes=5) == "one\nt"
        assert (await asked.client.get(f"{PODS}/{name}/log", params={"previous": "true"})).status_code == 400

    in_cluster(story)


def test_a_container_that_is_started_again_keeps_the_log_of_before() -> None:
    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(image="fails", backoffLimit=5, pod={"restartPolicy": "OnFailure"}))
        await asyncio.sleep(8)
        [pod] = await asked.pods()
        [status] = pod["status"]["containerStatuses"]
        assert (status["restartCount"], status["lastState"]["terminated"]["exitCode"]) == (1, 3)
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert await asked.log(pod["metadata"]["name"], previous="true") == "oh\n"

    in_cluster(story)


def test_containers_before_the_others_come_first_and_may_stay_beside_them() -> None:
    scripts = {
        "hello": Script(lines=[(2.0, "x")]),
        "before": Script(lines=[(3.0, "x")]),
        "beside": Script(hangs=True),
    }
    before = [
        {"name": "beside", "image": "beside", "restartPolicy": "Always"},
        {"name": "before", "image": "before"},
    ]

    async def story(asked: Asked) -> None:
        await asked.create(JOBS, job(pod={"initContainers": before}))
        await asyncio.sleep(6)
        assert "Complete" in conditions(await asked.get(f"{JOBS}/a"))
        runs = {each.container: each for each in asked.cluster.ledger.runs}
        assert runs["main"].started_at - runs["before"].started_at == timedelta(seconds=3)
        assert runs["beside"].ended_at == runs["main"].ended_at

    in_cluster(story, scripts=scripts)


def test_answers_are_lost_refused_and_cut() -> None:
    async def story(asked: Asked) -> None:
        asked.faults.add(DropAfter(), method="POST", path=JOBS, times=1)
        with pytest.raises(httpx.RemoteProtocolError):
            await asked.client.post(JOBS, json=job())
        assert (await asked.refused(JOBS, job()))["reason"] == "AlreadyExists"
        asked.faults.add(Answer(429, {"Retry-After": "1"}), path=JOBS, times=1)
        assert (await asked.client.get(JOBS)).headers["retry-after"] == "1"
        await asyncio.sleep(1)
        name = (await asked.pods())[0]["metadata"]["name"]
        asked.faults.add(Cut(after_bytes=6), path="**/log", times=1)
        received = bytearray()

        async def follow() -> None:
            path = f"{PODS}/{name}/log"
            async with asked.client.stream("GET", path, params={"follow": "true"}) as answer:
                async for piece in answer.aiter_bytes():
                    received.extend(piece)

        with pytest.raises(httpx.RemoteProtocolError):
            await follow()
        assert received == b"one\ntw"

    in_cluster(story)
