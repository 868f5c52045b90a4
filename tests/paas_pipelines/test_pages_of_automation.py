"""The pages on which people decide, pause and fire, and on which they read what has happened."""

import html
import re

import attrs
import pytest
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Effect, Statement
from paas_pipelines.pages.site import PipelinePages
from paas_pipelines.runs.run import TaskStatus
from paas_pipelines.tasks.executing.executions import Execution
from paas_pipelines.tasks.workers import Waiting
from paas_pipelines.triggers.event import EventState
from paas_pipelines.triggers.feed import Feed

from paas_runner.pipelines.workers import Worker
from tests.paas_pipelines.test_automation_endpoints import DEPLOY, blocked
from tests.support.pipeline_pages import token, visiting
from tests.support.served_pipelines import served, serving

ADMIN = Statement(identity=("alice",), role="admin", resource=("*",))
READER = Statement(identity=("rob",), role="read", resource=("*",))


@pytest.fixture
async def visited(tmp_path):
    parts = served(tmp_path, DEPLOY, access=Access((ADMIN, READER)))
    parts = attrs.evolve(parts, feed=await Feed.opened(parts.engine, parts.journal, parts.clock))
    async with visiting(parts) as found:
        yield found


def as_somebody_else(visited, user):
    visited.browser.cookies.set("jwt", token(user))


async def form_of(visited, path):
    """The hidden fields of the page's form."""
    page = (await visited.browser.get(path)).text
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


async def test_the_run_that_waits_leads_to_its_approval_and_the_inbox_does(visited):
    run_id = blocked(visited.world)
    page = f"approval?id={run_id}&task=ok"
    assert page in (await visited.read(f"/run?id={run_id}")).links()
    inbox = await visited.read("/inbox")
    assert page in inbox.links()
    assert "For you to decide" in inbox.text
    as_somebody_else(visited, "rob")
    assert "For you to decide None." in (await visited.read("/inbox")).text


