"""Authors who mean harm and operators who are unlucky: everything ends with words, and nothing is left."""

import asyncio

import attrs
import pytest
from paas_pipelines.definitions.automation import OutputDefinition
from paas_pipelines.tasks.executing import containers
from paas_pipelines.tasks.executing.container_script import Shown
from paas_pipelines.tasks.outputs import MOST_BYTES, OutputsError, lines_of

from paas_runner.sandbox.faults import Answer
from paas_runner.sandbox.kubernetes import PODS
from paas_runner.sandbox.kubernetes.deletion import delete
from tests.paas_pipelines.test_executors_kubernetes import cluster, pod, world_of  # noqa: F401 - fixtures
from tests.support.executor_world import task


def test_outputs_that_have_no_end_take_no_memory():
    """The mark is no secret: a task that writes it, and then whatever it likes, is within the bound."""
    shown = Shown("mark")
    list(shown.passed(b"mark"))
    for _ in range(1000):
        assert not list(shown.passed(b"x" * 100_000))
    assert len(shown.outputs) <= 2 * MOST_BYTES + 2
    with pytest.raises(OutputsError, match="more than 64 KiB"):
        lines_of(shown.outputs)


async def test_a_pod_that_others_delete_ends_its_task_with_words(tmp_path, cluster, pod):  # noqa: F811
    async with world_of(tmp_path) as world:
        run_id = world.schedule(build=task("echo begun; sleep 60", executor=pod))
        await world.says(run_id, "build", "begun\n")
        [found] = cluster.cluster.objects(PODS)
        delete(cluster.cluster.storage, found, {"gracePeriodSeconds": 0})
        run = await world.ended(run_id)
        assert run.task("build").errored
        assert "removed" in run.task("build").error or "nobody knows how it ended" in run.task("build").error
        await world.nothing_owed()
        assert not cluster.cluster.left


async def test_a_token_that_expires_in_the_middle_is_waited_for(tmp_path, cluster, pod):  # noqa: F811
    accounts = cluster.cluster.accounts._accounts
    async with world_of(tmp_path) as world:
        run_id = world.schedule(build=task("echo begun; sleep 1; echo ended; exit 3", executor=pod))
        await world.says(run_id, "build", "begun\n")
        token, account = next(
            (key, each) for key, each in accounts.items() if each.name == "who runs pipelines"
        )
        del accounts[token]
        await asyncio.sleep(1.5)
        assert not world.engine.book.run(run_id).ended
        accounts[token] = account
        assert (await world.ended(run_id)).task("build").exit_code == 3
        await world.nothing_owed()
        assert not cluster.cluster.left


async def test_a_container_that_was_left_is_looked_for_at_the_next_start(tmp_path, cluster, pod):  # noqa: F811
    accounts = cluster.cluster.accounts._accounts
    async with world_of(tmp_path) as world:
        contained = attrs.evolve(world.executors.contained, patience_seconds=0.5)
        world.executors.contained = contained
        run_id = world.schedule(build=task("echo begun; sleep 60", executor=pod))
        await world.says(run_id, "build", "begun\n")
        token, account = next(
            (key, each) for key, each in accounts.items() if each.name == "who runs pipelines"
        )
        del accounts[token]
        world.engine.cancel(run_id)
        async with asyncio.timeout(60):
            while not world.executors.executions.leaks():
                await asyncio.sleep(0.02)
        [leak] = world.executors.executions.leaks()
        assert "the credentials are refused" in leak.leak
        accounts[token] = account
    assert cluster.cluster.left
    async with world_of(tmp_path) as world:
        await world.nothing_owed()
        assert not cluster.cluster.left


async def test_a_log_whose_end_does_not_come_has_no_outputs_and_says_so(tmp_path, cluster, pod, monkeypatch):  # noqa: F811
    monkeypatch.setattr(containers, "_REST_OF_LINES_SECONDS", 0.5)
    async with world_of(tmp_path) as world:
        cluster.faults.add(Answer(500), path="**/log")
        outputs = {"changed": OutputDefinition(has_default=True, default=False)}
        script = 'echo changed=true >> "$PIPELINE_OUTPUT"'
        run = await world.ran(build=task(script, executor=pod, outputs=outputs))
        assert "the end of its log, which has its outputs, did not come" in run.task("build").error
        await world.nothing_owed()
        assert not cluster.cluster.left


async def test_an_image_that_is_nowhere_says_so(tmp_path, cluster, pod):  # noqa: F811
    nowhere = attrs.evolve(pod, settings={**pod.settings, "image": "paas-runner-test/is-nowhere:1"})
    async with world_of(tmp_path) as world:
        opened = await world.executors.contained.opened(nowhere)
        opened.containers._start_within = opened.containers._start_within / 900
        run = await world.ran(build=task("true", executor=nowhere))
        assert "is-nowhere" in run.task("build").error
        await world.nothing_owed()
        assert not cluster.cluster.left
