"""Executions in memory and virtual time, for tests of machine and interpreter."""

import asyncio
import random

import attrs
from paas_workflows.definition.checking import examined
from paas_workflows.machine.execution import begun
from paas_workflows.machine.ids import Ids
from paas_workflows.notifying import Notified
from paas_workflows.running.interpreter import Interpreter
from paas_workflows.running.steps import Steps
from paas_workflows.store.records import from_text, to_text

from paas_runner.secret import Secret
from paas_runner.testing.virtual_time import run_virtual, virtual_now
from tests.support.memory_place import KilledError


def file_of(text):
    return examined("file.yaml", text.encode()).usable


class World:
    """A place, a disk and those who are told: all that outlives the program."""

    def __init__(self, place, text, *, above=None, log=None, **changed):
        self.place = place
        self.file = file_of(text)
        self.above = above or {}
        self.log = log or {}
        self.changed = changed
        self.disk = None
        self.writes = 0
        self.killed_at_write = None  # (number, whether it is written before)
        self.told = []
        self.cancel_after = None

    async def save(self, execution):
        number, self.writes = self.writes, self.writes + 1
        if self.killed_at_write == (number, False):
            raise KilledError
        self.disk = to_text(execution)
        if self.killed_at_write == (number, True):
            raise KilledError

    async def tell(self, job):
        self.told.append(job)
        return Notified(status="sent")

    def _variables(self, env):
        return {name: Secret(value) for name, value in {**env, **self.above}.items()}

    async def _program(self):
        loop = asyncio.get_running_loop()
        ids = Ids(virtual_now, random.Random(loop.time()))
        cancel = loop.create_future()
        if self.cancel_after is not None:
            loop.call_later(self.cancel_after, lambda: cancel.done() or cancel.set_result("SIGTERM"))
        steps = Steps(
            place=self.place,
            variables=self._variables,
            volumes=(),
            log=self.log,
            now=virtual_now,
            chance=random.Random(1),
        )
        if self.disk is None:
            execution = begun(id=ids.fresh(), file=self.file, moment=virtual_now())
            execution = attrs.evolve(execution, **self.changed)
            await self.save(execution)
        else:
            execution = from_text(self.disk, type(begun(id="", file=self.file, moment=virtual_now())), "disk")
        interpreter = Interpreter(steps=steps, save=self.save, tell=self.tell, ids=ids, cancel=cancel)
        return await interpreter.run(execution)

    async def _lives(self, downtime):
        while True:
            try:
                return await self._program()
            except KilledError:
                self.place.killed_at = self.killed_at_write = None
                await asyncio.sleep(downtime)

    def run(self, downtime=0.0):
        """To its end, through however many deaths of the program."""
        return run_virtual(self._lives(downtime))


def path_of(execution):
    return [(each.step, str(each.result), each.rc) for each in execution.results]
