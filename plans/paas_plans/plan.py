"""What a plan is: frozen values from the whole down to one call of a plugin, each with its own state.

A plan has blocks, one after the other; a block has sequences, side by side; a sequence has actions, one
after the other; an action is a call of a plugin. Plans and blocks may have five kinds of checks, a plan also
actions that are deferred to its end. Whoever makes a plan leaves ids and states alone: the engine sets them.
"""

import enum
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import attrs

NIL = UUID(int=0)
"""The id of what has not been submitted."""

UNLIMITED = -1
"""Of tolerated failures: no number of them fails the block."""

DEFAULT_TIMEOUT = timedelta(seconds=30)
DEFAULT_DELAY = timedelta(seconds=30)
LONGEST = timedelta(days=36_525)
"""Of timeouts, delays and pauses: their ends are in the calendar."""


def _tupled(parts: "Iterable[Item]") -> tuple[Any, ...]:
    """Of any iterable; what is none stays as it is, for validation to tell where."""
    given: Any = parts
    return given if isinstance(given, tuple) or not isinstance(given, Iterable) else tuple(given)


class _Named(enum.IntEnum):
    @property
    def words(self) -> str:
        return self.name.lower().replace("_", " ")


class Status(_Named):
    """How far an object is; the numbers are those of coercion."""

    NOT_STARTED = 0
    RUNNING = 100
    COMPLETED = 200
    FAILED = 300
    STOPPED = 400

    @property
    def is_terminal(self) -> bool:
        return self >= Status.COMPLETED


class Reason(_Named):
    """What a plan failed, or was stopped, for; the numbers are those of coercion."""

    UNKNOWN = 0
    PRE_CHECK = 100
    BLOCK = 200
    POST_CHECK = 300
    CONTINUOUS_CHECK = 400
    DEFERRED_CHECK = 450
    DEFERRED_ACTION = 475
    STOPPED = 500
    EXCEEDED_RECOVERY = 600


class When(enum.StrEnum):
    """Which outcome of the plan a deferred batch is for."""

    ON_SUCCESS = "on_success"
    ON_FAILURE = "on_failure"
    ALWAYS = "always"


class CheckKind(enum.StrEnum):
    """When checks run: the field of a plan or block that holds them is `<kind>_checks`."""

    BYPASS = "bypass"
    PRE = "pre"
    CONTINUOUS = "continuous"
    POST = "post"
    DEFERRED = "deferred"

    @property
    def field(self) -> str:
        return f"{self}_checks"


@attrs.frozen(kw_only=True)
class State:
    """Written by the engine alone; all times are UTC."""

    status: Status = Status.NOT_STARTED
    start: datetime | None = None
    end: datetime | None = None
    until: datetime | None = None
    """The end of the delay, or of the wait for another attempt, in which the object is; stored, so that a
    restart does not begin it again."""

    @property
    def duration(self) -> timedelta | None:
        """None for what has not ended."""
        return self.end - self.start if self.start and self.end else None


@attrs.frozen(kw_only=True)
class ActionError:
    """Why an attempt failed."""

    message: str
    code: int = 0
    """The plugin's own; 0 says nothing."""
    permanent: bool = False
    """Whether another attempt would fail as well, so that there is none."""
    cause: str | None = None
    """What the plugin's error was raised from, in words."""


@attrs.frozen(kw_only=True)
class Attempt:
    """One call of the plugin."""

    start: datetime
    end: datetime | None = None
    response: object = None
    error: ActionError | None = None


@attrs.frozen(kw_only=True)
class _Object:
    """What the engine gives each of them."""

    id: UUID = NIL
    state: State = State()


@attrs.frozen(kw_only=True)
class _Part(_Object):
    """All but the plan."""

    key: UUID | None = None
    """The user's own reference, a UUID of version 7 that no other object of the plan has."""


@attrs.frozen(kw_only=True)
class Action(_Part):
    """A call of a plugin, repeated until it succeeds, its error is permanent or its retries are used up."""

    name: str
    description: str
    plugin: str
    request: object = None
    timeout: timedelta = DEFAULT_TIMEOUT
    """Of each attempt; at least five seconds."""
    retries: int = 0
    """Attempts beyond the first."""
    attempts: tuple[Attempt, ...] = ()

    @property
    def final_attempt(self) -> Attempt | None:
        return self.attempts[-1] if self.attempts else None


