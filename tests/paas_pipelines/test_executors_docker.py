"""Tasks as containers of a real engine: what they are given, what they leave, what outlives the server."""

import asyncio
import hashlib
import json
import random
from datetime import timedelta

import attrs
import pytest
from paas_pipelines.definitions.automation import ExecutorDefinition, OutputDefinition
from paas_pipelines.definitions.parameter import ParameterKind
from paas_pipelines.store.logs import Stream
from paas_pipelines.tasks.place import order_of

from paas_runner.secret import Secret
from tests.support.executor_world import containers_of, executor_world, hooked, task

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def box(engine):
    return ExecutorDefinition(type="docker", name="box", settings={"host": engine.url, "image": engine.base})


@pytest.fixture(autouse=True)
def nothing_is_left(engine, tmp_path):
    yield
    with engine.client() as client:
        assert [each["Names"] for each in containers_of(client, tmp_path / "data")] == []


async def test_a_task_is_a_container_with_outputs_files_and_facts(tmp_path, box):
    outputs = {"changed": OutputDefinition(kind=ParameterKind.BOOLEAN)}
    async with executor_world(tmp_path) as world:
        run = await world.ran(
            local=task("echo local > x; chmod 755 x", save=("x",)),
            build=task(
                'echo "hello $NAME"; echo oops >&2; cat x; stat -c %a x; pwd',
                "mkdir -p out; echo remote > out/plan; ln -s plan out/link",
                'echo "changed=false" >> "$PIPELINE_OUTPUT"',
                executor=box,
                env={"NAME": "you"},
                outputs=outputs,
                save=("out",),
                load=("local",),
                depends_on=("local",),
            ),
            after=task(
                'cat out/plan out/link; echo "$OUTPUT_BUILD_CHANGED"', load=("build",), depends_on=("build",)
            ),
        )
        build = run.task("build")
        assert (build.status, build.error, build.outputs) == ("done", "", {"changed": False})
        said = world.said(run.run_id, "build")
        for text in ("hello you\n", "local\n", "777\n", "/pipeline-task/files\n"):
            assert text in said
        assert world.said(run.run_id, "build", Stream.STDERR) == "oops\n"
        assert world.said(run.run_id, "after") == "remote\nremote\nfalse\n"
        assert build.facts["container"]
        assert not list(world.executors.executions)


async def test_ends_of_containers(tmp_path, box):
    async with executor_world(tmp_path) as world:
        run = await world.ran(
            seconds=120,
            tolerant=task("exit 3", "echo second", executor=box, allow_failure=True),
            python=task(
                "import os; print('it is', 6 * 7)",
                executor=box,
                shell=("python3",),
                depends_on=("tolerant",),
            ),
            late=task("sleep 60", executor=box, timeout=timedelta(seconds=1), depends_on=("python",)),
        )
        assert (run.task("tolerant").status, run.task("tolerant").exit_code) == ("done", 3)
        assert world.said(run.run_id, "python") == "it is 42\n"
        assert run.task("late").error == "it took longer than its timeout of 1 s"

        run_id = world.schedule(build=task("echo begun; sleep 60", executor=box))
        await world.says(run_id, "build", "begun\n")
        world.engine.cancel(run_id)
        assert (await world.ended(run_id)).task("build").status == "canceled"
        await world.nothing_owed()


async def test_credentials_are_in_the_container_and_not_in_its_description(tmp_path, box, engine):
    async with executor_world(tmp_path) as world:
        script = 'echo "$KEY" | sha256sum; stat -c %a "$FILE"; sha256sum < "$FILE"; echo begun; sleep 2'
        world.engine.definitions = {}
        run_id = world.schedule(first=task("sleep 30", executor=box), build=task(script, executor=box))
        run = world.engine.book.run(run_id)
        order = attrs.evolve(
            order_of(run, run.task("build")),
            secrets={"KEY": Secret("canary'1")},
            secret_files={"FILE": Secret("canary2")},
        )
        world.engine.cancel(run_id)
        await world.ended(run_id)
        with world.store.logs.output(run_id, "secret") as output:
            working = asyncio.create_task(world.executors.run(order, output, asyncio.Event()))
            await world.says(run_id, "secret", "begun\n")
            with engine.client() as client:
                [found] = containers_of(client, tmp_path / "data")
                assert "canary" not in json.dumps(client.inspect_container(found["Id"]))
            end = await working
        assert end.exit_code == 0
        said = world.said(run_id, "secret")
        assert hashlib.sha256(b"canary'1\n").hexdigest() in said
        assert "600\n" in said
        assert hashlib.sha256(b"canary2").hexdigest() in said
        assert "canary" not in str(await world.store.journal.stored("execution"))


async def test_a_container_outlives_the_server_and_is_followed_up(tmp_path, box):
    script = (
        "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; echo error $i >&2; sleep 0.3; done",
        "echo a > plan; exit 0",
    )
    executor = hooked("true", "echo down >> log", type="docker", name="box", settings=box.settings)
    async with executor_world(tmp_path) as world:
        run_id = world.schedule(build=task(*script, executor=executor, save=("plan",)))
        await world.says(run_id, "build", "line 2\n")
    async with executor_world(tmp_path) as world:
        await world.says(run_id, "build", "line 5\n")
    async with executor_world(tmp_path) as world:
        run = await world.ended(run_id)
        assert (run.task("build").status, run.task("build").saved.count) == ("done", 1)
        lines = [line for line in world.said(run_id, "build").splitlines() if line.startswith("line ")]
        assert lines == [f"line {number}" for number in range(1, 10)]
        errors = world.said(run_id, "build", Stream.STDERR).splitlines()
        assert errors == [f"error {number}" for number in range(1, 10)]
        assert (tmp_path / "base" / "log").read_text() == "down\n"


