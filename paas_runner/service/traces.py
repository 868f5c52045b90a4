"""Whether jobs are traced: the room `tracing`, and the packages that it needs, are imported only then."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from paas_runner.config import Config
from paas_runner.errors import MissingPackagesError, RunnerError
from paas_runner.executor.contract import HostTrace
from paas_runner.job.tracked import TrackedJob
from paas_runner.loop.timing import Clock
from paas_runner.service.assembly import Edges, StartError

if TYPE_CHECKING:
    from paas_runner.tracing import Tracing

TraceOf = Callable[[TrackedJob], HostTrace | None]


def untraced(_job: TrackedJob) -> None:
    """What a host gets of its job's trace where there is none."""


def tracing_room() -> ModuleType:
    """The room, imported now; raises `MissingPackagesError` for those that are not there."""
    try:
        import paas_runner.tracing
    except ModuleNotFoundError as error:
        raise MissingPackagesError(error, extra="otel", wanted_by="`[traces]`") from error
    return paas_runner.tracing


@asynccontextmanager
async def tracing(
    config: Config, edges: Edges, *, mark: str, clock: Clock, jobs: Sequence[TrackedJob]
) -> AsyncIterator["Tracing | None"]:
    """Inside, spans are sent, if the configuration wants it; `jobs` are those that the start found.

    Raises `MissingPackagesError`, and `StartError` for certificates that are not there.
    """
    if config.traces is None:
        yield None
        return
    room = tracing_room()
    try:
        traces = room.Tracing(config.traces, mark=mark, connect=edges.connect, clock=clock, jobs=jobs)
    except OSError as error:
        raise StartError(f"`[traces]`: the tls-ca-file cannot be used: {error}") from error
    except RunnerError as error:
        raise StartError(f"`[traces]`: {error}") from error
    edges.exchanges.add(traces.call_ended)
    async with traces.exporting():
        yield traces
