"""What services write, as a part of the trace (`CI_DEBUG_SERVICES`)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

from docker import APIClient

from paas_runner.inner.containers.engine import Engine

_MOST_LINE_BYTES = 64 * 1024


@contextlib.asynccontextmanager
async def logs_shown(
    engine: Engine, containers: Mapping[str, str], show: Callable[[str], None]
) -> AsyncIterator[None]:
    """Within, each line that one of the containers writes is shown, with what it is called."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    def tell(line: str) -> None:
        if not over.is_set():
            show(line)

    def follow(container: str, name: str) -> Callable[[APIClient], None]:
        def lines(client: APIClient) -> None:
            for line in _lines(client, container):
                loop.call_soon_threadsafe(tell, f"[service:{name}] {line}")

        return lines

    following = [
        asyncio.ensure_future(engine.abandonable("to follow a service's log", follow(container, name)))
        for container, name in containers.items()
    ]
    try:
        yield
    finally:
        over.set()
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)


def _lines(client: APIClient, container: str) -> Iterator[str]:
    """Until the container ends; a line that does not end is cut."""
    rest = b""
    for piece in client.logs(container, stream=True, follow=True):
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode(errors="replace") for line in lines)
        if len(rest) > _MOST_LINE_BYTES:
            yield rest.decode(errors="replace")
            rest = b""
    if rest:
        yield rest.decode(errors="replace")
