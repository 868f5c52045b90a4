"""Plans built call by call, from what turns up on the way."""

from datetime import timedelta
from typing import Self, TypedDict, Unpack
from uuid import UUID

import attrs

from paas_plans import plan as parts
from paas_plans.errors import BuilderError
from paas_plans.plan import CHILDREN, Action, Block, CheckKind, Item, Path, Plan, When, path_words
from paas_plans.walk import at, replaced


class _BlockOptions(TypedDict, total=False):
    entrance_delay: timedelta
    exit_delay: timedelta
    concurrency: int
    tolerated_failures: int
    key: UUID | None


class _ActionOptions(TypedDict, total=False):
    timeout: timedelta
    retries: int
    key: UUID | None


class Builder:
    """Each call begins what it adds, and the next adds to that; `up()` leaves it. Actions are only added.

    The first mistake is kept, and nothing is added after it: `error` is what `plan()` would raise.
    """

    def __init__(
        self, name: str, description: str, *, group_id: UUID | None = None, meta: bytes = b""
    ) -> None:
        self.reset(name, description, group_id=group_id, meta=meta)

    def reset(self, name: str, description: str, *, group_id: UUID | None = None, meta: bytes = b"") -> Self:
        """Begin another plan, also after a mistake."""
        self._plan = Plan(name=name, description=description, blocks=(), group_id=group_id, meta=meta)
        self._path: Path = ()
        self.error: BuilderError | None = None
        return self

    def checks(
        self, kind: CheckKind | str, *, delay: timedelta | None = None, key: UUID | None = None
    ) -> Self:
        """Begin checks of the plan or a block; `delay` is between runs of continuous ones."""
        if kind not in [*CheckKind]:
            return self._refuse(f"there are no {kind!r} checks: give one of {', '.join(CheckKind)}")
        return self._add(f"{kind}_checks", parts.Checks(actions=(), delay=delay, key=key))

    def block(self, name: str, description: str, **options: Unpack[_BlockOptions]) -> Self:
        """Begin a block of the plan; options are as in `Block`."""
        return self._add("blocks", Block(name=name, description=description, sequences=(), **options))

    def sequence(self, name: str, description: str, *, key: UUID | None = None) -> Self:
        """Begin a sequence of a block."""
        return self._add("sequences", parts.Sequence(name=name, description=description, actions=(), key=key))

    def action(
        self,
        name: str,
        description: str,
        plugin: str,
        request: object = None,
        **options: Unpack[_ActionOptions],
    ) -> Self:
        """Add one to a sequence, checks or a batch; options are as in `Action`."""
        return self.actions(
            Action(name=name, description=description, plugin=plugin, request=request, **options)
        )

    def actions(self, *made: Action) -> Self:
        """Add those that were made elsewhere."""
        for action in made:
            self._add("actions", action)
        return self

    def deferred_actions(self, *, key: UUID | None = None) -> Self:
        """Begin those of the plan."""
        return self._add("deferred_actions", parts.DeferredActions(batches=(), key=key))

    def batch(
        self,
        name: str,
        description: str,
        when: When | str,
        *,
        fail_plan: bool = False,
        key: UUID | None = None,
    ) -> Self:
        """Begin a batch of the deferred actions."""
        if when not in [*When]:
            return self._refuse(f"the batch {name!r} is for {when!r}: give one of {', '.join(When)}")
        batch = parts.DeferredBatch(
            name=name, description=description, when=When(when), actions=(), fail_plan=fail_plan, key=key
        )
        return self._add("batches", batch)

    def up(self) -> Self:
        """Go on with what the object that was begun last is in."""
        if not self._path:
            return self._refuse("up() would leave the plan: leave it out")
        self._path = self._path[: -2 if isinstance(self._path[-1], int) else -1]
        return self

    def plan(self) -> Plan:
        """What was built, wherever it was left; once. Raises `BuilderError`."""
        if self.error:
            raise self.error
        self._refuse("plan() was called: reset() begins another")
        return self._plan

    def _add(self, field: str, item: Item) -> Self:
        here = at(self._plan, self._path)
        if field not in CHILDREN[type(here)]:
            places = " or ".join(kind.__name__ for kind, fields in CHILDREN.items() if field in fields)
            what = f"{type(item).__name__} {getattr(item, 'name', field)!r}"
            self._refuse(f"{what} can only be in a {places}: call up(), or begin that, first")
        elif isinstance(getattr(here, field), parts.Checks | parts.DeferredActions):
            self._refuse(f"{field} are here already: add to them where they are begun")
        if self.error:
            return self
        old = getattr(here, field)
        place: Path = (field,) if old is None else (field, len(old))
        here = attrs.evolve(here, **{field: item if old is None else (*old, item)})
        self._plan = replaced(self._plan, self._path, here)
        self._path += () if isinstance(item, Action) else place
        return self

    def _refuse(self, text: str) -> Self:
        self.error = self.error or BuilderError(f"{path_words(self._path)}: {text}")
        return self
