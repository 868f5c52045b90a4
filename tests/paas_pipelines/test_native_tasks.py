"""Tasks that are code of the server: conditions, other runs, messages, and what ends a run early (§1)."""

import asyncio
from datetime import timedelta
from pathlib import Path

import attrs
import pytest
from paas_pipelines.definitions import loading
from paas_pipelines.definitions.automation import (
    Approval,
    Call,
    End,
    Match,
    Message,
    Outcome,
    OutputDefinition,
    TaskType,
)
from paas_pipelines.definitions.definition import TaskDefinition
from paas_pipelines.definitions.parameter import Parameter, ParameterKind
from paas_pipelines.runs.approving import DecisionRefusedError
from paas_pipelines.runs.run import Origin, TaskEnd
from paas_pipelines.tasks.local import LocalPlace
from paas_pipelines.tasks.native import MOST_CHAINED

from paas_runner.testing.virtual_time import run_virtual
from tests.support.conducted import Stage, World, pipeline, task

EXAMPLES = Path(__file__).parents[2] / "pipelines" / "examples"
OK = TaskEnd()
BOOLEAN = {"changed": OutputDefinition(kind=ParameterKind.BOOLEAN)}
TOLERANT = {"on_failure": Outcome.CONTINUE}


def native(type_, *needs, **keys):
    keys = {**(TOLERANT if type_ not in ("approval", "call") else {}), **keys}
    return TaskDefinition(type=TaskType(type_), depends_on=needs, **keys)


def compare(source, *needs, **keys):
    return native("compare", *needs, compare=source, **keys)


def call(name, *needs, params=(), params_from=(), wait=True, **keys):
    calls = Call(pipeline=name, params=dict(params), params_from=dict(params_from), wait=wait)
    return native("call", *needs, call=calls, **keys)


@attrs.define
class Told:
    """Notices, by their keys."""

    by_key: dict[str, dict[str, str]] = attrs.field(factory=dict)

    def tell(self, to, *, key, **more):
        self.by_key.setdefault(key, {"to": to, **more})


def played(folder, *definitions, ends=(), seconds=20.0, variables=None, told=None, then=None):
    """The world after so long, and the run of the first definition."""
    stage = Stage({"plan": OK, "only": OK, "work": OK, "after": OK, "beside": OK, **dict(ends)})
    world = World(folder, *definitions, stage=stage)
    if told is not None:
        world.conductor._native = attrs.evolve(world.conductor._native, notices=told)

    async def main():
        run = world.engine.schedule(definitions[0].name, variables=variables or {}, user="ann")
        async with world.running():
            await asyncio.sleep(seconds)
            if then:
                await then(world, run)
        return world.now(run)

    return world, run_virtual(main())


def statuses(run):
    return {each.name: str(each.status) for each in run.tasks}


# --- conditions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("changed", "begun"), [(True, "blocked"), (False, "done")])
def test_an_approval_is_asked_for_only_if_something_has_changed(tmp_path: Path, changed, begun) -> None:
    """V023, V024: skipped is as good as approved for what comes after."""
    tasks = {
        "plan": task(outputs=BOOLEAN),
        "ok": native("approval", "plan", when="outputs.plan.changed", approval=Approval(text="go?")),
        "after": task("ok"),
    }
    end = TaskEnd(outputs={"changed": changed})
    world, run = played(tmp_path, pipeline(tasks=tasks), ends={"plan": end})
    assert run.task("ok").status == ("blocked" if changed else "skipped")
    assert ("after" in world.stage.names) is not changed


@pytest.mark.parametrize(
    ("when", "status", "error"),
    [
        ('params.environment == "prod"', "done", ""),
        ('params.environment == "nonprod"', "skipped", ""),
        ('status.plan == "success" && exit_code.plan == 0', "done", ""),
        ('stdout.plan.contains("plan was here")', "done", ""),
        ('run.user == "ann" && trigger.name == ""', "done", ""),
        ("outputs.plan.changed", "error", 'when: "outputs.plan.changed" has no value'),
    ],
)
def test_a_condition_sees_what_came_before_and_an_error_in_it_fails_the_task(
    tmp_path: Path, when, status, error
) -> None:
    tasks = {"plan": task(outputs=BOOLEAN), "work": task("plan", when=when)}
    params = (Parameter(name="environment"),)
    definition = pipeline(tasks=tasks, params=params, params_are_checked=True)
    _, run = played(tmp_path, definition, variables={"environment": "prod"})
    assert run.task("work").status == status
    assert run.task("work").error.startswith(error[:6])
    assert run.errored is bool(error)


