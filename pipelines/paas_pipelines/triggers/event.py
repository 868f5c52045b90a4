"""Events: what has happened that may start runs, as the disk has it (palvella's message)."""

import enum
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

import attrs

from paas_pipelines.access.actor import Actor
from paas_pipelines.definitions.automation import TriggerType

MOST_ATTEMPTS = 5
DATA_KEPT = timedelta(days=30)
KEYS_KEPT = timedelta(days=90)

_NOTHING: Mapping[str, str] = MappingProxyType({})


class EventState(enum.StrEnum):
    """How far it has come."""

    NEW = "new"
    CLAIMED = "claimed"  # on the disk before anything of it is looked at: what kills the server counts
    DONE = "done"  # in one transaction with the runs that it has started
    DROPPED = "dropped"  # nobody wanted it: `reason` says why
    DEAD = "dead"  # tried five times


ENDED = frozenset({EventState.DONE, EventState.DROPPED, EventState.DEAD})


@attrs.frozen(kw_only=True)
class Identity:
    """By what it came: the path of a hook, the trigger of a moment, or the pipeline whose run has ended."""

    trigger: str
    type: TriggerType


@attrs.frozen(kw_only=True)
class Outcome:
    """What one pipeline made of it: a run, or why there is none."""

    pipeline: str
    trigger: str
    """Which of its triggers."""

    run_id: str = ""
    refusal: str = ""


@attrs.frozen(kw_only=True)
class Event:
    """One of them, without its data, which may be a megabyte."""

    event_id: str
    identity: Identity
    created: datetime
    meta: Mapping[str, str] = _NOTHING
    """What is known of it beside its data: the provider's event and delivery, the planned moment, a run."""

    state: EventState = EventState.NEW
    attempts: int = 0
    outcomes: tuple[Outcome, ...] = ()
    spent: tuple[str, ...] = ()
    """Triggers (`<pipeline>/<trigger>`) that have had another event with the same key of `dedupe`."""

    barred: tuple[str, ...] = ()
    """Triggers whose pipelines may not use the secret with which it was verified."""

    only: str = ""
    """The one trigger that it is for: somebody has fired it."""

    reason: str = ""
    """Why it was dropped: which key of which trigger did not fit, or that it comes too late."""

    actor: Actor | None = None
    """Who has fired it."""

    sender: str = ""
    """The mark (`access.people`) of whoever has caused the delivery, as a signature proves."""

    root: tuple[str, ...] = ()
    """Marks of whoever has started the run that has ended, and what led to it."""

    error: str = ""
    """What kept it from being handled, the last time."""

    ended: datetime | None = None
    has_data: bool = False
    size: int = 0
    """How long its data is, in letters of JSON."""

    @property
    def is_delivery(self) -> bool:
        """Whether others have caused it, who may be many: a delivery to a hook."""
        return self.identity.type is TriggerType.WEBHOOK and not self.only

    @property
    def over(self) -> bool:
        return self.state in ENDED


def event_ids(
    newest: str = "",
    *,
    milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    bits: Callable[[int], int] = secrets.randbits,
) -> Callable[[], str]:
    """Makes UUIDs of version 7 (RFC 9562 §5.7), each greater than `newest` and than the one before.

    Also while the clock is behind.
    """
    last = _time_of(newest) if newest else 0

    def made() -> str:
        nonlocal last
        moment = milliseconds() << 12  # what follows counts within a millisecond (method 1 of §6.2)
        last = max(moment, last + 1)
        high, low = last >> 12, last & 0xFFF
        number = (high & (2**48 - 1)) << 80 | 7 << 76 | low << 64 | 2 << 62 | bits(62)
        return str(uuid.UUID(int=number))

    return made


def _time_of(event_id: str) -> int:
    """The 60 bits of an id that grow."""
    number = uuid.UUID(event_id).int
    return number >> 80 << 12 | number >> 64 & 0xFFF
