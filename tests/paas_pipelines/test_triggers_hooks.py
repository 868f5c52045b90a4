"""Deliveries over HTTP: whose they are, what they start, and what is answered."""

import asyncio
import contextlib
import json

import httpx
import pytest
from paas_pipelines.api import hooks
from paas_pipelines.api.trigger_routes import event_shape
from paas_pipelines.definitions.automation import TriggerType
from paas_pipelines.definitions.parameter import Parameter
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.triggers.event import Event, EventState, Identity
from paas_pipelines.triggers.feed import Feed
from paas_pipelines.triggers.hooks import HookLimits

from paas_runner.secret import Secret
from tests.support.served_pipelines import now, served, serving
from tests.support.triggered import HOOK_SECRET, KnownSecrets, after, hook, pipeline, pushed, signed

NO_NAME = "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
NOBODY = httpx.Headers({"User-Agent": "GitHub-Hookshot/1"})


@contextlib.asynccontextmanager
async def hooked(tmp_path, *definitions, secrets=None, **limits):
    """A feed that goes on, a client without a token, and what both work with."""
    parts = served(tmp_path, *definitions)
    feed = await Feed.opened(
        parts.engine, parts.journal, now, secrets=secrets or KnownSecrets(), limits=HookLimits(**limits)
    )
    async with serving(parts, own_routes=hooks.routes(feed)) as server:
        running = asyncio.create_task(feed.run())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=NOBODY) as client:
            yield feed, client, parts.engine
        running.cancel()


async def handled(feed):
    async with asyncio.timeout(60):
        while feed.book.unended():
            await asyncio.sleep(0.005)
    return feed.events()[0]


def outcomes(event):
    return {each.pipeline: each.refusal or "run" for each in event.outcomes}


async def test_a_signed_push_starts_a_run_with_what_the_trigger_takes_of_it(tmp_path):
    ci = pipeline(
        "ci",
        hook(
            events=("push",),
            condition="!payload.deleted",
            params={"fixed": 7},
            params_from={"ref": "payload.ref", "kind": "event.type"},
            partition="payload.ref",
        ),
        params=(Parameter(name="ref"), Parameter(name="kind")),
    )
    async with hooked(tmp_path, ci) as (feed, client, engine):
        body = pushed()
        answer = await client.post("/hooks/ci/push", content=body, headers=signed(body))
        assert answer.status_code == 202
        event = await handled(feed)
        assert answer.json() == {"event": event.event_id}
        [outcome] = event.outcomes
        run = engine.book.run(outcome.run_id)
        assert run.variables == {"fixed": 7, "ref": "refs/heads/main", "kind": "push"}
        assert (run.user, run.partition) == ("trigger/ci/push", "refs/heads/main")
        assert (run.origin.trigger, run.origin.event_id) == ("ci/push", event.event_id)
        assert not run.origin.held
        assert event.state is EventState.DONE
        assert (await feed.data(event.event_id))["ref"] == "refs/heads/main"


async def test_what_nobody_wants_is_202_too_since_gitlab_disables_hooks_that_get_4xx(tmp_path):
    ci = pipeline("ci", hook(provider="gitlab", condition="payload.object_kind == 'push'"))
    async with hooked(tmp_path, ci) as (feed, client, engine):
        headers = {"X-Gitlab-Token": HOOK_SECRET.reveal(), "X-Gitlab-Event": "Note Hook"}
        answer = await client.post("/hooks/ci/push", json={"object_kind": "note"}, headers=headers)
        assert answer.status_code == 202
        event = await handled(feed)
        assert (event.state, event.reason) == (EventState.DROPPED, "ci/push: if: is false")
        assert len(engine.book) == 0


@pytest.mark.parametrize(
    ("wants", "reason"),
    [
        ({"events": ("release", "create")}, 'events: "push" is not among release, create'),
        ({"match": {"repository": {"id": 2}}}, "match: repository.id does not fit"),
        ({"match": {"ref": "refs/heads/main", "sender": {}}}, "match: sender does not fit"),
    ],
)
async def test_what_nobody_wants_is_dropped_with_the_key_that_does_not_fit(tmp_path, wants, reason):
    ci, other = pipeline("ci", hook(**wants)), pipeline("other", hook("other", condition="false"))
    async with hooked(tmp_path, ci, other) as (feed, client, engine):
        body = pushed()
        await client.post("/hooks/ci/push", content=body, headers=signed(body))
        event = await handled(feed)
        assert event.state is EventState.DROPPED
        assert event.reason == f"ci/push: {reason}; other/other: if: is false"
        told = event_shape(event)
        assert (told["reason"], told["outcomes"]) == (event.reason, [])
        assert len(engine.book) == 0


