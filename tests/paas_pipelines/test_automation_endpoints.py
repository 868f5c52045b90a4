"""Endpoints of automation through a socket: approvals decided, definitions and triggers told (§10)."""

import json
import uuid
import zipfile
from datetime import timedelta

import attrs
import httpx
import pytest
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Effect, Statement
from paas_pipelines.api import payloads
from paas_pipelines.api.shapes import moment
from paas_pipelines.definitions.automation import (
    Approval,
    FromCredential,
    Schedule,
    TaskType,
    Trigger,
    TriggerType,
    Webhook,
)
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.pages.site import PipelinePages
from paas_pipelines.runs.run import Saved, TaskEnd, TaskStatus
from paas_pipelines.server import metrics
from paas_pipelines.tasks.executing.executions import Execution
from paas_pipelines.tasks.files import RunFiles
from paas_pipelines.triggers.event import EventState
from paas_pipelines.triggers.feed import Feed

from tests.support.served_pipelines import authorization, definition, served, serving

UNKNOWN = "52a5cb79-7556-4c52-8e6f-dd6aaf1bc4c8"
APPROVAL = Approval(
    text="Deploy?",
    params=(Parameter(name="window", kind=ParameterKind.NUMBER, required=True, least=1),),
)
TASKS = {
    "plan": TaskDefinition(script=("plan",)),
    "ok": TaskDefinition(type=TaskType.APPROVAL, approval=APPROVAL, depends_on=("plan",)),
    "apply": TaskDefinition(script=("apply",), depends_on=("ok",)),
}
TRIGGERS = {
    "push": Trigger(
        name="push",
        type=TriggerType.WEBHOOK,
        webhook=Webhook(provider="github", secret=FromCredential(name="canary"), path="deploy/push"),
    ),
    "night": Trigger(
        name="night", type=TriggerType.SCHEDULE, schedule=Schedule(cron="0 3 * * *", timezone="UTC")
    ),
    "often": Trigger(
        name="often", type=TriggerType.SCHEDULE, schedule=Schedule(every=timedelta(minutes=10)), enabled=False
    ),
}
DEPLOY = definition(
    "deploy",
    description="To where it runs",
    tasks=TASKS,
    triggers=TRIGGERS,
    params=(Parameter(name="environment", choices=("nonprod", "prod"), default="nonprod"),),
    params_are_checked=True,
    concurrency=5,
)


def allow(who, role, *resource):
    return Statement(identity=(who,), role=role, resource=resource or ("*",))


async def with_feed(parts):
    return attrs.evolve(parts, feed=await Feed.opened(parts.engine, parts.journal, parts.clock))


@pytest.fixture
async def world(tmp_path):
    async with serving(await with_feed(served(tmp_path, DEPLOY))) as found:
        yield found


@pytest.fixture
async def guarded(tmp_path):
    statements = (
        allow("ada", "admin"),
        allow("group:ops", "approve", "pipeline=deploy"),
        allow("reader", "read", "pipeline=deploy"),
    )
    parts = await with_feed(served(tmp_path, DEPLOY, access=Access(statements)))
    async with serving(parts) as found:
        yield found


def blocked(world, user="ada"):
    """A run that waits for people, of whom plan has told something."""
    run = world.engine.schedule("deploy", variables={"environment": "prod"}, user=user)
    world.engine.task_ended(run.run_id, "plan", TaskEnd(outputs={"changed": True}))
    world.engine.ask(run.run_id, "ok", "Deploy to prod?")
    return run.run_id


def by(user, *groups):
    return authorization({"sub": user, "groups": list(groups)})


