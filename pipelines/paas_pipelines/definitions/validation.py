"""What a definition must not be, although each key by itself is right (spec prunner-api.md §1.2).

The rules of prunner come first, in its order and words; then ours.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

from paas_pipelines.definitions.decoding import KeyPath
from paas_pipelines.definitions.definition import ON_ERROR, Definition, QueueStrategy, TaskDefinition
from paas_pipelines.definitions.scalars import quoted

Fault: TypeAlias = tuple[KeyPath, str]
"""The key that is at fault, within the pipeline, and the reason."""

_LONGEST_NAME = 255 - len("-stdout.log")  # bytes of a file's
_WAIT_LIST = frozenset(
    {"concurrency", "queue_limit", "queue_strategy", "queue_partition_limit", "start_delay"}
)
_STARVES = (
    "with a single place in the wait list, a run in its start_delay is replaced by the next: "
    "while they come faster than that, none starts; two places avoid it"
)


def faults(definition: Definition, unknown: Collection[str] = ()) -> Iterator[Fault]:
    """All reasons against it, the one that prunner would tell first; none that hangs on an `unknown` key."""
    if _WAIT_LIST.isdisjoint(unknown):
        yield from _wait_list(definition)
    if "tasks" in unknown:
        return
    yield from _dependencies(definition.tasks)
    if definition.on_error is not None and ON_ERROR in definition.tasks:
        yield ("tasks", ON_ERROR), f"task {quoted(ON_ERROR)} has the name of what runs by the key on_error"
    for name in definition.tasks:
        if name in ("", ".", "..") or "/" in name or "\0" in name or len(os.fsencode(name)) > _LONGEST_NAME:
            reason = f"its logs are files named so, of at most {_LONGEST_NAME} bytes and without /"
            yield ("tasks", name), f"task {quoted(name)} cannot have this name: {reason}"


def doubts(definition: Definition) -> Iterator[Fault]:
    """What is right by the rules, but seldom meant (P040)."""
    replaces = definition.queue_strategy is QueueStrategy.REPLACE and definition.queue_limit in (None, 1)
    if definition.start_delay > timedelta() and (replaces or definition.queue_partition_limit == 1):
        yield ("start_delay",), _STARVES


def _wait_list(definition: Definition) -> Iterator[Fault]:
    limit, partition_limit = definition.queue_limit, definition.queue_partition_limit
    delay = definition.start_delay
    if definition.concurrency < 1:
        yield ("concurrency",), "concurrency must be greater than 0"
    if limit is not None and limit < 0:
        yield ("queue_limit",), "queue_limit must not be negative"
    if delay < timedelta():
        yield ("start_delay",), "start_delay must not be negative"
    if delay > timedelta() and limit == 0:
        yield ("start_delay",), "start_delay needs queue_limit > 0"
    if definition.queue_strategy is not QueueStrategy.PARTITIONED_REPLACE:
        if partition_limit is not None:
            strategies, instead = "append|replace", "use queue_limit instead"
            reason = f"queue_partition_limit is not allowed if queue_strategy={strategies}, {instead}"
            yield ("queue_partition_limit",), reason
        return
    partitioned = f"if queue_strategy={definition.queue_strategy}"
    if limit is not None:
        instead = "use queue_partition_limit instead"
        yield ("queue_limit",), f"queue_limit is not allowed {partitioned}, {instead}"
    if partition_limit is None or partition_limit < 1:
        yield ("queue_partition_limit",), f"queue_partition_limit must be defined and >=1 {partitioned}"


def _dependencies(tasks: Mapping[str, TaskDefinition]) -> Iterator[Fault]:
    for name, task in tasks.items():
        for other in task.depends_on:
            if other not in tasks:
                at = ("tasks", name, "depends_on", other)
                yield at, f"missing task {quoted(other)} referenced in depends_on of task {quoted(name)}"
    if circle := _circle(tasks):
        at = ("tasks", circle[0], "depends_on", circle[1])
        yield at, f"dependency cycle in tasks: {' -> '.join(circle)}"


def _circle(tasks: Mapping[str, TaskDefinition]) -> list[str]:
    """A way along `depends_on` that ends where it began, at its first name; empty without one."""
    try:
        TopologicalSorter({name: task.depends_on for name, task in tasks.items()}).prepare()
    except CycleError as error:
        circle = error.args[1][:0:-1]  # which has it against the way, and its end twice
        first = circle.index(min(circle))
        return [*circle[first:], *circle[: first + 1]]
    return []
