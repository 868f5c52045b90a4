"""What has been begun outside for a task or a run, and is still to be taken away: records in the journal.

Promises: a record is on the disk before anything of it is begun, and leaves it only when nothing is left
outside; whoever was killed in between finds it at the next start. What could not be taken away is a leak.
"""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from paas_pipelines.definitions.automation import ExecutorDefinition
from paas_pipelines.runs.run import TaskEnd
from paas_pipelines.store.codec import records, to_text
from paas_pipelines.store.journal import Journal
from paas_runner.store.protocol import StoreError

KIND = "execution"
MOST_TRIES = 3
"""To tear something down; then it is a leak."""

_AGAIN_SECONDS = 1.0


@attrs.frozen(kw_only=True)
class Execution:
    """One executor at work; of scope `run` it has no task."""

    run_id: str
    pipeline: str = ""
    task: str = ""
    attempt: int = 0
    hook: str = ""
    """Its name where it is the container of a setup or a teardown; before `#` is what that is for."""

    executor: ExecutorDefinition = ExecutorDefinition()
    set_up: bool = False
    """Whether its setup was begun, so that it is to be torn down."""

    ready: bool = False
    """Whether its setup has ended well."""

    variables: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """The outputs of its setup."""

    container: str = ""
    """Its name, before it is created; empty where there is nothing to be removed."""

    started: bool = False
    """Whether it was created, and is about to be started: then it is never created again."""

    log_start: Mapping[str, int] = attrs.field(factory=dict)
    """How many bytes each of the task's logs had before."""

    end: TaskEnd | None = None
    """How its container has ended, which then goes."""

    tries: int = 0
    leak: str = ""
    """Why something of it is still there although we have given up."""

    @property
    def key(self) -> str:
        """In the journal."""
        if self.hook:
            return self.hook
        if self.task:
            return f"{self.run_id}/{self.attempt}/{self.task}"
        return f"{self.run_id}/run/{self.executor.name or self.executor.type}"


class Executions:
    """All of a server; made by `load`."""

    def __init__(self, journal: Journal, stored: Mapping[str, Execution] | None = None) -> None:
        self._journal = journal
        self._records = dict(stored or {})

    @classmethod
    async def load(cls, journal: Journal) -> "Executions":
        """Raises `StoreError`."""
        found = records(await journal.stored(KIND), Execution, KIND)
        return cls(journal, {each.key: cls._tried_again(each) for each in found})

    @staticmethod
    def _tried_again(found: Execution) -> Execution:
        """A container that was left is looked for once more: its engine may be there again."""
        return attrs.evolve(found, leak="") if found.container else found

    def __iter__(self) -> Iterator[Execution]:
        return iter(tuple(self._records.values()))

    def get(self, wanted: Execution) -> Execution:
        """What is known of it; the same if nothing is."""
        return self._records.get(wanted.key, wanted)

    def find(self, key: str) -> Execution | None:
        """What is known by that key."""
        return self._records.get(key)

    def of(self, run_id: str) -> list[Execution]:
        """Those of a run."""
        return [each for each in self if each.run_id == run_id] if self._records else []

    def leaks(self) -> list[Execution]:
        """What is left outside, for people to look after."""
        return [each for each in self if each.leak]

    def forget_if_done(self, execution: Execution) -> None:
        """Where nothing of it is outside, and nothing is to be told."""
        if not (execution.container or execution.set_up or execution.leak):
            self.forget(execution)

    def put(self, execution: Execution, **changes: Any) -> Execution:
        """Note it, with changes; on the disk after the journal's next `flushed`."""
        execution = attrs.evolve(execution, **changes)
        self._records[execution.key] = execution
        self._journal.put(KIND, execution.key, to_text(execution))
        return execution

    async def noted(self, execution: Execution, **changes: Any) -> Execution:
        """The same, on the disk, however long that takes."""
        execution = self.put(execution, **changes)
        while True:
            try:
                await self._journal.flushed()
            except StoreError:  # the journal tells of it
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return execution

    def forget(self, execution: Execution) -> None:
        """Nothing of it is left."""
        if self._records.pop(execution.key, None) is not None:
            self._journal.put(KIND, execution.key, None)