async def test_what_comes_for_a_trigger_that_is_gone_says_so(tmp_path):
    async with hooked(tmp_path, pipeline("ci", hook())) as (feed, _, engine):
        engine.replace_definitions({})
        by = Identity(trigger="ci/push", type=TriggerType.WEBHOOK)
        feed.book.add(Event(event_id=feed.book.next_id(), identity=by, created=now()))
        event = await handled(feed)
        assert (event.state, event.reason) == (EventState.DROPPED, "no trigger listens to it any more")


async def test_each_delivery_starts_once_however_often_it_comes(tmp_path):
    async with hooked(tmp_path, pipeline("ci", hook(), concurrency=9)) as (feed, client, engine):
        body = pushed()
        first = await client.post("/hooks/ci/push", content=body, headers=signed(body))
        again = await client.post("/hooks/ci/push", content=body, headers=signed(body))
        assert again.status_code == 200
        assert again.json() == {"event": first.json()["event"], "duplicate": True}
        replayed = await client.post("/hooks/ci/push", content=body, headers=signed(body, delivery="2"))
        assert replayed.json()["duplicate"]
        other = pushed(after="another commit")
        assert (await client.post("/hooks/ci/push", content=other, headers=signed(other))).json()["duplicate"]
        answer = await client.post("/hooks/ci/push", content=other, headers=signed(other, delivery="3"))
        assert answer.status_code == 202
        await handled(feed)
        assert len(engine.book) == 2


async def test_a_dispatch_is_meant_again_but_a_push_that_calls_itself_one_is_not(tmp_path):
    async with hooked(tmp_path, pipeline("ci", hook(), concurrency=9)) as (feed, client, _):
        dispatched, body = json.dumps({"inputs": {}, "workflow": "x"}).encode(), pushed()
        for delivery in ("1", "2"):
            headers = signed(dispatched, event="workflow_dispatch", delivery=delivery)
            answer = await client.post("/hooks/ci/push", content=dispatched, headers=headers)
            assert answer.status_code == 202
        assert (
            await client.post("/hooks/ci/push", content=body, headers=signed(body, delivery="3"))
        ).status_code == 202
        headers = signed(body, event="workflow_dispatch", delivery="4")
        assert (await client.post("/hooks/ci/push", content=body, headers=headers)).json()["duplicate"]
        await handled(feed)


async def test_gitlabs_recursive_hooks_share_their_uuid_and_are_all_taken(tmp_path):
    async with hooked(tmp_path, pipeline("ci", hook(provider="gitlab"), concurrency=9)) as (_, client, _):
        same = {"X-Gitlab-Token": HOOK_SECRET.reveal(), "X-Gitlab-Event-UUID": "one for all"}
        for number, status in (("1", 202), ("2", 202), ("2", 200)):
            headers = {**same, "Idempotency-Key": number}
            answer = await client.post("/hooks/ci/push", json={"object_kind": "push"}, headers=headers)
            assert answer.status_code == status
        for status in (202, 200):
            answer = await client.post("/hooks/ci/push", json={"object_kind": "tag_push"}, headers=same)
            assert answer.status_code == status


async def test_dedupe_is_per_trigger_and_others_on_the_path_go_on(tmp_path):
    one = pipeline("one", hook(path="shared", dedupe="payload.after"), concurrency=9)
    two = pipeline("two", hook(path="shared"), concurrency=9)
    async with hooked(tmp_path, one, two) as (feed, client, _):
        for delivery, body in (("1", pushed(after="a", n=1)), ("2", pushed(after="a", n=2))):
            headers = signed(body, delivery=delivery)
            assert (await client.post("/hooks/shared", content=body, headers=headers)).status_code == 202
            event = await handled(feed)
        assert outcomes(event) == {"one": "skipped: duplicate", "two": "run"}