def test_a_point_where_others_meet_may_have_a_condition(tmp_path: Path) -> None:
    tasks = {"plan": task(), "point": TaskDefinition(depends_on=("plan",), when='status.plan == "success"')}
    _, run = played(tmp_path, pipeline(tasks=tasks))
    assert statuses(run) == {"plan": "done", "point": "done"}


@pytest.mark.parametrize(
    ("pattern", "outputs", "status"),
    [
        ("([a-z]+) was (h)", {"matched": True, "groups": ["plan", "h"]}, "done"),
        ("nothing", {"matched": False, "groups": []}, "done"),
    ],
)
def test_a_match_tells_its_groups(tmp_path: Path, pattern, outputs, status) -> None:
    tasks = {
        "plan": task(),
        "found": native("match", "plan", match=Match(text="stdout.plan", pattern=pattern)),
    }
    _, run = played(tmp_path, pipeline(tasks=tasks))
    assert dict(run.task("found").outputs) == outputs
    assert run.task("found").status == status
    assert not run.errored


@pytest.mark.parametrize("on_failure", Outcome)
def test_a_comparison_that_is_false_is_a_failure_and_what_follows_is_told_by_its_key(
    tmp_path: Path, on_failure
) -> None:
    tasks = {
        "plan": task(),
        "same": compare("exit_code.plan == 1", "plan", on_failure=on_failure),
        "after": task("same", when='status.same == "failed"'),
    }
    _, run = played(tmp_path, pipeline(tasks=tasks))
    assert dict(run.task("same").outputs) == {"result": False}
    expected = {
        Outcome.CONTINUE: ("done", "done", False),
        Outcome.SUCCEED: ("done", "skipped", False),
        Outcome.FAIL: ("error", "canceled", True),
    }
    assert (*list(statuses(run).values())[1:], run.errored) == expected[on_failure]
    assert run.completed
    assert run.task("same").error == "it is not so that exit_code.plan == 1"


# --- what ends a run early ---------------------------------------------------------------------------------


def test_a_success_that_ends_the_run_skips_the_rest_and_lets_end_what_runs(tmp_path: Path) -> None:
    tasks = {
        "before": task(),
        "plan": task(on_success=Outcome.SUCCEED),
        "beside": task("before"),
        "after": task("plan"),
        "ok": native("approval", approval=Approval()),
    }
    world, run = played(tmp_path, pipeline(tasks=tasks), ends={"before": OK, "beside": TaskEnd(exit_code=3)})
    ended = {"before": "done", "plan": "done", "beside": "done", "after": "skipped", "ok": "skipped"}
    assert statuses(run) == ended
    assert (run.completed, run.errored, run.succeeded_by) == (True, False, "plan")
    assert world.stage.stopped == []


@pytest.mark.parametrize(
    ("definition", "errored"),
    [
        (native("end", end=End.SUCCESS), False),
        (native("end", end=End.FAILURE), True),
        (task(on_success=Outcome.FAIL), True),
        (task(on_success=Outcome.SUCCEED), False),
    ],
)
def test_a_task_may_end_its_run_either_way(tmp_path: Path, definition, errored) -> None:
    _, run = played(tmp_path, pipeline(tasks={"plan": definition, "after": task("plan")}))
    assert run.errored is errored
    assert statuses(run)["after"] == ("canceled" if errored else "skipped")
    assert run.completed


def test_a_failure_that_counts_as_done_keeps_its_text(tmp_path: Path) -> None:
    tasks = {"plan": task(**TOLERANT), "after": task("plan", when='status.plan == "failed"')}
    _, run = played(tmp_path, pipeline(tasks=tasks), ends={"plan": TaskEnd(error="no such file")})
    assert statuses(run) == {"plan": "done", "after": "done"}
    assert (run.task("plan").error, run.errored) == ("no such file", False)


