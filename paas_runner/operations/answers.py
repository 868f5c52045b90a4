"""What a command may ask of the running service to change it, as questions on the control socket."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import attrs

from paas_runner.control import Answer
from paas_runner.operations.configuration import Configuration, NotDoneError
from paas_runner.operations.draining import Drain

Part = Mapping[str, Any]


def answers(configuration: Configuration, drain: Drain) -> Mapping[str, Answer]:
    """By question: `reload`, `drain` (`"wait": true` until its end), `pause` and `resume` (a `"runner"`)."""

    async def reload(_request: Part) -> AsyncIterator[Part]:
        yield attrs.asdict(await configuration.reload())

    async def begin_drain(request: Part) -> AsyncIterator[Part]:
        drain.begin()
        if request.get("wait"):
            async for part in drain.progress():
                yield part

    return {
        "reload": reload,
        "drain": begin_drain,
        "pause": _about_a_runner(configuration.pause),
        "resume": _about_a_runner(configuration.resume),
    }


def _about_a_runner(change: Callable[[str], Awaitable[str]]) -> Answer:
    async def answer(request: Part) -> AsyncIterator[Part]:
        name = request.get("runner")
        if not isinstance(name, str):
            raise NotDoneError('which runner? {"runner": "its name or short token"}')
        yield {"runner": await change(name)}

    return answer
