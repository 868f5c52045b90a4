"""Setup and teardown as containers of a cluster or of an engine: on record before they begin, never left."""

import asyncio
import gc
import random

import attrs
import pytest
from paas_pipelines.definitions.automation import EngineHook, ExecutorDefinition
from paas_pipelines.definitions.definition import Restart
from paas_pipelines.definitions.loading import examine

from tests.paas_pipelines.test_executors_kubernetes import cluster, pod, world_of  # noqa: F401 - fixtures
from tests.support.executor_world import containers_of, executor_world, task

SETUP = 'echo "of $WHOM" >> {log}; echo "PLACE=over there" >> "$PIPELINE_OUTPUT"'
TEARDOWN = 'echo "torn down $PLACE" >> {log}'


def hooked_by(executor, log, setup=SETUP, teardown=TEARDOWN):
    """A shell whose setup and teardown run by that executor."""
    by = {"executor": executor.name, "type": executor.type, "settings": executor.settings}
    hooks = {
        what: EngineHook(script=(script.format(log=log),), env={"WHOM": "ours"}, **by)
        for what, script in (("setup", setup), ("teardown", teardown))
    }
    return ExecutorDefinition(name="around", **hooks)


def lines(log):
    return log.read_text().splitlines() if log.exists() else []


def test_a_hook_names_an_executor_of_the_file(tmp_path):
    file = tmp_path / "pipelines.yml"
    file.write_text("""
executors:
  box: {type: docker, image: debian, env: {A: box, B: box}}
  far: {type: runner, tags: [x]}
  here:
    setup: {executor: box, script: [up], env: {B: hook}}
    teardown: {script: [down]}
  bad: {setup: {executor: far, script: [up]}}
  worse: {setup: {executor: nowhere, script: [up]}}
pipelines:
  p: {tasks: {a: {executor: here, script: [x]}}}
""")
    examined = examine(tmp_path, "pipelines.yml")
    setup = examined.definitions["p"].tasks["a"].executor.setup
    assert (setup.executor, setup.type, setup.settings) == ("box", "docker", {"image": "debian"})
    assert setup.env == {"A": "box", "B": "hook"}
    far, nowhere = [each.text for each in examined.complaints]
    assert 'setup: executor "far" is of type runner: shell, docker and kubernetes are possible' in far
    assert 'setup: unknown executor "nowhere"' in nowhere


async def test_setup_and_teardown_are_pods_and_a_task_has_what_was_told(tmp_path, cluster, pod):  # noqa: F811
    log = tmp_path / "log"
    async with world_of(tmp_path) as world:
        run = await world.ran(build=task('echo "<$PLACE>"', executor=hooked_by(pod, log)))
        assert run.task("build").error == ""
        assert "<over there>\n" in world.said(run.run_id, "build")
        assert lines(log) == ["of ours", "torn down over there"]
        assert len({each.pod for each in cluster.cluster.ledger.runs}) == 2
        await world.nothing_owed()
        assert not cluster.cluster.left


async def test_a_pod_that_fails_to_set_up_says_so(tmp_path, cluster, pod):  # noqa: F811
    log = tmp_path / "log"
    async with world_of(tmp_path) as world:
        run = await world.ran(build=task("true", executor=hooked_by(pod, log, setup="exit 4")))
        assert run.task("build").error == "setup: exit status 4"
        wrong = hooked_by(pod, log, setup='echo oops >> "$PIPELINE_OUTPUT"')
        run = await world.ran(build=task("true", executor=wrong))
        assert run.task("build").error == "setup: line 1 of its outputs is no `name=value`"
        assert lines(log) == ["torn down ", "torn down "]
        await world.nothing_owed()
        assert not cluster.cluster.left


async def test_a_pod_that_cannot_tear_down_is_a_leak_that_is_told(tmp_path, cluster, pod):  # noqa: F811
    log = tmp_path / "log"
    async with world_of(tmp_path) as world:
        world.executors.hooks = attrs.evolve(world.executors.hooks, between_tries_seconds=0.01)
        executor = hooked_by(pod, log, teardown="echo try >> {log}; exit 7")
        assert (await world.ran(build=task("true", executor=executor))).task("build").status == "done"
        assert lines(log) == ["of ours", "try", "try", "try"]
        [leak] = world.executors.executions
        assert leak.leak == "executor around was not torn down: exit status 7"
        assert not cluster.cluster.left


async def test_a_setup_that_outlives_the_server_goes_before_it_begins_anew(tmp_path, cluster, pod):  # noqa: F811
    log, again = tmp_path / "log", tmp_path / "again"
    once = f"[ -e {again} ] || {{{{ touch {again}; echo half >> {{log}}; echo begun; sleep 60; }}}}; "
    async with world_of(tmp_path) as world:
        executor = hooked_by(pod, log, setup=once + SETUP)
        run_id = world.schedule(build=task("true", executor=executor, restart=Restart.RETRY))
        await world.says(run_id, "build", "begun\n")
        [known] = [each for each in world.executors.executions if each.hook]
        assert known.container
    async with world_of(tmp_path) as world:
        assert (await world.ended(run_id)).task("build").status == "done"
        await world.nothing_owed()
        assert lines(log) == ["half", "torn down ", "of ours", "torn down over there"]
        assert not cluster.cluster.left


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of those cut off
async def test_killed_at_any_moment_what_was_set_up_is_torn_down(tmp_path, cluster, pod):  # noqa: F811
    chance, log = random.Random(3), tmp_path / "log"
    executor = hooked_by(pod, log, setup="echo up >> {log}", teardown="echo down >> {log}")
    told = "executor around was not torn down: this server has ended each time before it was over"
    async with world_of(tmp_path) as world:
        run_id = world.schedule(build=task("sleep 0.2", executor=executor, restart=Restart.RETRY))
        await asyncio.sleep(0.02)
    for _ in range(60):
        async with world_of(tmp_path) as world:
            await asyncio.sleep(chance.random() * 0.3)
            if world.engine.book.run(run_id).ended:
                break
    async with world_of(tmp_path) as world:
        await world.ended(run_id)
        async with asyncio.timeout(60):
            while leaks := [each.leak for each in world.executors.executions]:
                if all(leaks):
                    break
                await asyncio.sleep(0.02)
    if leaks:  # each try was cut off
        assert set(leaks) == {told}
    else:
        assert lines(log)[-1:] in ([], ["down"])
    assert not cluster.cluster.left
    gc.collect()  # here, and not in the next test


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_setup_and_teardown_are_containers_of_an_engine(tmp_path, engine):
    shared = tmp_path / "shared"
    shared.mkdir()
    volumes = [{"name": str(shared), "path": "/shared"}]
    settings = {"host": engine.url, "image": engine.base, "volumes": volumes}
    box = ExecutorDefinition(type="docker", name="box", settings=settings)
    async with executor_world(tmp_path) as world:
        run = await world.ran(build=task('echo "<$PLACE>"', executor=hooked_by(box, "/shared/log")))
        assert "\n<over there>\n" in world.said(run.run_id, "build")
        assert lines(shared / "log") == ["of ours", "torn down over there"]
        await world.nothing_owed()
    with engine.client() as client:
        assert [each["Names"] for each in containers_of(client, tmp_path / "data")] == []