def test_a_run_that_takes_too_long_has_failed_and_what_runs_is_stopped(tmp_path: Path) -> None:
    tasks = {"long": task(), "after": task("long")}
    definition = pipeline(tasks=tasks, timeout=timedelta(seconds=10))
    world, run = played(tmp_path, definition)
    assert (run.completed, run.errored, run.canceled, run.last_error) == (True, True, False, "timeout")
    assert world.stage.stopped == ["long"]
    assert run.end - run.start < timedelta(seconds=11)


def test_the_time_in_which_people_think_is_not_the_runs(tmp_path: Path) -> None:
    tasks = {"ok": native("approval", approval=Approval()), "long": task("ok")}

    async def decides(world, run):
        assert statuses(world.now(run))["ok"] == "blocked"
        digest = world.now(run).task("ok").asked.digest
        world.engine.decide(run.run_id, "ok", user="bob", approved=True, digest=digest)
        await asyncio.sleep(8)
        assert not world.now(run).broken
        await asyncio.sleep(3)

    definition = pipeline(tasks=tasks, timeout=timedelta(seconds=10))
    _, run = played(tmp_path, definition, seconds=3600, then=decides)
    assert run.last_error == "timeout"


# --- messages ----------------------------------------------------------------------------------------------


def test_a_message_is_told_once_with_what_came_before_in_it(tmp_path: Path) -> None:
    message = Message(to="slack", channel="#ops", text="{{ .color }}: {{ .outputs.plan.changed }}")
    tasks = {"plan": task(outputs=BOOLEAN), "tell": native("message", "plan", message=message)}
    end, told = TaskEnd(outputs={"changed": True}), Told()
    _, run = played(
        tmp_path, pipeline(tasks=tasks), ends={"plan": end}, variables={"color": "red"}, told=told
    )
    [(key, notice)] = told.by_key.items()
    assert key == f"message/{run.run_id}/tell/1"
    assert notice == {
        "to": "slack",
        "channel": "#ops",
        "text": "red: true",
        "subject": "one: tell",
        "link": "",
    }
    assert run.completed


def test_without_a_notifier_a_message_fails_nothing_and_the_log_says_so(tmp_path: Path) -> None:
    tasks = {"tell": native("message", message=Message(to="slack", text="x"))}
    world, run = played(tmp_path, pipeline(tasks=tasks))
    assert not run.errored
    log = world.logs.path(run.run_id, "tell", "stderr").read_text()
    assert log == "no notifier is configured: slack is not told\n"


# --- other runs --------------------------------------------------------------------------------------------

CALLEE = pipeline(
    "two",
    tasks={"work": task(outputs={"url": OutputDefinition()})},
    params=(Parameter(name="env", required=True), Parameter(name="n", kind=ParameterKind.NUMBER)),
    params_are_checked=True,
    outputs={"address": "outputs.work.url"},
)
CALLS = {
    "plan": task(),
    "sub": call("two", "plan", params={"n": 3}, params_from={"env": "run.user"}),
    "after": task("sub", when='outputs.sub.address == "there"'),
}
WORKS = {"work": TaskEnd(outputs={"url": "there"})}


def called(world):
    return list(world.engine.book.runs_of("two"))


def test_a_call_is_a_run_of_the_other_pipeline_and_has_its_outputs(tmp_path: Path) -> None:
    world, run = played(tmp_path, pipeline(tasks=CALLS), CALLEE, ends=WORKS)
    [callee] = called(world)
    assert run.completed
    assert not run.errored
    assert dict(run.task("sub").outputs) == {"address": "there"}
    assert run.task("sub").called == callee.run_id
    assert (callee.user, callee.variables) == ("ann", {"n": 3, "env": "ann"})
    assert callee.origin == Origin(caller_run=run.run_id, caller_task="sub", root_user="ann", chain=1)
    assert statuses(run)["after"] == "done"


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ({"work": TaskEnd(exit_code=4)}, "has failed: exit status 4"),
        (WORKS, ""),
        ({"work": OK}, 'has failed: output "address": '),
    ],
)
def test_a_call_ends_as_what_it_called(tmp_path: Path, ends, error) -> None:
    world, run = played(tmp_path, pipeline(tasks=CALLS), CALLEE, ends=ends)
    [callee] = called(world)
    assert run.last_error.startswith(f"run {callee.run_id} {error}" if error else "")
    assert run.errored is bool(error)


