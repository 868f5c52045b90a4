"""What an operator may ask of the running service: one object, whichever way the request comes.

Signals call its methods (`process.py`); commands call them through the control socket, by the handlers below.
Each method raises `RunnerError` when it refuses, and then nothing has changed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import attrs

from paas_runner.control import Handler
from paas_runner.job.lease import Word
from paas_runner.service.drain import Drain
from paas_runner.service.reload import LiveConfig, NotDoneError, Reloaded
from paas_runner.service.status import LiveStatus
from paas_runner.status.report import to_data

Part = Mapping[str, Any]


@attrs.frozen(kw_only=True)
class Operations:
    """The running service as its operator sees it."""

    status: LiveStatus
    _config: LiveConfig
    _drain: Drain
    _tell: Callable[[Word], Awaitable[None]]
    """Tells all other processes with the same store, which do the same."""

    async def reload(self) -> Reloaded:
        """Read the configuration again and work with it; a wrong one is refused."""
        reloaded = await self._config.reload()
        await self._tell(Word.RELOAD)
        return reloaded

    async def drain(self) -> None:
        """Take no more jobs, and end after the last one; returns at once."""
        self._drain.begin()
        await self._tell(Word.DRAIN)

    def drained(self) -> AsyncIterator[Part]:
        """After `drain`: its progress, and in the end its certificate."""
        return self._drain.progress()

    @property
    def others(self) -> Part:
        """For an answer: the names of all other processes that are there, and do the same."""
        report = self.status.sharing()
        names = sorted(member.name for member in report.alive if not member.here) if report else []
        return {"told": names} if names else {}

    async def dump(self) -> int:
        """Write the state into the log; returns how many jobs there are."""
        return len(self.status.log().jobs)

    async def pause(self, runner: str) -> str:
        """Ask for no more jobs for a runner, by name or short token, until `resume`; returns its name."""
        title = await self._config.pause(runner)
        await self._tell(Word.RUNNERS)
        return title

    async def resume(self, runner: str) -> str:
        """The opposite of `pause`."""
        title = await self._config.resume(runner)
        await self._tell(Word.RUNNERS)
        return title


def handlers(operations: Operations) -> Mapping[str, Handler]:
    """For the control socket, by request.

    `status`, `explain` (the jobs with the id `"job"`), `dump`, `reload`, `drain` (`"wait": true` until its
    end), `pause` and `resume` (a `"runner"`). The last four tell in `"told"` which others do the same.
    """

    async def status(_request: Part) -> AsyncIterator[Part]:
        yield to_data(operations.status.now())

    async def explain(request: Part) -> AsyncIterator[Part]:
        for explanation in operations.status.explain(request.get("job")):
            yield to_data(explanation)

    async def dump(_request: Part) -> AsyncIterator[Part]:
        yield {"jobs": await operations.dump()}

    async def reload(_request: Part) -> AsyncIterator[Part]:
        yield {**attrs.asdict(await operations.reload()), **operations.others}

    async def drain(request: Part) -> AsyncIterator[Part]:
        await operations.drain()
        if others := operations.others:
            yield others
        if request.get("wait"):
            async for part in operations.drained():
                yield part

    return {
        "status": status,
        "explain": explain,
        "dump": dump,
        "reload": reload,
        "drain": drain,
        "pause": _for_a_runner(operations.pause, operations),
        "resume": _for_a_runner(operations.resume, operations),
    }


def _for_a_runner(change: Callable[[str], Awaitable[str]], operations: Operations) -> Handler:
    async def handler(request: Part) -> AsyncIterator[Part]:
        name = request.get("runner")
        if not isinstance(name, str):
            raise NotDoneError('which runner? {"runner": "its name or short token"}')
        yield {"runner": await change(name), **operations.others}

    return handler
