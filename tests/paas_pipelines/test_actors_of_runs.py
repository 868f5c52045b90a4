"""Who has started a run is on its record, and is asked of when it starts others (automation.md §1, §9)."""

import asyncio
import contextlib

import attrs
import pytest
from paas_pipelines.access.actor import (
    MOST_GROUP_LETTERS,
    MOST_GROUPS,
    Actor,
    Way,
    actor_of,
    actor_of_trigger,
    before_actors,
)
from paas_pipelines.access.identity import Identity, pipeline_identity, trigger_identity
from paas_pipelines.access.policy import Access
from paas_pipelines.access.statements import Effect, Statement, authorize
from paas_pipelines.api.access import COMMAND_AGENT
from paas_pipelines.definitions.automation import Call, Overlap, Schedule, TaskType, Trigger, TriggerType
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.pages.site import PipelinePages
from paas_pipelines.runs.run import Origin, Run
from paas_pipelines.store.audit import Audit
from paas_pipelines.store.audited_runs import noting
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.triggers.feed import Feed

from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.conducted import Disk, Stage, World, pipeline
from tests.support.memory_journal import MemoryJournal
from tests.support.served_pipelines import authorization, definition, now, served, serving

ADA = Identity("ada", kind="login", domain="corp", groups=("dev", "ops"))


def allow(who, resource="*", **more):
    return Statement(identity=(who,), resource=(resource,), **{"role": "start", **more})


def deny(who, resource):
    return Statement(identity=(who,), method=("start",), resource=(resource,), effect=Effect.DENY)


def calling(name, callee):
    call = TaskDefinition(type=TaskType.CALL, call=Call(pipeline=callee))
    return pipeline(name, tasks={"sub": call})


def called(folder, *statements, actor, user="", origin=Origin(), disk=None):  # noqa: B008 - frozen
    """A run of `a`, which calls `b`, which calls `c`: all runs by pipeline, and what the audit has."""
    definitions = [calling("a", "b"), calling("b", "c"), pipeline("c", tasks={"work": TaskDefinition()})]
    world, journal = World(folder, *definitions, stage=Stage()), disk or MemoryJournal()
    audit = Audit(journal, virtual_now)
    world.engine.book.observers.append(noting(audit))
    world.conductor._native = attrs.evolve(world.conductor._native, access=Access(statements), audit=audit)

    async def main():
        world.engine.schedule(
            "a", variables={}, user=user or str(actor.identity if actor else ""), actor=actor, origin=origin
        )
        async with world.running():
            await asyncio.sleep(20)
        return {} if disk else await audit.newest(100)

    lines = run_virtual(main())
    return {run.pipeline: run for run in world.engine.book.runs()}, lines


# --- what a run may call -----------------------------------------------------------------------------------

TRIGGER = actor_of_trigger("a/night", Way.SCHEDULE)
CORP_ADA = actor_of(ADA, Way.PAGE)


