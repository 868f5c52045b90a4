"""A signal ends what is under way wherever it arrives."""

import asyncio
import signal

import pytest

from register.terminal import InterruptedByUserError, raise_when_ended

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def ending_signals():
    before = {number: signal.getsignal(number) for number in ENDING}
    raise_when_ended()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_in_a_callback_of_the_event_loop_is_not_only_logged(ending_signals, number):
    async def silent_coordinator():
        asyncio.get_running_loop().call_soon(signal.raise_signal, number)
        async with asyncio.timeout(5):
            await asyncio.Event().wait()

    with pytest.raises(InterruptedByUserError):
        asyncio.run(silent_coordinator())
