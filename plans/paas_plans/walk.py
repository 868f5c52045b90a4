"""Every object of a plan in the order in which it is run, and how one is found and replaced."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar, cast

import attrs

from paas_plans.plan import CHILDREN, Action, Attempt, Item, Path, Plan, State

Kind = TypeVar("Kind", bound=Item)


@attrs.frozen
class Step:
    """One object on a walk; `parents` has what it is in, the outermost first."""

    path: Path
    item: Item
    parents: tuple[Item, ...]


def walk(top: Item, path: Path = (), parents: tuple[Item, ...] = ()) -> Iterator[Step]:
    """A plan, or any part of one, and all that is in it; paths begin with `path`."""
    yield Step(path, top, parents)
    inside = (*parents, top)
    for field in CHILDREN[type(top)]:
        part = getattr(top, field)
        if isinstance(part, tuple):
            for index, child in enumerate(part):
                yield from walk(child, (*path, field, index), inside)
        elif part is not None:
            yield from walk(part, (*path, field), inside)


def names(step: Step) -> list[str]:
    """Of all that it is in and its own; checks and what is deferred are called by the field they are in."""
    fields = ("", *(part for part in step.path if isinstance(part, str)))
    found = zip((*step.parents, step.item), fields, strict=True)
    return [getattr(item, "name", field.replace("_", " ")) for item, field in found]


def items(top: Item, kind: type[Kind]) -> Iterator[Kind]:
    """Those of one type: `items(plan, Action)` has the actions of checks and batches as well."""
    return (step.item for step in walk(top) if isinstance(step.item, kind))


def at(top: Item, path: Path) -> Any:
    """The object at `path`, which must be there."""
    found: Any = top
    for step in path:
        found = found[step] if isinstance(step, int) else getattr(found, step)
    return found


def replaced(top: Kind, path: Path, item: Item) -> Kind:
    """`top` with `item` for what is at `path`; all that is not on the way there is shared."""
    old: Any = top
    new: Any = item
    if path:
        step, rest = path[0], path[1:]
        if isinstance(step, int):
            new = (*old[:step], replaced(old[step], rest, item), *old[step + 1 :])
        else:
            new = attrs.evolve(old, **{step: replaced(getattr(old, step), rest, item)})
    return cast("Kind", new)


def with_parts(top: Kind, change: Callable[[Any], Any]) -> Kind:
    """`top` with each of its parts as `change` makes it."""
    changes: dict[str, Any] = {}
    for field in CHILDREN[type(top)]:
        part = getattr(top, field)
        changes[field] = tuple(map(change, part)) if isinstance(part, tuple) else part and change(part)
    return attrs.evolve(top, **changes)


def last_update(plan: Plan) -> datetime | None:
    """The newest time recorded in the plan or any object of it; None before it is submitted."""
    times = [plan.submitted, plan.heartbeat, plan.stop_requested]
    for step in walk(plan):
        timed: list[State | Attempt] = [step.item.state]
        timed += step.item.attempts if isinstance(step.item, Action) else ()
        times += (time for one in timed for time in (one.start, one.end))
    return max((time for time in times if time), default=None)