async def shown(world, run_id, **options):
    answer = await world.client.get(f"/runs/{run_id}/approvals/ok", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def decided(world, run_id, decision="approve", **said):
    headers = said.pop("headers", by("bob"))
    if "digest" not in said:
        said["digest"] = world.engine.book.run(run_id).task("ok").asked.digest
    return await world.client.post(
        f"/runs/{run_id}/approvals/ok", json={"decision": decision, **said}, headers=headers
    )


# --- approvals -------------------------------------------------------------------------------------------


async def test_an_approval_tells_what_is_asked_and_what_it_is_about(world):
    run_id = blocked(world)
    approval = await shown(world, run_id)
    assert (approval["state"], approval["text"], approval["user"]) == ("open", "Deploy to prod?", "ada")
    assert approval["variables"] == {"environment": "prod"}
    assert approval["outputs"] == {"plan": {"changed": True}}
    assert approval["params"] == [{"name": "window", "type": "number", "required": True, "min": 1}]
    listed = (await world.client.get("/approvals")).json()["approvals"]
    assert approval.pop("files") == []
    assert listed == [approval]


async def test_a_run_that_waits_for_people_says_for_which_approval_and_since_when(world):
    run_id = blocked(world)
    since = world.engine.book.run(run_id).task("ok").asked.since
    told = [{"task": "ok", "since": moment(since)}]
    everything = (await world.client.get("/pipelines/jobs")).json()
    assert [(each["id"], each["blocked"]) for each in everything["jobs"]] == [(run_id, told)]
    assert everything["pipelines"] == [
        {"pipeline": "deploy", "schedulable": True, "running": True, "blocked": 1}
    ]
    detail = (await world.client.get(f"/job/detail?id={run_id}")).json()
    assert (detail["blocked"], detail["tasks"][1]["status"]) == (told, "waiting")
    await decided(world, run_id, values={"window": 3})
    assert "blocked" not in (await world.client.get(f"/job/detail?id={run_id}")).json()
    assert "blocked" not in (await world.client.get("/pipelines")).json()["pipelines"][0]


async def test_approved_with_a_value_the_run_goes_on_and_the_value_is_an_output(world):
    run_id = blocked(world)
    answer = await decided(world, run_id, values={"window": 3}, reason="looks good")
    assert answer.status_code == 200, answer.text
    [decision] = answer.json()["decisions"]
    assert (decision["user"], decision["reason"], decision["values"]) == ("bob", "looks good", {"window": 3})
    assert answer.json()["state"] == "approved"
    run = world.engine.book.run(run_id)
    assert run.task("apply").status is TaskStatus.RUNNING
    outputs = (await world.client.get(f"/runs/{run_id}/outputs")).json()
    assert outputs["tasks"] == {"plan": {"changed": True}, "ok": {"window": 3}}
    again = await decided(world, run_id, values={"window": 3})
    assert (again.status_code, len(again.json()["decisions"])) == (200, 1)
    other = await decided(world, run_id, values={"window": 3}, headers=by("eve"))
    assert (other.status_code, other.json()) == (409, {"error": "it has been approved already"})


async def test_one_rejection_rejects_and_says_by_whom_and_why(world):
    run_id = blocked(world)
    answer = await decided(world, run_id, "reject", reason="not on a Friday")
    assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
    run = world.engine.book.run(run_id)
    assert run.last_error == "rejected by bob: not on a Friday"
    assert (await world.client.get("/approvals")).json() == {"approvals": []}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "decision must be approve or reject"),
        ({"decision": True, "digest": "x"}, "decision must be approve or reject"),
        ({"decision": "approve"}, "digest is required: that of what was shown"),
        ({"decision": "approve", "digest": 3}, "digest must be a string"),
        ({"decision": "approve", "digest": "x", "values": []}, "values must be an object"),
        ({"decision": "approve", "digest": "x", "value": 1}, 'unknown key "value"'),
        ({"decision": "approve"}, 'param "window": is required'),
        ({"decision": "approve", "values": {"window": 0}}, 'param "window": must be at lea'),
    ],
)
async def test_a_decision_that_says_too_little_or_wrong_things_is_refused(world, body, error):
    run_id = blocked(world)
    if error.startswith("param"):
        body = {**body, "digest": world.engine.book.run(run_id).task("ok").asked.digest}
    answer = await world.client.post(f"/runs/{run_id}/approvals/ok", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error)


async def test_what_has_changed_since_it_was_shown_is_not_approved(world):
    answer = await decided(world, blocked(world), values={"window": 1}, digest="of yesterday")
    assert (answer.status_code, answer.json()) == (409, {"error": "what is to be approved has changed"})


async def test_what_is_no_approval_or_not_there_is_not_found(world):
    run_id = blocked(world)
    for path, status in [
        (f"/runs/{run_id}/approvals/plan", 404),
        (f"/runs/{run_id}/approvals/none", 404),
        (f"/runs/{UNKNOWN}/approvals/ok", 404),
        ("/runs/nonsense/approvals/ok", 400),
        (f"/runs/{UNKNOWN}/outputs", 404),
    ]:
        answer = await world.client.get(path)
        assert (answer.status_code, "error" in answer.json()) == (status, True), path


