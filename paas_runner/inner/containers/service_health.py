"""Whether a service answers: by a TCP connection to one of its ports, as GitLab Runner finds out."""

import asyncio
import contextlib
from collections.abc import Sequence

import attrs

_PAUSE_SECONDS = 0.1
_CONNECT_SECONDS = 2.0
_MOST_PORTS = 20


@attrs.frozen(kw_only=True)
class Endpoint:
    """Where a service can be reached, if it can."""

    address: str
    ports: Sequence[int]


async def answers(endpoint: Endpoint) -> None:
    """Return when a connection was accepted; whoever waits has a limit."""
    while not await _any_connected(endpoint):  # noqa: ASYNC110 - nobody tells when a port opens
        await asyncio.sleep(_PAUSE_SECONDS)


async def _any_connected(endpoint: Endpoint) -> bool:
    tries = [_connected(endpoint.address, port) for port in endpoint.ports[:_MOST_PORTS]]
    return any(await asyncio.gather(*tries))


async def _connected(address: str, port: int) -> bool:
    with contextlib.suppress(OSError):
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address, port)
            writer.close()
            return True
    return False
