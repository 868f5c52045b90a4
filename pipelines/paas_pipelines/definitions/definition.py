"""A pipeline as its definition has it: frozen values, complete and valid (spec prunner-api.md §1)."""

import enum
import heapq
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import Any, TypeAlias

import attrs

from paas_pipelines.definitions.automation import (
    Approval,
    Call,
    Checkout,
    End,
    ExecutorDefinition,
    FromCredential,
    Match,
    Message,
    Notify,
    Outcome,
    OutputDefinition,
    PluginUse,
    TaskType,
    Trigger,
)
from paas_pipelines.definitions.parameter import Parameter

HOLD = "_untrusted"
"""The name of the approval that comes before all tasks of a run that nobody has vouched for."""

ON_ERROR = "on_error"
"""The name of the task that a failed run ends with; no other task may have it where there is one."""

Environment: TypeAlias = Mapping[str, str]
NOTHING: Environment = MappingProxyType({})

BUILT_IN = frozenset({"shell", "local", "docker", "kubernetes", "runner"})
"""Types of executors; all others are those of plug-ins."""


class QueueStrategy(enum.StrEnum):
    """What becomes of a run for which the wait list has no place."""

    APPEND = "append"
    REPLACE = "replace"
    PARTITIONED_REPLACE = "partitioned_replace"


class Restart(enum.StrEnum):
    """What becomes of a task of this machine that died together with the server; a key of ours."""

    NEVER = "never"  # its run is canceled, as prunner does
    RETRY = "retry"


@attrs.frozen(kw_only=True)
class TaskDefinition:
    """One task; what is not prunner's are keys of ours, all names in it resolved when the file was read."""

    script: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    allow_failure: bool = False
    env: Environment = NOTHING
    restart: Restart = Restart.NEVER
    runner: str | None = None
    """The tag or the description of the runners that may take it."""

    image: str | None = None
    """The container image in which its script runs."""

    timeout: timedelta | None = None
    type: TaskType = TaskType.RUN
    when: str | None = None
    """An expression: where it is false when its turn has come, the task is skipped."""

    shell: tuple[str, ...] = ()
    """The program that reads its script, with arguments, where it is not prunner's shell."""

    args: Mapping[str, Any] = NOTHING
    """What the action that it uses was given."""

    executor: ExecutorDefinition | None = None
    requires_worker: tuple[str, ...] = ()
    """Labels, each a name or name=value, all of which a worker must have."""

    secrets: Mapping[str, FromCredential] = attrs.field(factory=dict)
    """Variables of its environment that are credentials."""

    outputs: Mapping[str, OutputDefinition] = attrs.field(factory=dict)
    save: tuple[str, ...] = ()
    load: tuple[str, ...] = ()
    checkout: Checkout | None = None
    on_success: Outcome = Outcome.CONTINUE
    on_failure: Outcome = Outcome.FAIL
    approval: Approval | None = None
    call: Call | None = None
    match: Match | None = None
    compare: str | None = None
    """An expression; false is failure."""

    message: Message | None = None
    end: End | None = None
    plugin: PluginUse | None = None
    """What it is, where its type is not built in."""

    @property
    def native(self) -> bool:
        """Whether it is code of this server: nothing is started for it, and it outlives the process."""
        return self.type is not TaskType.RUN

    @property
    def elsewhere(self) -> bool:
        """Whether it is a job for a runner, instead of a process of this machine."""
        by_executor = self.executor is not None and self.executor.type == "runner"
        return self.runner is not None or by_executor or (self.image is not None and not self.contained)

    @property
    def contained(self) -> bool:
        """Whether it is a container that this server has started."""
        return self.executor is not None and self.executor.type in ("docker", "kubernetes")

    @property
    def plugged(self) -> bool:
        """Whether its executor is not built in."""
        return self.executor is not None and self.executor.type not in BUILT_IN

    @property
    def kept(self) -> bool:
        """Whether something outside may go on, begun by an earlier life of this server."""
        return self.contained or self.plugged

    @property
    def outlives(self) -> bool:
        """Whether it goes on when this server is killed."""
        return self.elsewhere or self.kept or self.native


@attrs.frozen(kw_only=True)
class OnError:
    """What runs once after a run has failed."""

    script: tuple[str, ...] = ()
    env: Environment = NOTHING


@attrs.frozen(kw_only=True)
class Definition:
    """One pipeline; what is absent has its default. `source` is the file that declares it."""

    name: str
    source: str
    concurrency: int = 1
    queue_limit: int | None = None
    queue_strategy: QueueStrategy = QueueStrategy.APPEND
    queue_partition_limit: int | None = None
    start_delay: timedelta = timedelta()
    continue_running_tasks_after_failure: bool = False
    retention_period: timedelta = timedelta()
    retention_count: int = 0
    env: Environment = NOTHING
    tasks: Mapping[str, TaskDefinition] = attrs.field(factory=dict)
    on_error: OnError | None = None
    params: tuple[Parameter, ...] = ()
    params_are_checked: bool = False
    """Whether a run is given these and no others; else they are for start forms alone."""

    description: str = ""
    triggers: Mapping[str, Trigger] = attrs.field(factory=dict)
    timeout: timedelta | None = None
    """Of a run, without the time for which it is blocked."""

    outputs: Mapping[str, str] = NOTHING
    """Expressions over its tasks, for those who have called it."""

    notify: tuple[Notify, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """The names of its tasks, each after those it depends on; among equals by name (§3.2)."""
        return in_order({name: task.depends_on for name, task in self.tasks.items()})


def in_order(depends_on: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """Topological, by Kahn's algorithm with a sorted queue; what is on a cycle or behind one is left out."""
    graph = TopologicalSorter(depends_on)
    with suppress(CycleError):  # it goes as far as cycles let it
        graph.prepare()
    free = sorted(depends_on.keys() & graph.get_ready())  # none that is only depended on
    found: list[str] = []
    while free:
        found.append(done := heapq.heappop(free))
        graph.done(done)
        for name in graph.get_ready():
            heapq.heappush(free, name)
    return tuple(found)