async def test_nothing_of_it_is_told_or_done_without_a_token(world):
    run_id = blocked(world)
    async with httpx.AsyncClient(base_url=world.client.base_url) as stranger:
        for path in ["/approvals", "/triggers", "/definitions/deploy", f"/runs/{run_id}/outputs"]:
            assert (await stranger.get(path)).status_code == 401, path
        for path in [f"/runs/{run_id}/approvals/ok", f"/runs/{run_id}/rerun"]:
            assert (await stranger.post(path, json={})).status_code == 401, path
    assert len(list(world.engine.book.runs())) == 1


async def test_statements_say_who_sees_and_who_decides(guarded):
    run_id = blocked(guarded)
    path = f"/runs/{run_id}/approvals/ok"
    for headers, reading, deciding in [
        (by("stranger"), 404, 404),
        (by("reader"), 200, 403),
        (by("bob", "ops"), 200, 200),
    ]:
        assert (await guarded.client.get(path, headers=headers)).status_code == reading
        answer = await decided(guarded, run_id, values={"window": 1}, headers=headers)
        assert answer.status_code == deciding, answer.text
        if deciding == 403:
            assert answer.json() == {"error": "reader may not approve task=deploy/ok"}


async def test_mine_are_those_that_a_decision_of_mine_would_count_for(guarded):
    run_id = blocked(guarded)

    async def listed(headers, query=""):
        answer = await guarded.client.get(f"/approvals{query}", headers=headers)
        return [(each["run"], each["mine"]) for each in answer.json()["approvals"]]

    assert await listed(by("stranger")) == []
    assert await listed(by("reader")) == [(run_id, False)]
    assert await listed(by("reader"), "?mine") == []
    assert await listed(by("bob", "ops"), "?mine") == [(run_id, True)]


async def test_a_rerun_has_the_same_variables_and_asks_anew(guarded):
    run_id = blocked(guarded)
    guarded.engine.cancel(run_id)
    refused = await guarded.client.post(f"/runs/{run_id}/rerun", headers=by("bob", "ops"))
    assert (refused.status_code, refused.json()) == (403, {"error": "bob may not rerun pipeline=deploy"})
    answer = await guarded.client.post(f"/runs/{run_id}/rerun", headers=by("ada"))
    assert answer.status_code == 202
    again = guarded.engine.book.run(answer.json()["jobId"])
    assert (again.variables, again.user) == ({"environment": "prod"}, "ada")
    assert again.task("ok").asked is None


# --- what is defined -------------------------------------------------------------------------------------


async def test_a_definition_tells_what_a_form_needs_and_no_script(world):
    found = (await world.client.get("/definitions/deploy")).json()
    assert found["params"] == [
        {
            "name": "environment",
            "type": "string",
            "required": False,
            "default": "nonprod",
            "options": ["nonprod", "prod"],
        }
    ]
    assert [(task["name"], task["type"]) for task in found["tasks"]] == [
        ("plan", "run"),
        ("ok", "approval"),
        ("apply", "run"),
    ]
    assert '"script"' not in json.dumps(found)
    assert (await world.client.get("/definitions/none")).json() == {"error": "Pipeline not found"}


async def test_triggers_are_told_with_their_next_moments_and_without_secrets(world):
    answer = await world.client.get("/triggers")
    assert "canary" not in answer.text
    push, night, often = answer.json()["triggers"]
    assert (push["path"], push["provider"]) == ("/hooks/deploy/push", "github")
    assert len(night["nextTimes"]) == 5
    assert all(each.endswith("T03:00:00Z") for each in night["nextTimes"])
    assert (often["everySeconds"], often["enabled"], often["nextTimes"]) == (600, False, [])


async def test_who_may_not_read_a_pipeline_learns_nothing_of_it(guarded):
    assert (await guarded.client.get("/triggers", headers=by("stranger"))).json() == {"triggers": []}
    assert (await guarded.client.get("/definitions/deploy", headers=by("stranger"))).status_code == 404
    assert (await guarded.client.get("/definitions/deploy", headers=by("reader"))).status_code == 200


