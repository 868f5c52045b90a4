"""What pipelines are to each other: who calls whom, whose end starts whom, which deliveries are shared."""

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TypeAlias

import attrs

from paas_pipelines.definitions.automation import OutputDefinition
from paas_pipelines.definitions.decoding import KeyPath
from paas_pipelines.definitions.definition import Definition, TaskDefinition
from paas_pipelines.definitions.scalars import quoted

Wrong: TypeAlias = tuple[str, KeyPath, str]
"""The pipeline, the key in it, and the reason."""


def linked(definitions: Mapping[str, Definition]) -> dict[str, Definition]:
    """The same, in which each call has the outputs of its pipeline."""
    return {
        name: attrs.evolve(
            definition, tasks={task: _called(what, definitions) for task, what in definition.tasks.items()}
        )
        if any(what.call for what in definition.tasks.values())
        else definition
        for name, definition in definitions.items()
    }


def _called(task: TaskDefinition, definitions: Mapping[str, Definition]) -> TaskDefinition:
    if task.call is None or not task.call.wait or task.call.pipeline not in definitions:
        return task
    names = definitions[task.call.pipeline].outputs
    return attrs.evolve(task, outputs={name: OutputDefinition() for name in names})


def wrong(definitions: Mapping[str, Definition]) -> Iterator[Wrong]:
    """What cannot be together."""
    yield from _circles(definitions)
    yield from _hooks(definitions)


def _circles(definitions: Mapping[str, Definition]) -> Iterator[Wrong]:
    starts: dict[str, dict[str, KeyPath]] = {name: {} for name in definitions}
    for name, definition in definitions.items():
        for task, what in definition.tasks.items():
            if what.call is not None and what.call.pipeline in definitions:
                starts[name].setdefault(what.call.pipeline, ("tasks", task, "call"))
    if circle := _circle(starts):
        at = starts[circle[0]][circle[1]]
        yield circle[0], at, f"call cycle: {' -> '.join(circle)}"
        return
    for name, definition in definitions.items():
        for trigger in definition.triggers.values():
            for source in trigger.source.pipelines if trigger.source else ():
                if source in definitions:
                    starts[source].setdefault(name, ("triggers", trigger.name, "pipeline"))
    if circle := _circle(starts):
        pairs = [(before, after, starts[before][after]) for before, after in pairwise(circle)]
        _, after, at = next(pair for pair in pairs if pair[2][0] == "triggers")
        yield after, at, f"trigger cycle: {' -> '.join(circle)}"


def _circle(starts: Mapping[str, Mapping[str, KeyPath]]) -> list[str]:
    """A way that ends where it began, at its first name; empty without one."""
    try:
        TopologicalSorter({name: list(others) for name, others in starts.items()}).prepare()
    except CycleError as error:
        circle = error.args[1][:0:-1]
        first = circle.index(min(circle))
        return [*circle[first:], *circle[: first + 1]]
    return []


def _hooks(definitions: Mapping[str, Definition]) -> Iterator[Wrong]:
    found: dict[str, tuple[str, str, object]] = {}
    for name, definition in definitions.items():
        for trigger in definition.triggers.values():
            hook = trigger.webhook
            if hook is None:
                continue
            own = (name, trigger.name, (hook.provider, hook.secret))
            first = found.setdefault(hook.path, own)
            if first[2] != own[2]:
                other = f"{quoted(first[0])}, trigger {quoted(first[1])}"
                reason = f"path {quoted(hook.path)} is shared with {other}"
                text = f"trigger {quoted(trigger.name)}: {reason}: provider and secret must be equal"
                yield name, ("triggers", trigger.name, "path"), text