def test_what_is_refused_fails_the_call(tmp_path: Path) -> None:
    _, run = played(tmp_path, pipeline(tasks={"sub": call("gone")}))
    assert run.last_error == 'the call of pipeline "gone" was refused: pipeline "gone" is not defined'
    _, run = played(tmp_path, pipeline(tasks={"sub": call("one")}))
    assert run.last_error == 'the call of pipeline "one" was refused: call cycle: one -> one'


def test_no_more_runs_than_that_start_one_another(tmp_path: Path) -> None:
    chain = [
        pipeline(f"p{number}", tasks={"sub": call(f"p{number + 1}")}) for number in range(MOST_CHAINED + 2)
    ]
    world, run = played(tmp_path, *chain)
    assert run.errored
    assert len(world.engine.book) == MOST_CHAINED + 1


def test_a_call_waits_in_the_list_of_what_it_calls_and_a_cancel_goes_down(tmp_path: Path) -> None:
    busy = attrs.evolve(CALLEE, tasks={"long": task()}, outputs={})

    async def cancels(world, run):
        first = called(world)[0]
        world.engine.schedule("two", variables={"env": "x"})
        assert first.active
        world.engine.cancel(run.run_id)
        await asyncio.sleep(5)
        assert world.engine.book.run(first.run_id).canceled

    world, run = played(tmp_path, pipeline(tasks=CALLS), busy, then=cancels)
    assert statuses(run) == {"plan": "done", "sub": "canceled", "after": "canceled"}
    assert run.canceled
    assert world.stage.stopped == ["long"]


def test_a_call_that_does_not_wait_goes_on_at_once(tmp_path: Path) -> None:
    tasks = {"sub": call("two", params={"env": "x"}, wait=False), "after": task("sub")}
    busy = attrs.evolve(CALLEE, tasks={"long": task()}, outputs={})
    world, run = played(tmp_path, pipeline(tasks=tasks), busy)
    assert run.completed
    assert called(world)[0].active


def test_a_call_with_a_timeout_cancels_what_takes_too_long(tmp_path: Path) -> None:
    tasks = {"sub": call("two", params={"env": "x"}, timeout=timedelta(seconds=9))}
    busy = attrs.evolve(CALLEE, tasks={"long": task()}, outputs={})
    world, run = played(tmp_path, pipeline(tasks=tasks), busy)
    assert run.last_error == "it took longer than its timeout of 9 s"
    assert called(world)[0].canceled


def test_an_orderly_end_waits_neither_for_people_nor_for_calls_that_wait_for_them(tmp_path: Path) -> None:
    asks = attrs.evolve(CALLEE, tasks={"ok": native("approval", approval=Approval())}, outputs={})

    async def main():
        world = World(tmp_path, pipeline(tasks={"sub": call("two", params={"env": "x"})}), asks)
        run = world.schedule()
        async with world.running() as ended:
            await asyncio.sleep(5)
            world.conductor.close()
            await asyncio.sleep(1)
            assert ended.done()
        assert world.statuses(run) == {"sub": "running"}
        [callee] = called(world)
        assert [one.name for _, one in world.engine.blocked()] == ["ok"]
        digest = callee.task("ok").asked.digest
        with pytest.raises(DecisionRefusedError, match="Server is shutting down") as refused:
            world.engine.decide(callee.run_id, "ok", user="bob", approved=True, digest=digest)
        assert refused.value.status == 503
        world.engine.accepting, world.engine.stopped = True, False
        world.engine.recover()
        world.conduct()
        async with world.running():
            await asyncio.sleep(1)
            world.engine.decide(callee.run_id, "ok", user="bob", approved=True, digest=digest)
            await asyncio.sleep(1)
        assert world.now(run).completed
        assert not world.now(run).errored
        assert len(called(world)) == 1

    run_virtual(main())


