"""What a store has to do: the port of the engine, and the values that pass through it.

A store keeps documents and knows nothing of what is in them: the definition of a plan, which never changes,
and the state of each of its objects, both as JSON text. What a call has returned from is on the disk, all or
nothing.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import attrs
from attrs.validators import deep_iterable, instance_of, optional

from paas_plans.plan import Reason, Status
from paas_plans.secret import Cipher


@attrs.frozen(kw_only=True)
class Summary:
    """What a list shows of a plan, and what it is searched by."""

    id: UUID
    name: str
    description: str
    submitted: datetime
    group_id: UUID | None = None
    status: Status = Status.NOT_STARTED
    reason: Reason = Reason.UNKNOWN
    start: datetime | None = None
    end: datetime | None = None
    updated: datetime
    """When the plan, or any object of it, was last written."""


@attrs.frozen(kw_only=True)
class Document:
    """A whole plan."""

    summary: Summary
    definition: str
    states: Mapping[UUID, str]
    """By object id; an object without one has not started."""


@attrs.frozen(kw_only=True)
class Changes:
    """What one step changed of a plan."""

    summary: Summary
    states: Mapping[UUID, str]


def _each(kind: type) -> Any:
    each: Any = deep_iterable(instance_of(kind))
    return attrs.field(default=None, validator=optional(each))


@attrs.frozen(kw_only=True)
class Filter:
    """Which plans; each field that is given must hold, and an empty one holds for none."""

    ids: frozenset[UUID] | None = _each(UUID)
    group_ids: frozenset[UUID] | None = _each(UUID)
    statuses: frozenset[Status] | None = _each(Status)
    submitted_after: datetime | None = None
    submitted_before: datetime | None = None
    """Both without the moment itself."""
    name_has: str | None = None
    """A part of the name, in any case."""


class Store(Protocol):
    """Where plans are kept. All but `close` raise `StoreError` when it cannot be read or written."""

    @property
    def cipher(self) -> Cipher | None:
        """What seals secrets; None: they are stored in clear."""
        ...

    async def open(self, *, running_plans: bool) -> None:
        """Make it usable; raises `StoreError`.

        With `running_plans` it is made if there is none, brought up to date if it is older, and this process
        alone runs its plans: another's `open` raises `StoreInUseError`. Others may do all but `save`.
        """
        ...

    async def close(self) -> None:
        """Finish what was asked for; a second time changes nothing."""
        ...

    async def create(self, document: Document) -> None:
        """Raises `PlanExistsError`."""
        ...

    async def save(self, changes: Changes) -> None:
        """In one transaction, with those that are waiting. Raises `NoSuchPlanError` if it was deleted."""
        ...

    async def read(self, plan_id: UUID) -> Document:
        """Raises `NoSuchPlanError`."""
        ...

    async def exists(self, plan_id: UUID) -> bool: ...

    def search(self, wanted: Filter, *, limit: int | None = None) -> AsyncIterator[Summary]:
        """Newest submission first, streamed: however many there are, few are in memory."""
        ...

    async def delete(self, plan_id: UUID) -> None:
        """Raises `NoSuchPlanError`."""
        ...

    async def delete_ended(self, before: datetime) -> int:
        """Retention: delete plans that ended before that time, and say how many."""
        ...

    async def ask_to_stop(self, plan_id: UUID) -> None:
        """Leave word for the process that runs the plan, which may be another. Raises `NoSuchPlanError`."""
        ...

    async def asked_to_stop(self) -> frozenset[UUID]:
        """Of running plans: those that somebody has left word for."""
        ...
