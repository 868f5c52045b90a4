"""A world whose tasks are containers of an engine, with setups and teardowns, under servers that are killed.

What must hold beside all else: no container without a record, no task twice, and what was set up is torn down
or told as a leak.
"""

import asyncio
import random

from paas_pipelines.definitions.automation import EngineHook, ExecutorDefinition, Scope
from paas_pipelines.definitions.definition import Restart
from paas_pipelines.store.codec import records
from paas_pipelines.tasks.executing.containers import ContainerTasks, Opened
from paas_pipelines.tasks.executing.executions import KIND, Execution, Executions
from paas_pipelines.tasks.executing.executors import Executors
from paas_pipelines.tasks.executing.hooks import Hooks

from tests.paas_pipelines.worlds import killed_servers
from tests.paas_pipelines.worlds.engine_by_hand import defined, task
from tests.paas_pipelines.worlds.modelled_engine import Docked, Engine, HookProcesses

PLAIN = ExecutorDefinition(type="docker")


def prepared(scope, **more):
    """An executor that is set up and torn down."""
    env = {"SCOPE": str(scope)}
    return ExecutorDefinition(
        type="docker",
        name=f"by {scope}",
        scope=scope,
        setup=EngineHook(script=("setup",), env=env),
        teardown=EngineHook(script=("teardown",), env=env),
        **more,
    )


OF_TASK, OF_RUN = prepared(Scope.TASK), prepared(Scope.RUN)
SHAPES = (
    {"a": task(executor=PLAIN), "b": task("a", executor=PLAIN)},
    {"a": task(executor=OF_TASK), "b": task(executor=OF_TASK, restart=Restart.RETRY), "c": task("a", "b")},
    {"a": task(executor=OF_RUN), "b": task("a", executor=OF_RUN), "c": task(executor=PLAIN)},
    {"a": task(), "b": task("a", executor=OF_TASK, allow_failure=True), "c": task("b", executor=OF_RUN)},
)


class ContainedWorld(killed_servers.World):
    """One run from a seed."""

    def __init__(self, seed, **given):
        self.hooked = {}
        """What was set up, by run and task: begun, ready or down."""

        self.on_disk = []
        """The executions that a server would find now."""

        self.leaked = set()
        """Of which it was ever said that something of them is left."""

        self.engine = Engine(self)
        super().__init__(seed, automated=False, **given)

    def drawn_definitions(self):
        rng = self.rng
        return {
            name: defined(
                name,
                tasks=rng.choice(SHAPES),
                delay=rng.choice([0, 0, 3]),
                concurrency=rng.randint(1, 3),
                continue_running_tasks_after_failure=rng.random() < 0.5,
                retention_count=rng.choice([0, 0, 5]),
            )
            for name in ("p", "q", "r")
        }

    @property
    def is_calm(self):
        calm = self.mood
        return not (calm.kill_at_write or calm.life or calm.refusal)

    async def _lives(self):
        misfortunes = asyncio.create_task(self.engine.misfortunes())
        try:
            await super()._lives()
        finally:
            misfortunes.cancel()

    def _server(self, life):
        return ContainedServer(self, life)

    def detached(self, coroutine):
        """Something that outlives the server."""
        self.outside.add(asyncio.create_task(coroutine))

    def may_die(self, life):
        if not life.is_dead and self.rng.random() < self.mood.kill_at_write:
            self.counts["killed beside the engine"] += 1
            life.kill()

    # --- what is judged ------------------------------------------------------------------------------------

    def look_at_disk(self):
        super().look_at_disk()
        found = dict(self.disk.execute("SELECT key, text FROM record WHERE kind = ?", (KIND,)))
        self.on_disk = [*records(found, Execution, KIND)]
        self.leaked |= {(each.run_id, each.task) for each in self.on_disk if each.leak}

    def judge_creation(self, wanted):
        if not any(each.container == wanted.name for each in self.on_disk):
            self.complaints.append(f"container {wanted.name} was created without a record")

    def judge_setup(self, key):
        """It begins now."""
        known = [each for each in self.on_disk if (each.run_id, each.task) == key]
        if not any(each.set_up for each in known):
            self.complaints.append(f"a setup of {key} began before that was on the disk")
        if self.hooked.get(key, "down") != "down" and key not in self.leaked:
            self.complaints.append(f"{key} was set up twice")
        self.hooked[key] = "begun"

    def begins_in(self, labels):
        """A container has really begun with a task."""
        run_id, name = labels["paas-pipelines.run"], labels["paas-pipelines.task"]
        work = self.begins(run_id, name, None, int(labels["paas-pipelines.attempt"]))
        executor = self.stored[run_id].task(name).definition.executor
        key = run_id, name if executor.scope is Scope.TASK else ""
        if executor.setup and self.hooked.get(key) != "ready":
            self.complaints.append(f"{run_id} {name} began without its setup: {self.hooked.get(key)}")
        return work

    def _ended_well(self, run, name):
        """A task whose setup has failed is not begun; others may go on after it all the same."""
        definition = run.task(name).definition
        return (definition.allow_failure and definition.executor.setup) or super()._ended_well(run, name)

    def _broken(self):
        yield from super()._broken()
        for name, count in self.engine.starts.items():
            if count > 1:
                yield f"container {name} was started {count} times"
        told = {each.container for each in self.on_disk if each.leak}
        for name in self.engine.containers.keys() - told:
            if self.engine.containers[name].labels["paas-pipelines.run"] not in {
                run for run, _ in self.leaked
            }:
                yield f"container {name} is left, and nobody says so"
        for key, state in self.hooked.items():
            if state != "down" and key not in self.leaked:
                yield f"what was set up for {key} is {state}, and nobody says so"


class ContainedServer(killed_servers.Server):
    """With the executors of the real one; only the engine and the hooks' processes are models."""

    async def _places(self, store, jobs, here):
        world = self.world
        executions = await Executions.load(store.journal)
        opened = Opened(containers=Docked(world.engine, self.life), image="debian")

        async def open_it(_executor):
            return opened

        contained = ContainerTasks(
            opened=open_it,
            executions=executions,
            logs=store.logs,
            chance=random.Random(1),
        )
        hooks = Hooks(
            local=HookProcesses(world, self.life),
            contained=contained,
            executions=executions,
            book=store.runs,
            logs=store.logs,
        )
        self.executors = Executors(
            local=here,
            remote=jobs.place,
            plugged=here,
            contained=contained,
            hooks=hooks,
            executions=executions,
            book=store.runs,
        )
        self.paying = asyncio.create_task(self.executors.keep_paying())
        return lambda _task: self.executors

    async def _rests(self):
        self.paying.cancel()
        await asyncio.wait({self.paying})
        await self.executors.paid()