@attrs.frozen(kw_only=True)
class Checks(_Part):
    """Actions that run side by side; each must succeed."""

    actions: tuple[Action, ...] = attrs.field(converter=_tupled)
    delay: timedelta | None = None
    """Of continuous checks: from the end of one run to the start of the next; None is 30 seconds."""


@attrs.frozen(kw_only=True)
class Sequence(_Part):
    """Actions one after the other, up to the first that fails."""

    name: str
    description: str
    actions: tuple[Action, ...] = attrs.field(converter=_tupled)


@attrs.frozen(kw_only=True)
class Block(_Part):
    """Sequences side by side, `concurrency` at once, until more than `tolerated_failures` have failed."""

    name: str
    description: str
    sequences: tuple[Sequence, ...] = attrs.field(converter=_tupled)
    entrance_delay: timedelta = timedelta(0)
    exit_delay: timedelta = timedelta(0)
    """Waited after a block that completed and was not bypassed."""
    concurrency: int = 1
    tolerated_failures: int = 0
    bypass_checks: Checks | None = None
    pre_checks: Checks | None = None
    continuous_checks: Checks | None = None
    post_checks: Checks | None = None
    deferred_checks: Checks | None = None


@attrs.frozen(kw_only=True)
class DeferredBatch(_Part):
    """Actions one after the other, run at the plan's end if its outcome so far is the one they are for."""

    name: str
    description: str
    when: When
    actions: tuple[Action, ...] = attrs.field(converter=_tupled)
    fail_plan: bool = False
    """Whether the plan fails with this batch; otherwise its failure is only recorded."""


@attrs.frozen(kw_only=True)
class DeferredActions(_Part):
    """Batches side by side, after the blocks or what failed before them, and before deferred checks."""

    batches: tuple[DeferredBatch, ...] = attrs.field(converter=_tupled)


@attrs.frozen(kw_only=True)
class Plan(_Object):
    """The whole; what is not given by its author belongs to the engine."""

    name: str
    description: str
    blocks: tuple[Block, ...] = attrs.field(converter=_tupled)
    group_id: UUID | None = None
    """Ties plans together."""
    meta: bytes = b""
    """The user's own, never looked at."""
    bypass_checks: Checks | None = None
    pre_checks: Checks | None = None
    continuous_checks: Checks | None = None
    post_checks: Checks | None = None
    deferred_checks: Checks | None = None
    deferred_actions: DeferredActions | None = None
    reason: Reason = Reason.UNKNOWN
    submitted: datetime | None = None
    heartbeat: datetime | None = None
    """When a plan in which nothing changed for long was last known to be alive."""
    stop_requested: datetime | None = None


Item: TypeAlias = Plan | Block | Checks | Sequence | Action | DeferredActions | DeferredBatch
"""Any object of a plan: each has an id and a state."""

Path: TypeAlias = tuple[str | int, ...]
"""Where an object is in its plan, as fields and indexes: `("blocks", 0, "pre_checks", "actions", 1)`."""

_WORK_COMES_AFTER = ("bypass_checks", "pre_checks", "continuous_checks")
CHILDREN: Mapping[type, tuple[str, ...]] = {
    Plan: (*_WORK_COMES_AFTER, "blocks", "post_checks", "deferred_actions", "deferred_checks"),
    Block: (*_WORK_COMES_AFTER, "sequences", "post_checks", "deferred_checks"),
    Checks: ("actions",),
    Sequence: ("actions",),
    DeferredActions: ("batches",),
    DeferredBatch: ("actions",),
    Action: (),
}
"""The fields that hold an object's parts, in the order of the walk."""


OF_THE_ENGINE = ("id", "state", "attempts", "reason", "submitted", "heartbeat", "stop_requested")
"""The fields of any object that its author leaves alone."""


def path_words(path: Path) -> str:
    """As people read it: `blocks[0].pre_checks.actions[1]`, and `plan` for the whole."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "plan"