async def test_an_approval_shows_what_has_changed_and_is_given_with_values_and_a_reason(visited):
    run_id = blocked(visited.world)
    output = visited.world.served.logs.output(run_id, "plan")
    output.stdout(b"+ 3 to add <b>\n")
    output.close()
    path = f"/approval?id={run_id}&task=ok"
    seen = await visited.read(path)
    for told in ("Deploy to prod?", "changed", "true", "+ 3 to add <b>", "environment", "prod", "ada"):
        assert told in seen.text, told
    fields = await form_of(visited, path)
    wrong = await visited.post(path, **fields, decision="approve", **{"v.window": "none"})
    assert wrong.status_code == 400
    assert "Something is missing or wrong" in wrong.text
    answer = await visited.post(path, **fields, decision="approve", reason="fine\r\n", **{"v.window": "3"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"run?id={run_id}")
    task = visited.world.engine.book.run(run_id).task("ok")
    [decision] = task.asked.decisions
    assert (decision.user, decision.reason, decision.values) == ("alice", "fine", {"window": 3})
    after = await visited.read(path)
    assert "alice approved: fine" in after.text
    assert [each for each in after.all("button") if each.get("name") == "decision"] == []


async def test_a_rejection_needs_no_values(visited):
    run_id = blocked(visited.world)
    path = f"/approval?id={run_id}&task=ok"
    answer = await visited.post(path, **await form_of(visited, path), decision="reject", reason="no")
    assert answer.status_code == 303
    assert visited.world.engine.book.run(run_id).last_error == "rejected by alice: no"


async def test_reading_a_page_decides_nothing_and_a_form_of_another_page_neither(visited):
    run_id = blocked(visited.world)
    path = f"/approval?id={run_id}&task=ok"
    fields = {**await form_of(visited, path), "decision": "reject"}
    for address in (path, f"{path}&decision=approve&csrf={fields['csrf']}&digest={fields['digest']}"):
        await visited.read(address)
        await visited.browser.head(address)
    refused = [
        await visited.post(path, **{**fields, "csrf": "0" * 64}),
        await visited.post(path, **{**fields, "csrf": ""}),
        await visited.browser.post(path, data=fields, headers={"Sec-Fetch-Site": "cross-site"}),
    ]
    as_somebody_else(visited, "rob")
    refused.append(await visited.post(path, **fields))
    visited.browser.cookies.clear()
    out = await visited.post(path, **fields)
    assert [answer.status_code for answer in refused] == [403, 403, 403, 403]
    assert out.headers["location"].startswith("login")
    assert visited.world.engine.book.run(run_id).task("ok").status is TaskStatus.BLOCKED


async def test_what_was_decided_or_has_changed_meanwhile_is_said_on_the_page(visited):
    run_id = blocked(visited.world)
    path = f"/approval?id={run_id}&task=ok"
    fields = await form_of(visited, path)
    stale = await visited.post(path, **{**fields, "digest": "0"}, decision="approve", **{"v.window": "1"})
    assert stale.status_code == 409
    assert "what is to be approved has changed" in stale.text
    visited.world.engine.cancel(run_id)
    late = await visited.post(path, **fields, decision="reject")
    assert late.status_code == 409


async def test_who_may_read_but_not_approve_sees_no_button_and_strangers_see_nothing(visited):
    run_id = blocked(visited.world)
    path = f"/approval?id={run_id}&task=ok"
    as_somebody_else(visited, "rob")
    seen = await visited.read(path)
    assert "Others decide this." in seen.text
    assert [each for each in seen.all("button") if each.get("name") == "decision"] == []
    as_somebody_else(visited, "stranger")
    await visited.read(path, 404)
    assert "None." in (await visited.read("/inbox")).text


async def test_an_approval_whose_task_somebody_may_not_read_is_on_no_page_of_his(tmp_path):
    sees_others = attrs.evolve(READER, resource=("task=*",), effect=Effect.DENY)
    async with visiting(served(tmp_path, DEPLOY, access=Access((ADMIN, READER, sees_others)))) as visited:
        run_id = blocked(visited.world)
        page = f"approval?id={run_id}&task=ok"
        assert page in (await visited.read("/inbox")).links()
        as_somebody_else(visited, "rob")
        assert page not in (await visited.read("/inbox")).links()
        assert (await visited.browser.get(f"/{page}")).status_code == 404
        told = await visited.browser.get("/approvals", headers={"Authorization": f"Bearer {token('rob')}"})
        assert told.json() == {"approvals": []}


async def test_a_run_that_has_ended_is_run_again_with_a_form_alone(visited):
    run_id = blocked(visited.world)
    visited.world.engine.cancel(run_id)
    fields = await form_of(visited, f"/run?id={run_id}")
    assert (await visited.post(f"/rerun?id={run_id}")).status_code == 403
    answer = await visited.post(f"/rerun?id={run_id}", **fields)
    assert answer.status_code == 303
    [again, _] = visited.world.engine.book.runs()
    assert (answer.headers["location"], again.user) == (f"run?id={again.run_id}", "alice")


async def test_triggers_show_their_next_times_and_are_paused_resumed_and_fired(visited):
    seen = await visited.read("/automation")
    for told in ("github at /hooks/deploy/push", "at 0 3 * * * UTC", "every 10 min", "switched off"):
        assert told in seen.text, told
    assert seen.text.count(" 03:00") == 10
    fields = {"csrf": (await form_of(visited, "/automation"))["csrf"]}
    named = {"pipeline": "deploy", "trigger": "night"}
    assert (await visited.post("/automation", **named, verb="pause")).status_code == 403
    await visited.post("/automation", **fields, **named, verb="pause")
    assert "paused by alice" in (await visited.read("/automation")).text
    await visited.post("/automation", **fields, **named, verb="resume")
    await visited.post("/automation", **fields, **named, verb="fire")
    [event] = visited.world.served.feed.events()
    assert event.meta == {"fired_by": "alice"}
    assert (await visited.post("/automation", **fields, **named, verb="burn")).status_code == 400
    as_somebody_else(visited, "rob")
    assert [each for each in (await visited.read("/automation")).all("button") if each.get("name")] == []


async def test_events_lead_to_what_came_with_them_and_dead_ones_are_tried_again(visited):
    feed = visited.world.served.feed
    event = feed.fire("deploy", "night", "ada")
    feed.book.save(attrs.evolve(event, state=EventState.DEAD, attempts=5, error="it breaks <b>"))
    assert f"event?id={event.event_id}" in (await visited.read("/history")).links()
    path = f"/event?id={event.event_id}"
    seen = await visited.read(path)
    assert "Event: dead" in seen.text
    assert "it breaks <b>" in seen.text
    assert (await visited.post(path)).status_code == 403
    await visited.post(path, **await form_of(visited, path))
    assert feed.event(event.event_id).state is EventState.NEW
    await visited.read("/event?id=none", 404)


async def test_an_event_that_was_dropped_says_why_wherever_it_is_shown(visited):
    feed, reason = visited.world.served.feed, "missed 2 h ago, which is too long ago for its catch_up"
    event = attrs.evolve(feed.fire("deploy", "night", "ada"), state=EventState.DROPPED, reason=reason)
    feed.book.save(event)
    for page in ("/automation", "/history", f"/event?id={event.event_id}"):
        assert reason in (await visited.read(page)).text, page


async def test_the_server_shows_its_workers_why_tasks_wait_and_its_audit(tmp_path):
    parts = served(tmp_path, DEPLOY, access=Access((ADMIN, READER)))
    parts.audit.note("ada", "start", "pipeline=deploy")
    run = parts.engine.schedule("deploy", variables={})
    waits = Waiting(run_id=run.run_id, pipeline="deploy", task="plan", reason="no worker has gpu=1")
    worker = Worker(
        runner_id=1,
        description="box",
        system_id="s_1",
        labels=("os=linux",),
        paused=False,
        runs_untagged=True,
    )
    left = Execution(run_id=run.run_id, pipeline="deploy", task="plan", leak="executor pod was not torn down")
    pages = PipelinePages(parts, workers=lambda: [worker], waiting=lambda: [waits], leaks=lambda: [left])
    async with serving(parts, own_routes=pages.routes()) as world:
        shown = (await world.client.get("/more", headers={"Authorization": f"Bearer {token()}"})).text
        for told in ("box", "os=linux", "any task", "no worker has gpu=1", left.leak, "pipeline=deploy"):
            assert told in shown, told
        other = {"Authorization": f"Bearer {token('rob')}"}
        assert "You may not read it." in (await world.client.get("/more", headers=other)).text
