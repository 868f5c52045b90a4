"""Who gets a pipeline's slots when one is free, who gives one up, and who keeps one from others."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import attrs

from paas_pipelines.definitions.definition import Definition
from paas_pipelines.runs import approving, stepping
from paas_pipelines.runs.book import RunBook
from paas_pipelines.runs.run import Run


@attrs.frozen
class Slots:
    """Those of all pipelines; changed records go to `save`."""

    _book: RunBook
    _save: Callable[[Run], None]

    def dequeue(self, definitions: Mapping[str, Definition], now: datetime, *pipelines: str) -> bool:
        """Let go on and start what may, in order; whether anything did.

        First those that had released their slot and are decided. A run without scripts has its slot for no
        time at all.
        """
        changed = False
        for name in {*pipelines, *self._book.pipelines_released()}:
            changed = self._resume(name, definitions.get(name), now) or changed
        for name in pipelines:
            definition, waiting = definitions.get(name), self._book.waiting(name)
            while definition and (run := waiting.first_startable(now)):
                if self._book.slots_in_use(name) >= definition.concurrency:
                    break
                self._save(stepping.started(run, now))
                changed = True
        return changed

    def _resume(self, pipeline: str, definition: Definition | None, now: datetime) -> bool:
        changed = False
        for run in self._book.released(pipeline):
            if definition and self._book.slots_in_use(pipeline) >= definition.concurrency:
                break
            after = stepping.advanced(run, now, has_slot=True)
            if after != run:
                changed = True
                self._save(after)
        return changed

    def yielding(self, pipeline: str, partition: str) -> Sequence[Run]:
        """Those that a newer run of the partition cancels."""
        return [
            run
            for run in self._book.blocked(pipeline)
            if run.partition == partition and approving.yields(run)
        ]

    def holder(self, pipeline: str) -> Run | None:
        """Who keeps those that wait from starting, if it is a run that waits for people."""
        return next((run for run in self._book.blocked(pipeline) if not approving.has_released(run)), None)
