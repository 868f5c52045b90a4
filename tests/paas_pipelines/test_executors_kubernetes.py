"""Tasks as Jobs of the sandbox's cluster: scripts, outputs and facts, and what outlives this process."""

import asyncio
import contextlib
import gc
import random
import uuid
from datetime import timedelta

import attrs
import pytest
from paas_pipelines.definitions.automation import ExecutorDefinition, OutputDefinition
from paas_pipelines.definitions.parameter import ParameterKind

from paas_runner.sandbox.kubernetes import (
    ClusterOptions,
    KubernetesServer,
    LocalRuntime,
    own_command,
)
from paas_runner.secret import Secret
from tests.places.conftest import RIGHTS
from tests.support.executor_world import executor_world, hooked, task


@pytest.fixture
async def cluster(tmp_path):
    options = ClusterOptions(scheduling_delay=timedelta(milliseconds=50))
    async with KubernetesServer(LocalRuntime({"debian": own_command}), options) as server:
        token = Secret(uuid.uuid4().hex)
        server.cluster.accounts.add("who runs pipelines", token, RIGHTS)
        server.write_kubeconfig(tmp_path / "kubeconfig", token=token)
        yield server


@pytest.fixture
def pod(tmp_path, cluster):
    settings = {"kubeconfig": str(tmp_path / "kubeconfig"), "image": "debian"}
    return ExecutorDefinition(type="kubernetes", name="pod", settings=settings)


@contextlib.asynccontextmanager
async def world_of(folder):
    async with executor_world(folder) as world:
        world.executors.contained.opened.__self__.pause = 0.05
        yield world


async def test_a_task_is_a_pod_whose_facts_are_recorded(tmp_path, cluster, pod):
    async with world_of(tmp_path) as world:
        outputs = {"changed": OutputDefinition(kind=ParameterKind.BOOLEAN), "text": OutputDefinition()}
        script = (
            'echo "hello $NAME"; printf end',
            'echo changed=true >> "$PIPELINE_OUTPUT"; printf "text=it is" >> "$PIPELINE_OUTPUT"',
        )
        run = await world.ran(
            build=task(*script, executor=pod, outputs=outputs, env={"NAME": "you"}),
            after=task(
                'echo "$OUTPUT_BUILD_TEXT $OUTPUT_BUILD_CHANGED"', executor=pod, depends_on=("build",)
            ),
        )
        build = run.task("build")
        assert (build.status, build.error) == ("done", "")
        assert build.outputs == {"changed": True, "text": "it is"}
        assert "hello you\n" in world.said(run.run_id, "build")
        assert "outputs" not in world.said(run.run_id, "build")
        assert world.said(run.run_id, "after").endswith("it is true\n")
        assert {"node", "pod", "image", "started", "finished"} <= set(build.facts)
        assert build.facts["exit_code"] == "0"
        assert not cluster.cluster.left
        assert not list(world.executors.executions)


async def test_exit_codes_timeouts_and_cancels(tmp_path, cluster, pod):
    async with world_of(tmp_path) as world:
        run_id = world.schedule(
            bad=task("echo before; exit 6; echo after", executor=pod),
            late=task("sleep 30", executor=pod, timeout=timedelta(seconds=1)),
            tolerant=task("exit 3", "echo second", executor=pod, allow_failure=True),
        )
        world.engine.definitions = {
            "p": attrs.evolve(world.engine.definitions["p"], continue_running_tasks_after_failure=True)
        }
        run_id = world.engine.schedule("p", variables={}).run_id
        run = await world.ended(run_id)
        assert run.task("bad").exit_code == 6
        assert "after\n" not in world.said(run_id, "bad")
        assert run.task("late").error == "it took longer than its timeout of 1 s"
        assert (run.task("tolerant").exit_code, run.task("tolerant").status) == (3, "done")
        assert world.said(run_id, "tolerant").endswith("second\n")

        run_id = world.schedule(build=task("echo begun; sleep 30", executor=pod))
        await world.says(run_id, "build", "begun")
        world.engine.cancel(run_id)
        assert (await world.ended(run_id)).task("build").status == "canceled"
        await world.nothing_owed()
        assert not cluster.cluster.left


async def test_what_cannot_begin_says_why(tmp_path, cluster, pod):
    async with world_of(tmp_path) as world:
        nowhere = attrs.evolve(pod, settings={"kubeconfig": "/nowhere", "image": "debian"})
        bare = attrs.evolve(pod, settings={**pod.settings, "image": ""})
        run_id = world.schedule(
            nowhere=task("true", executor=nowhere),
            bare=task("true", executor=bare),
            saving=task("true", executor=pod, save=("x",)),
        )
        run = await world.ended(run_id)
        errors = {each.name: each.error for each in run.tasks if each.errored}
        assert errors
        for name, error in errors.items():
            assert {
                "nowhere": "its executor cannot be used",
                "bare": "its executor has no image",
                "saving": 'save: nothing matches "x"',
            }[name] in error
        assert not cluster.cluster.left


async def test_a_pod_outlives_the_server_and_is_followed_up(tmp_path, cluster, pod):
    counted = tmp_path / "counted"
    script = f"echo one >> {counted}; echo begun; sleep 1; echo ended; exit 7"
    async with world_of(tmp_path) as world:
        run_id = world.schedule(
            build=task(script, executor=hooked("true", f"echo down >> {counted}", **given(pod)))
        )
        await world.says(run_id, "build", "begun")
    async with world_of(tmp_path) as world:
        run = await world.ended(run_id)
        assert run.task("build").exit_code == 7
        assert [line for line in world.said(run_id, "build").splitlines() if "e" in line][-2:] == [
            "begun",
            "ended",
        ]
        assert world.said(run_id, "build").count("begun") == 2  # its command is shown, too
        assert counted.read_text() == "one\ndown\n"
        assert not cluster.cluster.left
        assert not list(world.executors.executions)


def given(executor):
    return {"type": executor.type, "name": executor.name, "settings": executor.settings}


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of those cut off
async def test_killed_at_any_moment_it_runs_once_and_nothing_is_left(tmp_path, cluster, pod):
    chance = random.Random(5)
    counted = tmp_path / "counted"
    async with world_of(tmp_path) as world:
        run_id = world.schedule(build=task(f"echo one >> {counted}; sleep 0.3; exit 3", executor=pod))
        await asyncio.sleep(0.02)
    for _ in range(40):
        async with world_of(tmp_path) as world:
            await asyncio.sleep(chance.random() * 0.15)
            if world.engine.book.run(run_id).ended:
                break
    async with world_of(tmp_path) as world:
        assert (await world.ended(run_id)).task("build").exit_code == 3
        await world.nothing_owed()
    assert counted.read_text() == "one\n"
    assert not cluster.cluster.left
    gc.collect()  # here, and not in the next test