@pytest.mark.parametrize(
    ("statements", "actor", "reached", "error"),
    [
        ((), CORP_ADA, "abc", ""),
        ((), TRIGGER, "abc", ""),
        ((allow("corp/ada"),), CORP_ADA, "abc", ""),
        ((allow("group:ops"),), CORP_ADA, "abc", ""),
        ((allow("*"),), TRIGGER, "abc", ""),
        ((allow("trigger/a/*"), allow("corp/ada")), TRIGGER, "abc", ""),
        ((deny("trigger/a/night", "pipeline=b"),), TRIGGER, "a", "a statement denies it"),
        ((allow("corp/ada", "pipeline=a"),), CORP_ADA, "a", "no statement allows it"),
        ((allow("corp/ada"), deny("group:ops", "pipeline=c")), CORP_ADA, "ab", "a statement denies it"),
        ((allow("corp/*"),), TRIGGER, "a", "no statement allows it"),
        ((allow("*/*"),), TRIGGER, "a", "no statement allows it"),
        ((allow("trigger/b/*"), allow("corp/ada")), TRIGGER, "a", "no statement allows it"),
        ((allow("corp/bob"),), actor_of(Identity("bob", kind="program"), Way.PROGRAM), "abc", ""),
    ],
)
def test_a_call_is_asked_of_whoever_has_started_the_run_at_any_depth(
    tmp_path, statements, actor, reached, error
):
    runs, lines = called(tmp_path, *statements, actor=actor)
    assert "".join(sorted(runs)) == reached
    last = runs[reached[-1]]
    refused = [line for line in lines if line.outcome == "refused"]
    if not error:
        assert all(run.completed and not run.errored for run in runs.values())
        assert not refused
    else:
        wanted = f"pipeline={'abc'[len(reached)]}"
        told = f"{actor.identity} may not start {wanted}: {error}"
        assert last.task("sub").error == f'the call of pipeline "{wanted[-1]}" was refused: {told}'
        assert all(run.errored for run in runs.values())
        [line] = refused
        assert (line.who, line.what, line.resource) == (str(actor.identity), "start", wanted)
        assert line.details == {"run": last.run_id, "task": "sub", "reason": error}
    for name, run in runs.items():
        assert run.actor == (actor if name == "a" else attrs.evolve(actor, way=Way.CALL))
        assert run.user == str(actor.identity)


@pytest.mark.parametrize(
    ("user", "origin", "asked_of"),
    [
        ("ada", Origin(), Identity("ada", groups_missing=True)),
        ("corp/ada", Origin(), Identity("ada", domain="corp", groups_missing=True)),
        ("corp/ada", Origin(trigger="a/push"), trigger_identity("a/push")),
        ("corp/ada", Origin(caller_run="r", caller_task="t"), Identity("", groups_missing=True)),
        ("trigger/a/push", Origin(), Identity("", groups_missing=True)),
    ],
)
def test_a_run_of_an_older_version_is_asked_of_as_far_as_it_is_known(tmp_path, user, origin, asked_of):
    assert before_actors(user, origin.trigger, origin.caller_run).identity == asked_of
    runs, _ = called(tmp_path / "1", allow("corp/ada"), actor=None, user=user, origin=origin)
    assert ("c" in runs) is (asked_of == Identity("ada", domain="corp", groups_missing=True))
    nobody_denied = (allow("corp/ada"), deny("group:ops", "pipeline=b"))
    runs, _ = called(tmp_path / "2", *nobody_denied, actor=None, user=user, origin=origin)
    assert set(runs) == {"a"}
    if asked_of.groups_missing:
        assert runs["a"].task("sub").error.endswith(", and not all of its groups are on record")


def test_a_refusal_and_its_line_in_the_audit_reach_the_disk_together_or_not_at_all(tmp_path):
    """Whatever write the server is killed at: the next start finds both, or calls again."""
    moments = []

    class Watched(Disk):
        async def flushed(self):
            moments.append([*self._unwritten])
            await super().flushed()

    disk = Watched()
    definitions = [calling("a", "b"), pipeline("b")]
    world = World(tmp_path, *definitions)
    world.disk = disk
    world.conduct()
    audit = Audit(disk, virtual_now)
    native = attrs.evolve(world.conductor._native, access=Access((allow("corp/bob"),)), audit=audit)
    world.conductor._native = native

    async def main():
        world.engine.schedule("a", variables={}, actor=CORP_ADA)
        async with world.running():
            await asyncio.sleep(5)
            await disk.flushed()

    run_virtual(main())
    seen = set()
    for pending in moments:
        refused = any(kind.startswith("audit 2") and "refused" in text for kind, _, text in pending)
        [*states] = [run for kind, _, run in pending if kind == "run"]
        if states:
            seen.add((refused, bool(states[-1].task("sub").error)))
    assert seen == {(False, False), (True, True)}


# --- on record ---------------------------------------------------------------------------------------------


