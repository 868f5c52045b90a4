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

ON_ERROR = "on_error"
"""The name of the task that a failed run ends with; no other task may have it where there is one."""

Environment: TypeAlias = Mapping[str, str]
NOTHING: Environment = MappingProxyType({})


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
    """One task; `runner`, `image`, `timeout` and `restart` are keys of ours."""

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

    @property
    def elsewhere(self) -> bool:
        """Whether it is a job for a runner, instead of a process of this machine."""
        return self.runner is not None or self.image is not None


@attrs.frozen(kw_only=True)
class OnError:
    """What runs once after a run has failed."""

    script: tuple[str, ...] = ()
    env: Environment = NOTHING


class ParameterKind(enum.StrEnum):
    """What the values of a variable are, in JSON's words."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"


@attrs.frozen(kw_only=True)
class Parameter:
    """A variable that a run may be given; a key of ours, from which start forms are made."""

    name: str
    kind: ParameterKind = ParameterKind.STRING
    description: str = ""
    default: Any = None
    choices: tuple[Any, ...] = ()
    required: bool = False


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