@pytest.mark.parametrize(
    ("event", "payload", "held"),
    [
        ("push", {"ref": "x"}, False),
        ("release", {"release": {}}, False),
        ("pull_request", {"pull_request": {"head": {"repo": {"id": 1}}, "base": {"repo": {"id": 1}}}}, False),
        ("pull_request", {"pull_request": {"head": {"repo": {"id": 2}}, "base": {"repo": {"id": 1}}}}, True),
        ("pull_request", {"pull_request": {"head": {"repo": None}, "base": {"repo": None}}}, True),
        ("push", {"pull_request": {"head": {"repo": {"id": 2}}, "base": {"repo": {"id": 1}}}}, True),
        ("issue_comment", {"issue": {}, "comment": {}}, True),
        ("push", {"comment": {}}, True),
        ("workflow_dispatch", {"inputs": {}}, True),
        ("push", [], True),
    ],
)
async def test_what_strangers_may_cause_waits_for_an_approval_or_is_dropped(tmp_path, event, payload, held):
    holds = pipeline("holds", hook(path="x"))
    drops = pipeline("drops", hook(path="x", drops_untrusted=True))
    async with hooked(tmp_path, holds, drops) as (feed, client, engine):
        body = json.dumps(payload).encode()
        await client.post("/hooks/x", content=body, headers=signed(body, event=event))
        found = {each.pipeline: each for each in (await handled(feed)).outcomes}
        assert engine.book.run(found["holds"].run_id).origin.held is held
        assert found["drops"].refusal == ("dropped: untrusted" if held else "")


async def test_requests_to_merge_from_forks_are_not_trusted_of_gitlab_either(tmp_path):
    async with hooked(tmp_path, pipeline("ci", hook(provider="gitlab"), concurrency=9)) as (
        feed,
        client,
        engine,
    ):
        for target, held in ((1, False), (2, True)):
            about = {"source_project_id": 1, "target_project_id": target}
            body = {"object_kind": "merge_request", "object_attributes": about}
            headers = {"X-Gitlab-Token": HOOK_SECRET.reveal(), "X-Gitlab-Event": "Push Hook"}
            await client.post("/hooks/ci/push", json=body, headers=headers)
            [outcome] = (await handled(feed)).outcomes
            assert engine.book.run(outcome.run_id).origin.held is held


async def test_refusals_are_told_with_their_statuses(tmp_path):
    body = pushed()
    good = signed(body)
    ci = pipeline("ci", hook())
    async with hooked(tmp_path, ci, body_bytes=1000, deliveries_a_minute=2) as (feed, client, _):

        async def told(path="/hooks/ci/push", content=body, **changes):
            headers = {**(good if content == body else signed(content)), **changes}
            answer = await client.post(path, content=content, headers=headers)
            return answer.status_code, answer.json().get("error", "")

        assert await told("/hooks/ci/other") == (404, "There is no such hook")
        assert await told(**{"X-Hub-Signature-256": "sha256=00"}) == (401, "Invalid signature")
        assert await told(content=b"x" * 1001) == (413, "Request body is larger than 1000 bytes")
        assert (await told(**{"Content-Type": "application/x-www-form-urlencoded"}))[0] == 415
        assert await told(content=b"{") == (400, "Error decoding JSON: " + NO_NAME)
        assert await told(content=b"[" * 65 + b"]" * 65) == (
            400,
            "Error decoding JSON: nested too deeply",
        )
        assert (await told())[0] == 202
        assert (await told())[0] == 200
        assert await told() == (429, "Too many deliveries")
        assert (await client.get("/hooks/ci/push")).status_code == 405
        assert len(feed.events()) == 1


async def test_a_secret_that_cannot_be_had_is_503_and_one_that_was_replaced_is_accepted(tmp_path):
    secrets = KnownSecrets()
    async with hooked(tmp_path, pipeline("ci", hook()), secrets=secrets) as (feed, client, _):
        body = pushed()
        secrets.known["hook"] = [Secret("a new one"), HOOK_SECRET]
        assert (await client.post("/hooks/ci/push", content=body, headers=signed(body))).status_code == 202
        del secrets.known["hook"]
        answer = await client.post("/hooks/ci/push", content=body, headers=signed(body))
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        await handled(feed)


async def test_only_pipelines_that_may_use_its_secret_are_told_of_a_delivery(tmp_path):
    secrets, body = KnownSecrets(), pushed()
    secrets.refused = {"two"}
    known = [pipeline(name, hook(path="shared"), concurrency=9) for name in ("one", "two")]
    async with hooked(tmp_path, *known, secrets=secrets) as (feed, client, _):
        assert (await client.post("/hooks/shared", content=body, headers=signed(body))).status_code == 202
        assert outcomes(await handled(feed)) == {
            "one": "run",
            "two": "skipped: its pipeline may not use the secret",
        }
        again = await client.post("/hooks/shared", content=body, headers=signed(body))
        assert again.json()["duplicate"]
        assert secrets.uses == [("one", "hook", "trigger one/push")]
        secrets.refused.add("one")
        answer = await client.post("/hooks/shared", content=body, headers=signed(body))
        assert (answer.status_code, answer.json()) == (
            503,
            {"error": "The secret of this hook cannot be read"},
        )


