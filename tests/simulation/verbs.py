"""Who acts for which job: no two processes at a time, but for the one verb that was begun before.

A verb is one action that is more than a look, with all its calls and retries. It begins only under a lease
that is good by the database's clock; it may end later, when another process has the section.
"""

import contextlib
from collections.abc import Iterator

from paas_runner.dispatch.effects import Effects
from paas_runner.dispatch.tenure import HARMLESS
from tests.simulation.freezing import Freezable


class Verbs:
    """All that go on at a moment in one world."""

    def __init__(self, world) -> None:
        self._world = world
        self._going_on: dict[object, dict[object, object]] = {}

    @contextlib.contextmanager
    def observed(self) -> Iterator[None]:
        """Inside, each action of each process is seen; and a process may be stopped right before it acts."""
        perform = Effects.perform

        async def performed(effects, action, job):
            if action in HARMLESS:
                return await perform(effects, action, job)
            with self._verb(Freezable.running(), action, job):
                await Freezable.running().point()
                return await perform(effects, action, job)

        Effects.perform = performed
        try:
            yield
        finally:
            Effects.perform = perform

    @contextlib.contextmanager
    def _verb(self, life, action, job) -> Iterator[None]:
        row = self._world.table.rows.get(job.key.runner)
        acting = self._going_on.setdefault(job.key, {})
        self._world.chaos.counts["verbs"] += 1
        if row is None or row.holder not in life.holders or row.until <= self._world.seconds():
            self._world.accuse(f"{action} of job {job.key} by {life.member.name} without a lease: {row}")
        if life in acting:
            self._world.accuse(f"{action} of job {job.key} by {life.member.name} besides {acting[life]}")
        if [other for other in acting if not other.dead]:
            self._world.chaos.counts["verb beside the one of a process that lost the section"] += 1
        acting[life] = action
        try:
            yield
        finally:
            acting.pop(life, None)