async def test_killed_at_any_moment_it_runs_once_and_nothing_is_left(tmp_path, box):
    chance = random.Random(5)
    counted = tmp_path / "counted"
    counted.mkdir()
    mounted = {**box.settings, "volumes": [{"name": str(counted), "path": "/counted"}]}
    executor = attrs.evolve(box, settings=mounted)
    async with executor_world(tmp_path) as world:
        run_id = world.schedule(build=task("echo one >> /counted/file; sleep 0.5; exit 3", executor=executor))
        await asyncio.sleep(0.02)
    for _ in range(40):
        async with executor_world(tmp_path) as world:
            await asyncio.sleep(chance.random() * 0.3)
            if world.engine.book.run(run_id).ended:
                break
    async with executor_world(tmp_path) as world:
        assert (await world.ended(run_id)).task("build").exit_code == 3
        await world.nothing_owed()
    assert (counted / "file").read_text() == "one\n"


class Halting:
    """An engine whose caller stands still before its call of that number, or of that word."""

    def __init__(self, engine, before):
        self._engine = engine
        self._before = before
        self.halted = asyncio.Event()
        self.calls = 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def call(self, op, function):
        await self._passed(op)
        return await self._engine.call(op, function)

    async def shielded_call(self, op, function):
        await self._passed(op)
        return await self._engine.shielded_call(op, function)

    async def _passed(self, op):
        self.calls += 1
        if self._before in (self.calls, op.split()[0]):
            self.halted.set()
            await asyncio.Event().wait()


async def killed_before(world, run_id, executor, what):
    """The next life ends there, or with the run; what it has called."""
    place = (await world.executors.contained.opened(executor)).containers
    halting = place._engine = Halting(place._engine, what)
    ended = asyncio.ensure_future(world.ended(run_id))
    await asyncio.wait({ended, asyncio.ensure_future(halting.halted.wait())}, return_when="FIRST_COMPLETED")
    ended.cancel()
    return halting.calls


async def test_killed_before_its_start_and_again_while_it_is_made_anew_it_runs_once(tmp_path, box):
    counted = tmp_path / "counted"
    counted.mkdir()
    mounted = {**box.settings, "volumes": [{"name": str(counted), "path": "/counted"}]}
    executor = attrs.evolve(box, settings=mounted)
    before, calls = 0, 0
    while before <= calls:
        before += 1
        async with executor_world(tmp_path) as world:
            run_id = world.schedule(build=task(f"echo one >> /counted/{before}; exit 3", executor=executor))
            await killed_before(world, run_id, executor, "start")
        async with executor_world(tmp_path) as world:
            calls = await killed_before(world, run_id, executor, before)
        async with executor_world(tmp_path) as world:
            assert (await world.ended(run_id)).task("build").exit_code == 3, before
            await world.nothing_owed()
        assert (counted / str(before)).read_text() == "one\n"


async def test_a_container_that_somebody_has_removed_is_not_run_again(tmp_path, box, engine):
    async with executor_world(tmp_path) as world:
        run_id = world.schedule(build=task("echo begun; sleep 60", executor=box))
        await world.says(run_id, "build", "begun\n")
    with engine.client() as client:
        for each in containers_of(client, tmp_path / "data"):
            client.remove_container(each["Id"], force=True, v=True)
    async with executor_world(tmp_path) as world:
        assert "is gone, and nobody knows how it ended" in (await world.ended(run_id)).task("build").error


async def test_an_image_that_is_nowhere_says_so(tmp_path, box):
    executor = attrs.evolve(box, settings={**box.settings, "image": "paas-runner-test/is-nowhere:1"})
    async with executor_world(tmp_path) as world:
        world.executors.contained = attrs.evolve(world.executors.contained, patience_seconds=1.0)
        run = await world.ran(build=task("true", executor=executor), seconds=200)
        assert "is-nowhere" in run.task("build").error


async def test_settings_of_an_executor(tmp_path, box, engine):
    folder = tmp_path / "docker"
    meta = folder / "contexts" / "meta" / hashlib.sha256(b"there").hexdigest()
    meta.mkdir(parents=True)
    (meta / "meta.json").write_text(
        json.dumps({"Name": "there", "Endpoints": {"docker": {"Host": engine.url}}})
    )
    settings = {
        "context": "there",
        "image": engine.base,
        "config.json": {"proxies": {"default": {"httpProxy": "http://proxy.example:3128", "noProxy": "x"}}},
    }
    async with executor_world(tmp_path, {"DOCKER_CONFIG": str(folder)}) as world:
        executor = ExecutorDefinition(type="docker", settings=settings, env={"A": "b"})
        lost = attrs.evolve(executor, settings={**settings, "context": "nowhere"})
        run = await world.ran(build=task('echo "$HTTP_PROXY $http_proxy $no_proxy $A"', executor=executor))
        proxy = "http://proxy.example:3128"
        assert f"{proxy} {proxy} x b\n" in world.said(run.run_id, "build")
        run = await world.ran(build=task("true", executor=lost))
        assert 'there is no Docker context "nowhere"' in run.task("build").error
