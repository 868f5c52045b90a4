"""Setup and teardown of executors: around a task or a run, whatever becomes of it and of the server."""

import asyncio

import attrs
import pytest
from paas_pipelines.definitions.automation import EngineHook, FromCredential
from paas_pipelines.definitions.definition import Definition, Restart
from paas_pipelines.definitions.parameter import Parameter, ParameterKind

from tests.support.executor_world import executor_world, hooked, task

SETUP = 'echo set-up >> "$PWD/log"; echo "PLACE=over there" >> "$PIPELINE_OUTPUT"'
TEARDOWN = 'echo "torn down $PLACE" >> "$PWD/log"'


def log_of(folder):
    path = folder / "base" / "log"
    return path.read_text().splitlines() if path.exists() else []


async def test_the_outputs_of_a_setup_are_variables_of_its_task(tmp_path):
    async with executor_world(tmp_path) as world:
        executor = hooked(SETUP, TEARDOWN, env={"OF": "the executor"})
        run = await world.ran(build=task('echo "<$PLACE> <$OF>"; echo work >> log', executor=executor))
        assert run.task("build").status == "done"
        assert world.said(run.run_id, "build") == "<over there> <the executor>\n"
        assert log_of(tmp_path) == ["set-up", "work", "torn down over there"]
        assert not list(world.executors.executions)


async def test_teardown_changes_no_result_and_comes_after_failures_too(tmp_path):
    async with executor_world(tmp_path) as world:
        world.executors.hooks = attrs.evolve(world.executors.hooks, between_tries_seconds=0.01)
        run = await world.ran(
            bad=task("exit 3", executor=hooked(SETUP, TEARDOWN)),
            good=task("true", executor=hooked("true", "echo no >&2; exit 1"), depends_on=()),
        )
        assert run.task("bad").exit_code == 3
        assert log_of(tmp_path) == ["set-up", "torn down over there"]


async def test_a_setup_that_fails_fails_the_task_and_is_torn_down(tmp_path):
    async with executor_world(tmp_path) as world:
        run = await world.ran(build=task("echo never", executor=hooked("exit 4", TEARDOWN)))
        assert run.task("build").error == "setup: exit status 4"
        assert log_of(tmp_path) == ["torn down "]
        assert "never" not in world.said(run.run_id, "build")


async def test_what_cannot_be_torn_down_is_a_leak_after_three_tries(tmp_path):
    async with executor_world(tmp_path) as world:
        world.executors.hooks = attrs.evolve(world.executors.hooks, between_tries_seconds=0.01)
        executor = hooked("true", "echo try >> log; exit 7", name="pod")
        run = await world.ran(build=task("true", executor=executor))
        assert run.task("build").status == "done"
        assert log_of(tmp_path) == ["try", "try", "try"]
        [leak] = world.executors.executions.leaks()
        assert leak.leak == "executor pod was not torn down: exit status 7"
    async with executor_world(tmp_path) as world:
        await asyncio.sleep(0.1)
        assert [each.leak for each in world.executors.executions.leaks()] == [leak.leak]
        assert log_of(tmp_path) == ["try", "try", "try"]


async def test_for_a_run_it_is_set_up_once_and_torn_down_at_the_end(tmp_path):
    async with executor_world(tmp_path) as world:
        executor = hooked(SETUP, TEARDOWN, scope="run", name="pod")
        run = await world.ran(
            one=task('echo "one $PLACE" >> log', executor=executor),
            two=task('echo "two $PLACE" >> log', executor=executor, depends_on=("one",)),
            other=task("exit 5", executor=executor, depends_on=("two",)),
        )
        await world.nothing_owed()
        assert run.task("other").exit_code == 5
        assert log_of(tmp_path) == ["set-up", "one over there", "two over there", "torn down over there"]


async def test_tasks_side_by_side_share_one_setup(tmp_path):
    async with executor_world(tmp_path) as world:
        executor = hooked(f"sleep 0.3; {SETUP}", TEARDOWN, scope="run", name="pod")
        await world.ran(**{f"task-{number}": task("true", executor=executor) for number in range(4)})
        await world.nothing_owed()
        assert log_of(tmp_path) == ["set-up", "torn down over there"]


