"""A service with everything switched on by which it is watched: what it serves, and where its spans go."""

import asyncio
import socket
import urllib.request

import attrs

_NOBODY_LISTENS = "http://127.0.0.1:9"
_CONFIGURATION = """
listen_address = "127.0.0.1:{port}"
paas_page = true

[traces]
  endpoint = "{receiver}"
"""


@attrs.frozen
class Watched:
    """Keys for the top of its configuration, and questions at what it serves."""

    port: int

    @property
    def configuration(self) -> str:
        return _CONFIGURATION.format(port=self.port, receiver=_NOBODY_LISTENS)

    async def page(self, path: str) -> str:
        """What is served there; anything but 200 is an error."""
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
            return str(answer.read().decode())


def watched() -> Watched:
    """On a port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return Watched(found.getsockname()[1])