async def test_palvellas_route_serves_the_only_hook_of_github(tmp_path):
    async with hooked(tmp_path, pipeline("ci", hook())) as (feed, client, _):
        body = pushed()
        answer = await client.post("/github_webhook", content=body, headers=signed(body))
        assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.post("/github_webhook", content=body, headers=signed(body))).status_code == 204
        answer = await client.post("/github_webhook", content=body + b" ", headers=signed(body))
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid signature"})
        await handled(feed)
    two = pipeline("other", hook(path="x"))
    async with hooked(tmp_path, pipeline("ci", hook()), two) as (_, client, _):
        assert (await client.post("/github_webhook", content=body, headers=signed(body))).status_code == 404


async def test_an_expression_that_cannot_be_computed_is_an_outcome_and_no_run(tmp_path):
    wrong = {
        "if": hook(path="x", condition="payload.missing == 1"),
        "no-bool": hook(path="x", condition="payload.ref"),
        "param": hook(path="x", params_from={"a": "payload.missing"}),
        "user": hook(path="x", user="payload.repository.id"),
        "dedupe": hook(path="x", dedupe="payload.missing"),
        "off": hook(path="x", enabled=False),
    }
    definitions = [pipeline(name, trigger) for name, trigger in wrong.items()]
    async with hooked(tmp_path, *definitions) as (feed, client, engine):
        body = pushed()
        assert (await client.post("/hooks/x", content=body, headers=signed(body))).status_code == 202
        told = outcomes(await handled(feed))
        assert {name: text.split(":")[0] for name, text in told.items()} == {
            "if": "if",
            "no-bool": "if",
            "param": 'param "a"',
            "user": "user",
            "dedupe": "dedupe",
            "off": "skipped",
        }
        assert len(engine.book) == 0


@pytest.mark.parametrize("name", ["x" * 201, "a\nb", "\x1b[2Ja", "\u202eeve"])
async def test_who_is_told_to_have_started_a_run_has_a_name_that_can_be_shown(tmp_path, name):
    async with hooked(tmp_path, pipeline("ci", hook(user="payload.ref"))) as (feed, client, engine):
        body = pushed(ref=name)
        assert (await client.post("/hooks/ci/push", content=body, headers=signed(body))).status_code == 202
        told = outcomes(await handled(feed))
        assert told == {"ci": "user: must have at most 200 characters, all printable"}
        assert len(engine.book) == 0


async def test_a_paused_trigger_has_its_outcome_and_a_fired_one_starts_whatever_its_condition(tmp_path):
    async with hooked(tmp_path, pipeline("ci", hook(condition="false"))) as (feed, client, engine):
        feed.pause("ci", "push", "corp/ada")
        body = pushed()
        await client.post("/hooks/ci/push", content=body, headers=signed(body))
        assert outcomes(await handled(feed)) == {"ci": "skipped: paused"}
        feed.fire("ci", "push", "corp/ada")
        [outcome] = (await handled(feed)).outcomes
        assert engine.book.run(outcome.run_id).user == "corp/ada"
        feed.resume("ci", "push")
        assert not feed.state("ci", "push").paused


async def test_the_end_of_a_run_starts_those_that_listen_with_what_it_tells(tmp_path):
    first = pipeline("first", hook())
    second = pipeline(
        "second", after("first", params_from={"x": "source.params.x", "was": "source.result"}), tasks={}
    )
    failures = pipeline("failures", after("first", results=("failed", "canceled")))
    async with hooked(tmp_path, first, second, failures) as (feed, _, engine):
        run = engine.schedule("first", variables={"x": [1]}, user="ada")
        engine.task_ended(run.run_id, "first", TaskEnd())
        [outcome] = (await handled(feed)).outcomes
        started = engine.book.run(outcome.run_id)
        assert started.variables == {"x": [1], "was": "success"}
        assert (started.origin.chain, started.origin.root_user) == (1, "ada")
        run = engine.schedule("first", variables={})
        engine.task_ended(run.run_id, "first", TaskEnd(exit_code=1))
        assert outcomes(await handled(feed)) == {"failures": "run"}


async def test_runs_that_start_one_another_come_to_an_end(tmp_path):
    circle = pipeline("circle", after("circle"), tasks={})
    async with hooked(tmp_path, circle) as (feed, _, engine):
        engine.schedule("circle", variables={})
        event = await handled(feed)
        assert outcomes(event) == {"circle": "more than 16 runs that start one another"}
        assert len(engine.book) == 17
