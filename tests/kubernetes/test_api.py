"""The calls, as they are on the wire, and what answers mean."""

import pytest

from paas_runner.errors import Rejected, Transient
from paas_runner.kubernetes.answers import AbsentError, ExistsError, QuotaError
from paas_runner.kubernetes.api import Kind, Right
from tests.support.scripted_cluster import Pieces, ScriptedCluster, cluster_of, status

JOB = {"metadata": {"name": "j"}}


async def test_the_calls_are_those_of_the_reference():
    scripted = ScriptedCluster(lambda _: {"items": [], "status": {"allowed": True}})
    async with cluster_of(scripted) as cluster:
        await cluster.create(Kind.JOB, JOB)
        await cluster.get(Kind.SECRET, "s")
        await cluster.list(Kind.QUOTA)
        await cluster.pods_of("j")
        await cluster.events_of("u-1")
        await cluster.delete(Kind.JOB, "j", uid="u-1", propagation="Foreground", grace=0)
        await cluster.log("p", "c", last_lines=3, most_bytes=100)
        assert await cluster.may(Right("get", Kind.POD, "log"))
    assert [str(asked) for asked in scripted.asked] == [
        "POST /apis/batch/v1/namespaces/ci/jobs",
        "GET /api/v1/namespaces/ci/secrets/s",
        "GET /api/v1/namespaces/ci/resourcequotas",
        "GET /api/v1/namespaces/ci/pods",
        "GET /api/v1/namespaces/ci/events",
        "DELETE /apis/batch/v1/namespaces/ci/jobs/j",
        "GET /api/v1/namespaces/ci/pods/p/log",
        "POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    ]
    pods, events, deletion, log, review = scripted.asked[3:]
    assert pods.params["labelSelector"] == "job-name=j"
    assert events.params["fieldSelector"] == "involvedObject.uid=u-1"
    assert deletion.body == {
        "propagationPolicy": "Foreground",
        "preconditions": {"uid": "u-1"},
        "gracePeriodSeconds": 0,
    }
    assert log.params == {"container": "c", "tailLines": "3", "limitBytes": "100"}
    wanted = {"namespace": "ci", "verb": "get", "group": "", "resource": "pods", "subresource": "log"}
    assert review.body["spec"] == {"resourceAttributes": wanted}


async def test_a_list_is_read_page_by_page_and_begun_anew_when_it_expires():
    pages = [
        {"items": [JOB], "metadata": {"continue": "next"}},
        status(410, "Expired", "too old"),
        {"items": [JOB], "metadata": {"continue": "next"}},
        {"items": [JOB]},
    ]
    scripted = ScriptedCluster(lambda _: pages.pop(0))
    async with cluster_of(scripted) as cluster:
        assert await cluster.list(Kind.JOB, labels={"a": "b"}) == [JOB, JOB]
    assert [asked.params.get("continue") for asked in scripted.asked] == [None, "next", None, "next"]
    assert {asked.params["labelSelector"] for asked in scripted.asked} == {"a=b"}


FORBIDDEN = 'jobs.batch is forbidden: User "me" cannot create resource "jobs" in API group "batch"'
QUOTA = 'jobs "j" is forbidden: exceeded quota: q, requested: count/jobs.batch=1'
FIELD = {"causes": [{"field": "spec.template", "message": "Invalid value"}]}


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (status(409, "AlreadyExists", 'jobs "j" already exists'), ExistsError, "already exists"),
        (status(409, "Conflict", "Operation cannot be fulfilled on resourcequotas"), Transient, "cannot be"),
        (status(404, "NotFound", 'namespaces "ci" not found'), AbsentError, "not found"),
        (status(403, "Forbidden", FORBIDDEN), Rejected, 'cannot create resource "jobs"'),
        (status(403, "Forbidden", QUOTA), QuotaError, "exceeded quota: q"),
        (status(422, "Invalid", "long", **FIELD), Rejected, "spec.template: Invalid value"),
        (status(400, "BadRequest", "no"), Rejected, "no"),
        ((400, b"<html>"), Rejected, "answered 400"),
        (status(500, "InternalError", "etcd"), Transient, "etcd"),
        (status(429, "TooManyRequests", "slow down"), Transient, "slow down"),
        ((200, b"[1]"), Transient, "no object"),
    ],
)
async def test_a_refusal_says_what_it_means(answer, kind, text, monkeypatch):
    monkeypatch.setattr("paas_runner.kubernetes.api.QUICK_TRIES", 1)
    async with cluster_of(ScriptedCluster(lambda _: answer)) as cluster:
        with pytest.raises(kind, match=text) as caught:
            await cluster.create(Kind.JOB, JOB)
    assert type(caught.value) is kind
    assert "create Job j" in str(caught.value)