def test_a_record_has_its_actor_and_one_without_is_read():
    run = Run(run_id="r", number=1, pipeline="p", created=now(), user="corp/ada", actor=CORP_ADA)
    [again] = records({"r": to_text(run)}, Run, "run")
    assert again.actor == CORP_ADA
    [old] = records({"r": to_text(attrs.evolve(run, actor=None))}, Run, "run")
    assert (old.actor, old.user) == (None, "corp/ada")
    assert "actor" not in to_text(old)


@pytest.mark.parametrize(
    ("groups", "kept"),
    [
        (("dev",), 1),
        (tuple(f"g{number}" for number in range(MOST_GROUPS)), MOST_GROUPS),
        (tuple(f"g{number}" for number in range(10_000)), MOST_GROUPS),
        (("x" * MOST_GROUP_LETTERS, "y"), 1),
        (("x" * (MOST_GROUP_LETTERS + 1), "y"), 0),
    ],
)
def test_groups_are_bounded_and_who_has_more_is_denied_what_any_group_is_denied(groups, kept):
    identity = actor_of(Identity("ada", groups=groups), Way.API).identity
    assert identity.groups == groups[:kept]
    assert identity.groups_missing is (kept < len(groups))
    statements = (allow("ada"), deny("group:another", "pipeline=b"))
    assert authorize(statements, identity, "start", ["pipeline=b"]).allowed is not identity.groups_missing
    assert authorize(statements, identity, "start", ["pipeline=a"]).allowed
    only_a_group = (allow("group:another"),)
    assert not authorize(only_a_group, identity, "start", ["pipeline=a"]).allowed


@pytest.mark.parametrize("pattern", ["trigger/p/t", "trigger/*", "trigger/p/*"])
def test_a_trigger_is_meant_by_its_own_name_and_by_everybody_alone(pattern):
    statements = (allow(pattern),)
    assert authorize(statements, trigger_identity("p/t"), "start", ["pipeline=a"]).allowed
    pretenders = [Identity("trigger/p/t"), Identity("p/t", domain="trigger"), pipeline_identity("p/t")]
    named = (*statements, allow("nobody"))  # so that a token alone is not enough
    assert not any(authorize(named, each, "start", ["pipeline=a"]).allowed for each in pretenders)
    assert authorize(statements, Identity("ada"), "start", ["pipeline=a"]).allowed, "it names no people"
    for other in ("trig*/p/t", "*/p/t", "p/t", "group:*"):
        assert not authorize((allow(other),), trigger_identity("p/t"), "start", ["pipeline=a"]).allowed


@contextlib.asynccontextmanager
async def world_of(tmp_path, *statements, **more):
    parts = served(tmp_path, definition(), access=Access((allow("*"), *statements)), **more)
    async with serving(parts, own_routes=PipelinePages(parts).routes()) as found:
        yield found


def by(name, *groups, **headers):
    return {**authorization({"sub": name, "groups": list(groups)}), **headers}


async def test_who_has_started_a_run_is_told_and_groups_are_for_himself_and_auditors(tmp_path):
    async with world_of(tmp_path, allow("root", role="admin")) as world:
        run_id = await started(world, by("ada", "secret-team"))

        async def told(name):
            answer = await world.client.get(f"/runs/{run_id}/actor", headers=by(name))
            assert answer.status_code == 200
            page = await world.client.get(f"/run?id={run_id}", headers=by(name))
            assert "ada</bdi>, API" in page.text
            assert ("secret-team" in page.text) is ("groups" in answer.json())
            return answer.json()

        everybody = {"run": run_id, "user": "ada", "identity": "ada", "kind": "token", "way": "API"}
        assert await told("bob") == everybody
        assert await told("ada") == await told("root") == {**everybody, "groups": ["secret-team"]}
        for path in (f"/job/detail?id={run_id}", "/pipelines/jobs", "/openapi.json"):
            assert "secret-team" not in (await world.client.get(path, headers=by("ada"))).text


