"""Doing something over the network more than once, in front of the job's author."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import httpx

from paas_runner.errors import RunnerError
from paas_runner.inner.trace import Narrator

T = TypeVar("T")

TRIES = 3  # spec gitlab-runner-api.md §6
PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0


class FailedTryError(RunnerError):
    """It did not work; the text is for the author of the job.

    `tries` is how many such failures there may be in all: 1 for what would fail again. `retry_after` is the
    header as it came.
    """

    def __init__(self, text: str, *, tries: int = 1, retry_after: str = "") -> None:
        super().__init__(text)
        self.tries = tries
        number = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0
        self.least_pause = min(number, _LONGEST_PAUSE_SECONDS)


async def repeated(work: Callable[[int], Awaitable[T]], narrator: Narrator, pause: float) -> T:
    """The result of `work`, which gets the number of the try, from 1; raises the last `FailedTryError`."""
    attempt = 1
    while True:
        try:
            return await work(attempt)
        except FailedTryError as error:
            if attempt >= error.tries:
                raise
            narrator.warning(str(error))
            narrator.warning("Retrying...")
            await asyncio.sleep(max(pause, error.least_pause))
        attempt += 1


@contextlib.contextmanager
def answered(label: str) -> Iterator[None]:
    """A request within: no answer is a failure that may pass."""
    try:
        yield
    except httpx.InvalidURL:
        raise FailedTryError(f"{label} error: redirected to what is no URL") from None
    except httpx.RequestError as error:  # str() of some is empty, so name the type
        words = f"{type(error).__name__} {error}".rstrip()
        raise FailedTryError(f"{label} error: {words}", tries=TRIES) from error


def may_pass(status: int) -> bool:
    """Whether the same request may be answered otherwise a little later."""
    return status in (408, 425, 429) or status >= 500


def status_text(response: httpx.Response) -> str:
    """A status as it is shown: `404 Not Found`."""
    return f"{response.status_code} {response.reason_phrase}".rstrip()