async def test_a_missing_right_comes_with_what_to_do():
    async with cluster_of(ScriptedCluster(lambda _: status(403, "Forbidden", FORBIDDEN))) as cluster:
        with pytest.raises(Rejected) as caught:
            await cluster.create(Kind.JOB, JOB)
    assert "rbac.yaml" in caught.value.advice


async def test_what_is_gone_is_deleted_and_found_as_none():
    async with cluster_of(ScriptedCluster(lambda _: status(404, "NotFound", "gone"))) as cluster:
        await cluster.delete(Kind.JOB, "j")
        assert await cluster.found(Kind.JOB, "j") is None


async def test_another_one_of_that_name_is_not_deleted_and_ours_is_gone():
    present = {"metadata": {"name": "j", "uid": "other"}}
    conflict = status(409, "Conflict", "the UID in the precondition does not match")
    scripted = ScriptedCluster(lambda asked: conflict if asked.method == "DELETE" else present)
    async with cluster_of(scripted) as cluster:
        await cluster.delete(Kind.JOB, "j", uid="ours")


async def test_a_conflict_about_ours_is_tried_again():
    present = {"metadata": {"name": "j", "uid": "ours"}}
    conflict = status(409, "Conflict", "the object has been modified")
    scripted = ScriptedCluster(lambda asked: conflict if asked.method == "DELETE" else present)
    async with cluster_of(scripted) as cluster:
        with pytest.raises(Transient, match="modified"):
            await cluster.delete(Kind.JOB, "j", uid="ours")


async def test_a_name_cannot_lead_elsewhere():
    scripted = ScriptedCluster(lambda _: {})
    async with cluster_of(scripted) as cluster:
        await cluster.get(Kind.POD, "../secrets/x?y")
    assert scripted.asked[0].path == "/api/v1/namespaces/ci/pods/..%2Fsecrets%2Fx%3Fy"


async def test_a_stream_that_goes_silent_is_transient():
    scripted = ScriptedCluster(lambda _: Pieces([b"a\n"], whole=False, held=True))
    async with cluster_of(scripted) as cluster:
        with pytest.raises(Transient, match="broke off"):
            async with cluster.follow("p") as stream:
                assert [piece async for piece in stream.pieces(silence=0.05)] == [b"a\n"]


@pytest.mark.parametrize(("code", "kind"), [(500, Transient), (403, Rejected), (400, Rejected)])
async def test_a_stream_that_is_refused_says_why(code, kind):
    scripted = ScriptedCluster(lambda _: status(code, "X", "for a reason"))
    async with cluster_of(scripted) as cluster:
        with pytest.raises(kind, match="for a reason"):
            async with cluster.follow("p"):
                pass


@pytest.mark.parametrize("answer", [(404, b"404 page not found"), (404, {"error": "no route"}), (200, {})])
async def test_an_answer_of_something_before_the_cluster_says_nothing_of_what_there_is(answer):
    """A host that is taken to be gone for that would be left, or its job be ended."""
    async with cluster_of(ScriptedCluster(lambda _: answer)) as cluster:
        with pytest.raises(Transient):
            await cluster.list(Kind.JOB)
        if answer[0] == 404:
            with pytest.raises(Transient):
                await cluster.found(Kind.JOB, "j")


async def test_what_a_webhook_refuses_is_no_lack_of_rights():
    """403 would be taken for credentials that no job can be begun with."""
    text = 'admission webhook "images.example.org" denied the request: this registry is not allowed'
    async with cluster_of(ScriptedCluster(lambda _: status(403, "Forbidden", text))) as cluster:
        with pytest.raises(Rejected, match="this registry is not allowed") as caught:
            await cluster.create(Kind.JOB, JOB)
    assert caught.value.status == 400
    assert "rbac" not in caught.value.advice