async def started(world, headers, **more):
    answer = await world.client.post(
        "/pipelines/schedule", json={"pipeline": "release_it", **more}, headers=headers
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["jobId"]


async def test_the_way_is_on_record_and_a_run_again_is_that_of_whoever_wants_it(tmp_path):
    async with world_of(tmp_path) as world:
        run = world.engine.book.run
        by_command = await started(world, by("ada", "dev", **{"User-Agent": COMMAND_AGENT}))
        assert run(by_command).actor == Actor(identity=Identity("ada", groups=("dev",)), way=Way.COMMAND)
        answer = await world.client.post(f"/runs/{by_command}/rerun", headers=by("bob", "ops"))
        again = run(answer.json()["jobId"])
        assert (again.user, again.actor) == (
            "bob",
            Actor(identity=Identity("bob", groups=("ops",)), way=Way.API),
        )
        form = {"Origin": f"http://127.0.0.1:{world.port}", **by("ada", "dev")}
        page = await world.client.get("/pipeline?name=release_it", headers=form)
        token = page.text.partition('name="csrf" value="')[2].partition('"')[0]
        answer = await world.client.post("/pipeline?name=release_it", data={"csrf": token}, headers=form)
        assert answer.status_code == 303
        assert next(world.engine.book.runs()).actor.way is Way.PAGE


async def test_a_start_that_is_asked_for_again_keeps_the_groups_of_the_first_time(tmp_path):
    async with world_of(tmp_path) as world:
        first = await started(world, by("ada", "dev", **{"Idempotency-Key": "k"}))
        assert await started(world, by("ada", "ops", **{"Idempotency-Key": "k"})) == first
        assert world.engine.book.run(first).actor.identity.groups == ("dev",)


async def test_what_a_trigger_starts_is_its_own_and_what_somebody_fires_is_his(tmp_path):
    """Whatever name the trigger gives: nothing proves it."""
    night = Trigger(
        name="night",
        type=TriggerType.SCHEDULE,
        schedule=Schedule(cron="0 3 * * *", overlap=Overlap.QUEUE),
        user='"corp/root"',
    )
    parts = served(tmp_path, definition(triggers={"night": night}))
    feed = await Feed.opened(parts.engine, parts.journal, now)
    fired = feed.fire("release_it", "night", "corp/ada", CORP_ADA)
    alone = feed.fire("release_it", "night", "")
    again = await Feed.opened(parts.engine, parts.journal, now)  # after a kill
    assert again.event(fired.event_id).actor == CORP_ADA
    assert again.event(alone.event_id).actor is None
    running = asyncio.create_task(feed.run())
    async with asyncio.timeout(60):
        while feed.book.unended():
            await asyncio.sleep(0.005)
    running.cancel()
    runs = {run.origin.event_id: run for run in parts.engine.book.runs()}
    assert (runs[fired.event_id].user, runs[fired.event_id].actor) == ("corp/ada", CORP_ADA)
    by_itself = runs[alone.event_id]
    assert by_itself.user == "corp/root"
    named = ("identity:corp/root",)  # by the file, not by an event: it counts for four eyes alone
    assert by_itself.actor == actor_of_trigger("release_it/night", Way.SCHEDULE, named)


async def test_the_audit_has_way_and_groups_of_a_start(tmp_path):
    parts = served(tmp_path, definition(), access=Access((allow("*"),)))
    parts.engine.book.observers.append(noting(parts.audit))
    async with serving(parts) as world:
        run_id = await started(world, by("ada", "dev"))
        [line] = await parts.audit.newest(1)
        assert (line.who, line.what, line.details) == (
            "ada",
            "start",
            {"run": run_id, "way": "API", "groups": ["dev"]},
        )
        parts.engine.schedule(
            "release_it", variables={}, user="corp/root", actor=actor_of_trigger("p/t", Way.TRIGGER)
        )
        [line] = await parts.audit.newest(1)
        assert (line.who, line.details["as"], line.details["way"]) == ("corp/root", "trigger/p/t", "trigger")
