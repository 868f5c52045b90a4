"""Plugins for tests that do what they are told to, and tests of plans in virtual time."""

import asyncio
import functools
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from paas_plans.plugin import BasePlugin, Context, Policy

from paas_runner.testing.virtual_time import run_virtual

STEADY = Policy(initial=timedelta(seconds=1), multiplier=2, maximum=timedelta(seconds=60), randomization=0)

Work = Callable[[Any, Context], Awaitable[Any]]


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """The test is a coroutine whose waits take no time."""

    @functools.wraps(test)
    def run(*args: Any, **others: Any) -> None:
        run_virtual(test(*args, **others))

    return run


async def at_once(request: Any, context: Context) -> Any:
    return None


class Works(BasePlugin):
    """Does `work`, and remembers the contexts of its calls."""

    request_type: Any = Any
    response_type: Any = Any
    policy = STEADY

    def __init__(self, name: str, work: Work = at_once, **others: Any) -> None:
        self._name, self._work = name, work
        self.calls: list[Context] = []
        vars(self).update(others)

    @property
    def name(self) -> str:
        return self._name

    async def execute(self, request: Any, context: Context) -> Any:
        self.calls.append(context)
        return await self._work(request, context)


def taking(seconds: float, response: Any = None) -> Work:
    async def work(request: Any, context: Context) -> Any:
        await asyncio.sleep(seconds)
        return response

    return work


def raising(*errors: BaseException | None) -> Work:
    """One after the other, with the last for ever; None is success."""
    left = list(errors)

    async def work(request: Any, context: Context) -> Any:
        error = left.pop(0) if len(left) > 1 else left[0]
        if error is not None:
            raise error

    return work


class Blocks(BasePlugin):
    """A plain function, which gets a thread."""

    request_type: Any = Any
    response_type: Any = Any
    policy = STEADY
    name = "blocks"

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work

    def execute(self, request: Any, context: Context) -> Any:
        return self._work()
