"""What a plugin is: the work that actions call for, with requests and responses of types of its own."""

from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

import attrs
from attrs.validators import ge, gt, le

from paas_plans.plan import LONGEST


class PluginError(Exception):
    """An attempt that failed; any other exception counts as one that is not permanent and has no code."""

    code: int = 0
    permanent: bool = False  # also of a subclass whose constructor does not call this one

    def __init__(self, message: str, *, code: int = 0, permanent: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.permanent = permanent


@attrs.frozen(kw_only=True)
class Context:
    """What a call is told beside its request."""

    plan_id: UUID
    action_id: UUID
    attempt: int
    """1 is the first. A call that was cut off by a crash is made again under the same number."""
    deadline: datetime
    """When the attempt is given up; UTC. A call that goes on after it is not listened to any more."""


@attrs.frozen(kw_only=True)
class Policy:
    """The wait before another attempt: `initial` × `multiplier`ⁿ, at most `maximum`, spread at random.

    One that makes no sense is a ValueError.
    """

    initial: timedelta = attrs.field(validator=gt(timedelta(0)))
    multiplier: float = attrs.field(validator=gt(1))
    maximum: timedelta = attrs.field(validator=le(LONGEST))
    randomization: float = attrs.field(validator=[ge(0), le(1)])
    """0 is none; 0.5 spreads from half to one and a half."""

    @maximum.validator
    def _no_less_than_the_initial(self, _: object, maximum: timedelta) -> None:
        if maximum < self.initial:
            raise ValueError(f"'maximum' must be >= 'initial': {maximum}")

    def pause(self, attempts: int, chance: float) -> timedelta:
        """After that many failed attempts, one or more; `chance` is drawn from 0 to 1."""
        seconds, most = self.initial.total_seconds(), self.maximum.total_seconds()
        for _ in range(attempts - 1):
            if seconds >= most:
                break
            seconds *= self.multiplier
        spread = 1 + self.randomization * (2 * chance - 1)
        return timedelta(seconds=min(seconds, most) * spread)


FAST = Policy(
    initial=timedelta(milliseconds=100), multiplier=2, maximum=timedelta(seconds=60), randomization=0.5
)
SECONDS = Policy(initial=timedelta(seconds=1), multiplier=2, maximum=timedelta(seconds=60), randomization=0.5)
THIRTY_SECONDS = Policy(
    initial=timedelta(seconds=30), multiplier=1.1, maximum=timedelta(minutes=5), randomization=0.2
)


class Plugin(Protocol):
    """One kind of action. It may be called again for work that it has done before: be safe to repeat.

    Requests and responses are attrs classes, dataclasses or JSON's own types. A request may have a method
    `defaults`, which returns it with what its author left out, when its plan is submitted. Subclass
    `BasePlugin` for the usual answers to all but `execute`.
    """

    @property
    def name(self) -> str:
        """Unique in its registry; begin it with the import path of the package that has it."""
        ...

    @property
    def request_type(self) -> Any:
        """The type, or union of types, of requests."""
        ...

    @property
    def response_type(self) -> Any:
        """Of responses; a response of another type is a permanent error."""
        ...

    @property
    def is_check(self) -> bool:
        """Whether it may be called in checks, and only there: it changes nothing outside."""
        ...

    @property
    def policy(self) -> Policy:
        """How its attempts are spaced."""
        ...

    def validate(self, request: Any) -> None:
        """Raises ValueError for a request that cannot work, when its plan is submitted."""
        ...

    def init(self) -> Awaitable[None] | None:
        """Look for what it needs on this machine, before any plan runs. Raises any exception."""
        ...

    def execute(self, request: Any, context: Context) -> Any:
        """Do the work: a coroutine, or a plain function, which gets a thread of its own.

        Raises `PluginError`, or anything else. It is canceled, or, a thread, left alone, at its deadline.
        """
        ...


class BasePlugin:
    """The usual answers."""

    request_type: Any = type(None)
    response_type: Any = type(None)
    is_check: bool = False
    policy: Policy = SECONDS

    @property
    def name(self) -> str:
        return f"{type(self).__module__}.{type(self).__qualname__}"

    def validate(self, request: Any) -> None:
        """Every request of the right type will do."""

    def init(self) -> Awaitable[None] | None:
        """It needs nothing."""
        return None
