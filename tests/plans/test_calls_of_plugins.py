"""One call of a plugin ends in time, whatever the plugin does, and what is told of it has no secret in it."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any

import attrs
import pytest
from paas_plans.calls import LONGEST_MESSAGE, Call, Outcome
from paas_plans.ids import fresh_id
from paas_plans.plan import ActionError
from paas_plans.plugin import Context, Plugin, PluginError
from paas_plans.secret import secret

from tests.plans.plugins import Blocks, Works, in_virtual_time, raising, taking

CONTEXT = Context(
    plan_id=fresh_id(), action_id=fresh_id(), attempt=1, deadline=datetime(2026, 1, 1, tzinfo=UTC)
)
SOON = 0.05


@attrs.frozen
class Login:
    user: str
    password: str = secret()


@attrs.frozen
class Made:
    name: str


def begun(
    plugin: Plugin, told: Callable[[Outcome], object], request: Any = None, seconds: float = 30
) -> Call:
    return Call(plugin, request, CONTEXT, seconds=seconds, told=told)


async def outcome(plugin: Plugin, request: Any = None, seconds: float = 30) -> Outcome:
    told: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    begun(plugin, told.set_result, request, seconds)
    return await told


async def error(plugin: Plugin, request: Any = None, seconds: float = 30) -> ActionError:
    response, told = await outcome(plugin, request, seconds)
    assert response is None
    assert told is not None
    return told


def chained(message: str, cause: Exception) -> PluginError:
    raised = PluginError(message, code=7, permanent=True)
    raised.__cause__ = cause
    return raised


@in_virtual_time
async def test_a_response_of_its_type_is_kept():
    assert await outcome(Works("w", taking(1, Made("x")), response_type=Made)) == (Made("x"), None)


@pytest.mark.parametrize("response", ["x", 1, {"name": "x"}])
@in_virtual_time
async def test_a_response_of_another_type_is_a_permanent_error_and_is_dropped(response: Any):
    told = await error(Works("maker", taking(1, response), response_type=Made))
    assert told.permanent
    assert "maker" in told.message
    assert "Made" in told.message


@in_virtual_time
async def test_a_response_that_cannot_be_stored_is_a_permanent_error():
    assert (await error(Works("w", taking(1, {"a": object()})))).permanent


@in_virtual_time
async def test_the_error_of_a_plugin_is_told_with_its_code_its_cause_and_whether_it_is_permanent():
    told = await error(Works("w", raising(chained("no such flavor", KeyError("XXL")))))
    assert told == ActionError(message="no such flavor", code=7, permanent=True, cause="KeyError: 'XXL'")


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (ValueError("too large"), "ValueError: too large"),
        (TimeoutError(), "TimeoutError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (asyncio.CancelledError(), "CancelledError"),
        (GeneratorExit(), "GeneratorExit"),
        (PluginError(""), "PluginError"),
    ],
)
@in_virtual_time
async def test_any_other_exception_is_an_error_that_is_not_permanent(raised: BaseException, message: str):
    assert await error(Works("w", raising(raised))) == ActionError(message=message)


async def test_an_exit_in_a_thread_is_the_failure_of_the_attempt_as_well():
    def leave() -> None:
        raise SystemExit(3)

    assert await error(Blocks(leave)) == ActionError(message="SystemExit: 3")


@in_virtual_time
async def test_of_a_group_of_exceptions_each_is_told():
    told = await error(Works("w", raising(ExceptionGroup("two failed", [ValueError("a"), OSError("b")]))))
    assert told.cause == "ValueError: a; OSError: b"


@in_virtual_time
async def test_an_exception_that_cannot_say_what_it_is_is_told_by_its_type():
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise SystemExit(3)

    assert (await error(Works("w", raising(BrokenError())))).message == "BrokenError"


@in_virtual_time
async def test_an_error_whose_class_forgot_to_make_it_one_of_ours_is_told_all_the_same():
    class OwnError(PluginError):
        def __init__(self, flavor: str) -> None:
            self.flavor = flavor

    assert await error(Works("w", raising(OwnError("XXL")))) == ActionError(message="XXL")


@pytest.mark.parametrize(
    ("code", "kept"), [(HTTPStatus.NOT_FOUND, 404), ("E42", 0), (None, 0), (10**30, 0), (object(), 0)]
)
@in_virtual_time
async def test_a_code_that_is_no_number_is_left_out(code: Any, kept: int):
    told = await error(Works("w", raising(PluginError("no", code=code, permanent="yes"))))  # type: ignore[arg-type]
    assert (told.message, told.code, told.permanent) == ("no", kept, True)
    assert type(told.code) is int


@in_virtual_time
async def test_what_a_plugin_does_to_its_request_is_not_seen_by_the_next_attempt():
    async def take(request: Any, context: Context) -> Any:
        return [request.pop("key"), request["more"].pop()]

    plugin, request = Works("w", take), {"key": "a", "more": ["b"]}
    assert [await outcome(plugin, request) for _ in range(2)] == [(["a", "b"], None)] * 2


@in_virtual_time
async def test_what_a_plugin_does_to_its_response_later_is_not_recorded():
    log = ["begun"]

    async def tell(request: Any, context: Context) -> Any:
        return log

    response, _ = await outcome(Works("w", tell))
    log.append(object())  # type: ignore[arg-type]
    assert response == ["begun"]


@in_virtual_time
async def test_secrets_of_the_request_are_in_no_error():
    raised = chained("cannot log in with hunter2!", ValueError("https://me:hunter2%21@host"))
    told = await error(Works("w", raising(raised)), Login("me", "hunter2!"))
    assert told.message == "cannot log in with [secret hidden]"
    assert told.cause == "ValueError: https://me:[secret hidden]@host"


@in_virtual_time
async def test_an_endless_message_is_cut():
    assert len((await error(Works("w", raising(ValueError("x" * 10**6))))).message) == LONGEST_MESSAGE


@in_virtual_time
async def test_at_the_deadline_a_coroutine_is_canceled():
    seen = []

    async def work(request: Any, context: Context) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append(asyncio.get_running_loop().time())
            raise

    assert await error(Works("w", work)) == ActionError(message="plugin execution timed out")
    await asyncio.sleep(0)
    assert seen == [30]


@in_virtual_time
async def test_a_coroutine_that_goes_on_although_it_is_canceled_is_not_waited_for_and_its_response_ignored():
    ended = asyncio.Event()

    async def stubborn(request: Any, context: Context) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)
        ended.set()
        return "too late"

    told: list[Outcome] = []
    call = begun(Works("w", stubborn), told.append)
    await asyncio.sleep(31)
    assert [one.message for _, one in told if one] == ["plugin execution timed out"]
    assert not call.task.done()
    await ended.wait()
    await asyncio.sleep(1)
    assert len(told) == 1
    assert call.task.done()


async def test_at_the_deadline_a_thread_is_left_alone_and_its_response_ignored():
    go_on, told = threading.Event(), list[Outcome]()
    call = begun(Blocks(go_on.wait), told.append, seconds=SOON)
    await asyncio.sleep(4 * SOON)
    [thread] = [one for one in threading.enumerate() if one.name == "blocks"]
    assert thread.daemon
    assert told == [(None, ActionError(message="plugin execution timed out"))]
    gone = weakref.ref(call)
    del call
    gc.collect()
    assert gone() is None, "a thread that nobody listens to holds nothing of the loop"
    go_on.set()
    thread.join()
    await asyncio.sleep(SOON)
    assert len(told) == 1


async def test_threads_block_neither_the_loop_nor_each_other():
    both = threading.Barrier(2)
    got = await asyncio.gather(*(outcome(Blocks(partial(both.wait, timeout=10))) for _ in range(2)))
    assert sorted(response for response, _ in got) == [0, 1]  # type: ignore[type-var]


def test_a_thread_that_outlives_its_loop_is_quiet(capfd: pytest.CaptureFixture[str]):
    go_on = threading.Event()

    async def begin() -> Call:
        return begun(Blocks(go_on.wait), lambda _: None)

    call = asyncio.run(begin())
    go_on.set()
    for thread in threading.enumerate():
        if thread.name == "blocks":
            thread.join()
    assert call
    assert capfd.readouterr() == ("", "")


async def test_a_function_that_returns_a_coroutine_is_awaited():
    async def made() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await outcome(Blocks(lambda: made())) == ("done", None)  # noqa: PLW0108


async def test_a_call_that_is_canceled_is_not_told_of():
    told = list[Outcome]()
    call = begun(Works("w", taking(0)), told.append)
    call.cancel()
    await asyncio.sleep(SOON)
    assert not told