# --- what starts pipelines, and what has -----------------------------------------------------------------


async def test_a_trigger_is_paused_resumed_and_fired_by_those_who_may(guarded):
    one = "/triggers/deploy/night"
    for headers, status in [(by("stranger"), 404), (by("reader"), 403), (by("bob", "ops"), 403)]:
        for verb in ("pause", "resume", "fire"):
            answer = await guarded.client.post(f"{one}/{verb}", headers=headers)
            assert answer.status_code == status, (verb, headers)
    paused = (await guarded.client.post(f"{one}/pause", headers=by("ada"))).json()
    assert (paused["paused"], paused["pausedBy"], paused["nextTimes"]) == (True, "ada", [])
    resumed = (await guarded.client.post(f"{one}/resume", headers=by("ada"))).json()
    assert (resumed["paused"], len(resumed["nextTimes"])) == (False, 5)
    fired = await guarded.client.post(f"{one}/fire", headers=by("ada"))
    assert fired.status_code == 202
    event = (await guarded.client.get(f"/events/{fired.json()['event']}", headers=by("reader"))).json()
    assert (event["trigger"], event["state"], event["meta"]) == ("deploy/night", "new", {"fired_by": "ada"})
    lines = await guarded.served.audit.newest(10)
    assert [line.what for line in lines if line.outcome == "done"] == ["fire", "resume", "pause"]
    for verb in ("pause", "resume", "fire"):
        answer = await guarded.client.post(f"/triggers/deploy/none/{verb}", headers=by("ada"))
        assert (answer.status_code, answer.json()) == (404, {"error": "Trigger not found"})


async def test_while_nobody_is_named_nobody_pauses_or_fires(world):
    answer = await world.client.post("/triggers/deploy/night/fire")
    assert answer.status_code == 403
    assert "may not fire trigger=deploy/night" in answer.json()["error"]


async def test_events_are_told_newest_first_to_those_who_may_read_their_trigger(guarded):
    feed = guarded.served.feed
    first, second = (feed.fire("deploy", "night", "ada").event_id for _ in range(2))
    listed = (await guarded.client.get("/events", headers=by("reader"))).json()
    assert [each["id"] for each in listed["events"]] == [second, first]
    assert (await guarded.client.get("/events?offset=1", headers=by("reader"))).json()["total"] == 2
    assert (await guarded.client.get("/events", headers=by("stranger"))).json()["events"] == []
    assert (await guarded.client.get(f"/events/{first}", headers=by("stranger"))).status_code == 404


async def test_only_a_dead_event_is_tried_again(guarded):
    feed = guarded.served.feed
    event = feed.fire("deploy", "night", "ada")
    refused = await guarded.client.post(f"/events/{event.event_id}/retry", headers=by("ada"))
    assert refused.status_code == 409
    assert refused.json() == {"error": "this event is new: only a dead one is tried again"}
    feed.book.save(attrs.evolve(event, state=EventState.DEAD, attempts=5))
    assert (
        await guarded.client.post(f"/events/{event.event_id}/retry", headers=by("reader"))
    ).status_code == 403
    again = await guarded.client.post(f"/events/{event.event_id}/retry", headers=by("ada"))
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (202, "new", 0)


def test_what_strangers_send_is_shown_bounded_and_without_what_looks_secret():
    sent = {
        "ref": "refs/heads/main",
        "access_token": "canary-1",
        "hook": {"config": {"secret": "canary-2", "Authorization": "canary-3", "tokens": ["kept", 7]}},
        "long": "x" * 5000,
        "many": list(range(1000)),
        "deep": [[[[[[[[[[[[[[[[[[[[["bottom"]]]]]]]]]]]]]]]]]]]]],
    }
    found = json.dumps(payloads.shown(sent))
    assert "canary" not in found
    assert "bottom" not in found
    assert "refs/heads/main" in found
    assert "3000 more characters" in found
    assert "800 more" in found
    assert len(found) < 6000