@pytest.mark.parametrize("begun", [True, False])
def test_an_orderly_end_leaves_calls_that_have_not_begun_to_the_next_start(tmp_path: Path, begun) -> None:
    """Whether what they call waits in its list, or the end comes before the call."""

    async def main():
        caller = pipeline(tasks={"plan": task(), "sub": call("two", "plan", params={"env": "x"})})
        busy = pipeline("two", tasks={"long": task()}, params=CALLEE.params)
        world = World(tmp_path, caller, busy, stage=Stage({"plan": OK}))
        run = world.schedule()
        if begun:
            world.engine.schedule("two", variables={"env": "y"})
        async with world.running() as ended:
            await asyncio.sleep(5 if begun else 0.5)
            world.conductor.close()
            await asyncio.sleep(5)
            if begun:
                first = called(world)[-1]
                world.engine.cancel(first.run_id)
                await asyncio.sleep(5)
                assert [each.active for each in called(world)] == [True, False]
                return
            assert ended.done()
        assert world.statuses(run)["sub"] == "running"
        world.engine.accepting, world.engine.stopped = True, False
        world.engine.recover()
        world.conduct()
        async with world.running():
            await asyncio.sleep(5)
        assert [each.active for each in called(world)] == [True]

    run_virtual(main())


def test_a_call_learns_of_an_end_although_ended_runs_are_not_kept(tmp_path: Path) -> None:
    brief = attrs.evolve(CALLEE, retention_period=timedelta(microseconds=1))
    world, run = played(tmp_path, pipeline(tasks=CALLS), brief, ends=WORKS)
    assert not run.errored
    assert called(world) == []


# --- palvella's use cases ----------------------------------------------------------------------------------


def example(file, name):
    return loading.load(str(EXAMPLES), file)[name]


@pytest.mark.parametrize(
    ("environment", "changed", "ends"),
    [
        ("nonprod", "", "done skipped done skipped skipped skipped"),
        ("nonprod", "nonprod-plan", "done blocked waiting waiting waiting waiting"),
        ("prod", "prod-plan", "done skipped done done blocked waiting"),
        ("prod", "", "done skipped done done skipped done"),
    ],
)
def test_terraform_asks_only_for_what_has_changed(tmp_path, environment, changed, ends) -> None:
    """V020–V028 in virtual time; `test_terraform_with_approvals.py` plays it with real programs."""
    plans = {name: TaskEnd(outputs={"changed": name == changed}) for name in ("nonprod-plan", "prod-plan")}
    given = {"environment": environment}
    definition = example("terraform.yml", "deploy-terraform")
    stage = {**plans, "nonprod-apply": OK, "prod-apply": OK}
    _, run = played(tmp_path, definition, ends=stage, variables=given)
    assert " ".join(statuses(run).values()) == ends


@pytest.mark.parametrize(("version", "messages"), [("3.18.0", 0), ("3.19.1", 1), ("", 0)])
def test_alpine_is_looked_at_and_somebody_told_if_it_is_another_one(tmp_path, version, messages) -> None:
    """V029 without its composer: a real command, its output matched and compared."""
    definition = example("automation.yml", "alpine-check")
    here = TaskDefinition(script=(f"echo 'Welcome to Alpine Linux v{version}'",))
    definition = attrs.evolve(definition, tasks={**definition.tasks, "os": here})
    told = Told()

    async def main():
        world = World(tmp_path, definition)
        local = LocalPlace({"PATH": "/usr/bin:/bin"})
        world.conductor._place_of = lambda _: local
        world.conductor._native = attrs.evolve(world.conductor._native, notices=told)
        run = world.schedule("alpine-check")
        async with world.running():
            async with asyncio.timeout(60):
                while not world.now(run).ended:
                    await asyncio.sleep(0.01)
        return world.now(run)

    run = asyncio.run(main())
    assert len(told.by_key) == messages
    assert run.errored is (version != "3.18.0")
    last = {"3.18.0": "skipped", "3.19.1": "error", "": "canceled"}
    assert run.task("fail").status == last[version]
