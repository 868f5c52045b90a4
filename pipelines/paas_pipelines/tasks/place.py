"""What a place where tasks run has to do: the port between the records and the world."""

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import attrs

from paas_pipelines.definitions.definition import NOTHING, Environment
from paas_pipelines.runs.run import Run, Task, TaskEnd
from paas_pipelines.tasks import given, outputs
from paas_runner.secret import Secret


@attrs.frozen(kw_only=True)
class TaskOrder:
    """One task that is to be brought to its end; repeated with the same `run` and `task` after a crash.

    It is given only when the record that says `running` is on the disk.
    """

    run: Run
    task: Task
    variables: Mapping[str, Any] = attrs.field(factory=dict)
    """The run's, and those that tell an `on_error` task of the failure."""

    env: Environment = NOTHING
    """Beside the server's own environment: the pipeline's, then the executor's, the outputs of the tasks
    before, TASK_NAME, and last the task's (§4)."""

    secrets: Mapping[str, Secret] = attrs.field(factory=dict)
    """Variables from credentials, over `env`: never in arguments, texts or records."""

    secret_files: Mapping[str, Secret] = attrs.field(factory=dict)
    """Variables that have the path of a file of mode 0600 with this, for as long as the task lasts."""

    hidden_secrets: tuple[Secret, ...] = ()
    """What its executor uses for it."""

    hook: str = ""
    """What it is for an executor, before or after the work: the record of its own container is called so."""

    no_secrets: str = ""
    """Why it has none, of one that had them and is brought again after a crash."""

    @property
    def sets_up(self) -> bool:
        """Whether whatever it tells is wanted."""
        return self.hook.rpartition("#")[2].startswith("setup")

    @property
    def all_secrets(self) -> tuple[Secret, ...]:
        """Whatever nothing that is kept may contain."""
        return (*self.secrets.values(), *self.secret_files.values(), *self.hidden_secrets)


class Output(Protocol):
    """Where a task's output goes; it is written before the calls return, and never fails the task."""

    def stdout(self, data: bytes) -> None: ...

    def stderr(self, data: bytes) -> None: ...


class Place(Protocol):
    """One way to run tasks."""

    async def run(self, order: TaskOrder, output: Output, stop: asyncio.Event) -> TaskEnd:
        """Bring the task to its end, and tell how it ended.

        With `stop` set it is to end early; it has ended, with all its processes, when this returns. If this
        is cancelled itself, the server ends at once: what would outlive it must be found again by the next
        call with the same order. An unexpected exception is a task that failed; the text is told.
        """


async def before(stop: asyncio.Event, awaited: asyncio.Future[Any]) -> bool:
    """Whether it comes before `stop` is set; if not, it is still to come."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({awaited, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    return awaited.done()


def order_of(run: Run, task: Task, told: Mapping[str, Any] | None = None) -> TaskOrder:
    """The order for a task; `told` are further variables."""
    executor = task.definition.executor
    env = {
        **run.env,
        **(executor.env if executor else {}),
        **dict(given.environment(run, task)),
        **dict(outputs.variables(run, task)),
    }
    return TaskOrder(
        run=run,
        task=task,
        variables=given.template_variables(run, task, told),
        env={**env, "TASK_NAME": task.name, **task.definition.env},
    )