async def test_after_a_crash_what_was_set_up_is_torn_down(tmp_path):
    async with executor_world(tmp_path) as world:
        run_id = world.schedule(build=task("echo begun; sleep 60", executor=hooked(SETUP, TEARDOWN)))
        await world.says(run_id, "build", "begun")
    assert log_of(tmp_path) == ["set-up"]
    async with executor_world(tmp_path) as world:
        assert (await world.ended(run_id)).canceled
        await world.nothing_owed()
        assert log_of(tmp_path) == ["set-up", "torn down over there"]


async def test_a_crash_in_the_setup_is_torn_down_before_it_begins_anew(tmp_path):
    setup = "[ -e again ] || { touch again; echo half >> log; echo begun; sleep 60; }; " + SETUP
    async with executor_world(tmp_path) as world:
        executor = hooked(setup, TEARDOWN)
        run_id = world.schedule(build=task("echo work >> log", executor=executor, restart=Restart.RETRY))
        await world.says(run_id, "build", "begun")
    async with executor_world(tmp_path) as world:
        assert (await world.ended(run_id)).task("build").status == "done"
        await world.nothing_owed()
        assert log_of(tmp_path) == ["half", "torn down ", "set-up", "work", "torn down over there"]


@pytest.mark.parametrize("scope", ["task", "run"])
async def test_a_teardown_sees_what_somebody_has_written_as_a_variable_alone(tmp_path, scope):
    async with executor_world(tmp_path) as world:
        world.executors.hooks = attrs.evolve(world.executors.hooks, between_tries_seconds=0.01)
        teardown = EngineHook(script=('echo "$PARAM_X" >> log', "echo {{ .x }} >> log"))
        executor = attrs.evolve(hooked("true", scope=scope, name="e"), teardown=teardown)
        params = (Parameter(name="x", kind=ParameterKind.STRING, required=True),)
        definition = Definition(
            name="p",
            source="x",
            tasks={"build": task("true", executor=executor)},
            params=params,
            params_are_checked=True,
        )
        world.engine.definitions = {"p": definition}
        run = world.engine.schedule("p", variables={"x": "$(touch pwned)"})
        await world.ended(run.run_id)
        for _ in range(200):
            if world.executors.executions.leaks():
                break
            await asyncio.sleep(0.02)
        assert set(log_of(tmp_path)) == {"$(touch pwned)"}
        assert not (tmp_path / "base" / "pwned").exists()


async def test_what_a_setup_tells_is_no_credential_and_a_teardown_has_it_after_a_crash_too(tmp_path):
    executor = hooked(
        'echo "LENGTH=${#KEY}" >> "$PIPELINE_OUTPUT"',
        'echo "$LENGTH ${#KEY}" >> log; echo "key $KEY"',
        secrets={"KEY": FromCredential(name="key")},
    )
    leaking = attrs.evolve(
        executor, setup=EngineHook(script=('echo "KEY2=x-$KEY" >> "$PIPELINE_OUTPUT"',)), teardown=None
    )
    async with executor_world(tmp_path, canary="canary-of-a-key") as world:
        run = await world.ran(build=task("true", executor=leaking))
        assert run.task("build").error == 'setup: output "KEY2" contains a credential'
        run_id = world.schedule(build=task("echo begun; sleep 60", executor=executor))
        await world.says(run_id, "build", "begun")
    async with executor_world(tmp_path, canary="canary-of-a-key") as world:
        assert (await world.ended(run_id)).canceled
        await world.nothing_owed()
        assert log_of(tmp_path) == ["15 15"]
        assert "key [MASKED]" in world.said(run_id, "build")
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or b"canary" not in path.read_bytes(), path


async def test_a_canceled_task_is_torn_down(tmp_path):
    async with executor_world(tmp_path) as world:
        run_id = world.schedule(build=task("echo begun; sleep 60", executor=hooked(SETUP, TEARDOWN)))
        await world.says(run_id, "build", "begun")
        world.engine.cancel(run_id)
        assert (await world.ended(run_id)).task("build").status == "canceled"
        assert log_of(tmp_path) == ["set-up", "torn down over there"]
