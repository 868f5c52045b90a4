"""Calls of plugins: one attempt each, which ends at its deadline at the latest, whatever the plugin does.

A call that nobody waits for any more is canceled if it is a coroutine, and left alone if it is a thread;
nobody listens to what comes of it.
"""

import asyncio
import inspect
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Thread
from typing import Any, TypeAlias

from paas_plans.plan import ActionError
from paas_plans.plugin import Context, Plugin, PluginError
from paas_plans.secret import copied, said
from paas_plans.values import misfits

TIMED_OUT = ActionError(message="plugin execution timed out")
LONGEST_MESSAGE = 10_000
_CODES = 2**63

Outcome: TypeAlias = tuple[object, ActionError | None]
Told: TypeAlias = Callable[[Outcome], object]


class Call:
    """One attempt in flight; `told` hears of its end, once, unless it is canceled before."""

    def __init__(
        self, plugin: Plugin, request: object, context: Context, *, seconds: float, told: Told
    ) -> None:
        self._told: Told | None = told
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._give_up)
        self.task = loop.create_task(self._go(plugin, request, context), name=plugin.name)
        """It may go on for a while when it is canceled, or for ever."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._told = None
        self._timer.cancel()
        self.task.cancel()

    def _give_up(self) -> None:
        self._end((None, TIMED_OUT))
        self.task.cancel()

    def _end(self, outcome: Outcome) -> None:
        told, self._told = self._told, None
        self._timer.cancel()
        if told is not None:
            told(outcome)

    async def _go(self, plugin: Plugin, request: object, context: Context) -> None:
        try:
            execute: Callable[[], Any] = partial(plugin.execute, copied(request), context)
            is_coroutine = inspect.iscoroutinefunction(plugin.execute)
            response = await (execute() if is_coroutine else _in_thread(execute, plugin.name))
            if inspect.isawaitable(response):  # of what did not look like a coroutine function
                response = await response
            outcome = _fitting(response, plugin)
        except BaseException as raised:  # noqa: BLE001 - SystemExit, too, is the failure of an attempt
            outcome = (None, error_of(raised, request))
        self._end(outcome)


async def _in_thread(execute: Callable[[], object], name: str) -> object:
    answer: Future[tuple[object, BaseException | None]] = Future()
    Thread(target=copy_context().run, args=(_work, execute, answer), name=name, daemon=True).start()
    response, raised = await asyncio.wrap_future(answer)
    if raised is not None:
        raise raised
    return response


def _work(execute: Callable[[], object], answer: "Future[tuple[object, BaseException | None]]") -> None:
    response, error = None, None
    try:
        response = execute()
    except BaseException as raised:  # noqa: BLE001 - as above
        error = raised
    with suppress(InvalidStateError):  # it was given up
        answer.set_result((response, error))


def _fitting(response: object, plugin: Plugin) -> Outcome:
    response = copied(response)  # the plugin may go on with its own
    if response is None or not (wrong := misfits(response, plugin.response_type)):
        return response, None
    return None, ActionError(message=f"the response of {plugin.name}: {'; '.join(wrong)}", permanent=True)


def error_of(raised: BaseException, request: object) -> ActionError:
    """What is recorded of an exception, without the secrets of the request."""
    causes = raised.exceptions if isinstance(raised, BaseExceptionGroup) else [raised.__cause__]
    cause = "; ".join(_words(one, request) for one in causes if one is not None)
    code: Any = raised.code if isinstance(raised, PluginError) else 0
    return ActionError(
        message=_words(raised, request)[:LONGEST_MESSAGE],
        code=int(code) if isinstance(code, int) and abs(code) < _CODES else 0,
        permanent=isinstance(raised, PluginError) and bool(raised.permanent),
        cause=cause[:LONGEST_MESSAGE] or None,
    )


def _words(raised: BaseException, request: object) -> str:
    kind, text = type(raised).__name__, said(raised, request)
    return text if text == kind or isinstance(raised, PluginError) else f"{kind}: {text}"