async def test_what_a_task_has_saved_is_one_archive_for_those_who_may_read_its_log(tmp_path):
    secretive = Statement(
        identity=("reader",), method=("read",), resource=("log=deploy/plan",), effect=Effect.DENY
    )
    parts = served(tmp_path, DEPLOY, access=Access((allow("*", "admin"), secretive)))
    parts = attrs.evolve(parts, files=RunFiles(tmp_path / "files", parts.journal))
    async with serving(parts) as world:
        run = world.engine.schedule("deploy", variables={}, user="ada")
        path = parts.files.path(run.run_id, "plan")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"PK archive")
        saved = Saved(digest="0", size=10, count=1)
        none = await world.client.get(f"/runs/{run.run_id}/files/plan", headers=by("ada"))
        assert (none.status_code, none.json()) == (404, {"error": "This task has saved no files"})
        world.engine.task_ended(run.run_id, "plan", TaskEnd(saved=saved))
        found = await world.client.get(f"/runs/{run.run_id}/files/plan", headers=by("ada"))
        assert (found.content, found.headers["content-type"]) == (b"PK archive", "application/zip")
        hidden = await world.client.get(f"/runs/{run.run_id}/files/plan", headers=by("reader"))
        assert hidden.status_code in (403, 404)


async def test_an_approval_names_the_files_that_were_saved_before_it_and_where_they_are(tmp_path):
    statements = (
        allow("ada", "admin"),
        allow("blind", "read"),
        Statement(identity=("blind",), method=("read",), resource=("log=*",), effect=Effect.DENY),
    )
    parts = await with_feed(served(tmp_path, DEPLOY, access=Access(statements)))
    parts = attrs.evolve(parts, files=RunFiles(tmp_path / "files", parts.journal))
    async with serving(parts, own_routes=PipelinePages(parts).routes()) as world:
        run = world.engine.schedule("deploy", variables={"environment": "prod"}, user="ada")
        path = parts.files.path(run.run_id, "plan")
        path.parent.mkdir(parents=True)
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(102):
                archive.writestr(f"plans/<{number}>", "x" * number)
        saved = Saved(digest="0" * 64, size=path.stat().st_size, count=102)
        world.engine.task_ended(run.run_id, "plan", TaskEnd(outputs={"changed": True}, saved=saved))
        world.engine.ask(run.run_id, "ok", "Deploy?")
        [files] = (await shown(world, run.run_id, headers=by("ada")))["files"]
        assert files["names"][:3] == [{"name": f"plans/<{size}>", "size": size} for size in range(3)]
        assert (len(files["names"]), files["more"], files["size"]) == (100, 2, saved.size)
        assert (await world.client.get(files["href"], headers=by("ada"))).content == path.read_bytes()
        assert (await shown(world, run.run_id, headers=by("blind")))["files"] == []
        address = f"/approval?id={run.run_id}&task=ok"
        page = (await world.client.get(address, headers=by("ada"))).text
        assert f'href="runs/{run.run_id}/files/plan"' in page
        assert "<bdi>plans/&lt;1&gt;</bdi> 1 bytes" in page
        assert "and 2 more" in page
        assert "plans/" not in (await world.client.get(address, headers=by("blind"))).text
        path.write_bytes(b"no archive")
        [files] = (await shown(world, run.run_id, headers=by("ada")))["files"]
        assert files["names"] == []


async def test_what_could_not_be_taken_away_is_told_to_those_who_may_see_its_pipeline(tmp_path):
    statements = (allow("ada", "admin"), allow("other", "read", "pipeline=other"))
    left = Execution(run_id=str(uuid.UUID(int=1)), pipeline="deploy", task="plan", leak="exit status 7")
    parts = await with_feed(served(tmp_path, DEPLOY, access=Access(statements), leaks=lambda: [left]))
    async with serving(parts, own_routes=[metrics.route(parts, parts.feed)]) as world:
        told = await world.client.get("/leaks", headers=by("ada"))
        assert told.json()["leaks"] == [
            {
                "run": left.run_id,
                "pipeline": "deploy",
                "task": "plan",
                "executor": "shell",
                "left": "exit status 7",
            }
        ]
        assert (await world.client.get("/leaks", headers=by("other"))).json() == {"leaks": []}
        for who, count in (("ada", "1.0"), ("other", "0.0")):
            text = (await world.client.get("/metrics", headers=by(who))).text
            assert f"paas_pipelines_leaks {count}" in text
            assert "paas_pipelines_notices_waiting 0.0" in text
